"""REST endpoints about namespaces (WIRE-120..122)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.hosting.standalone.rest.bodies import CreateNamespace, decode_body
from runtime.hosting.standalone.rest.request import NO_CURSOR, check_id
from runtime.replies import Reply, json_reply

if TYPE_CHECKING:
    from runtime.hosting.standalone.namespaces import NamespaceBook
    from runtime.hosting.standalone.rest.request import Authorize, RestRequest


class NamespacesHost(Protocol):
    """What these endpoints need of the host."""

    @property
    def namespaces(self) -> NamespaceBook:
        """All namespaces."""
        ...


class NamespaceEndpoints:
    """Lists and makes namespaces."""

    def __init__(self, host: NamespacesHost, authorize: Authorize) -> None:
        self._host = host
        self._authorize = authorize

    async def list_namespaces(self, request: RestRequest) -> Reply:
        """GET /namespaces (WIRE-122)."""
        query = request.query(
            "name", "namespace_ids", "limit", "cursor", repeatable=("namespace_id",), namespaced=False
        )  # fmt: skip
        self._authorize(request)
        name = query.text("name")
        if name is not None:
            one = self._host.namespaces.get(name)
            return json_reply({"namespaces": [one.to_json()] if one else [], **NO_CURSOR})
        ids = [text for text in (query.text("namespace_ids") or "").split(",") if text] + query.items("namespace_id")
        # Ids that are unknown are left out; one that is malformed is a fault.
        if ids:
            found = [self._host.namespaces.by_id(check_id(text)) for text in ids]
            return json_reply({"namespaces": [item.to_json() for item in found if item is not None], **NO_CURSOR})
        page = self._host.namespaces.newest(query.before(), query.limit())
        cursor = str(page[-1].create_ts) if page else None
        return json_reply({"namespaces": [item.to_json() for item in page], "pagination": {"cursor": cursor}})

    async def create(self, request: RestRequest) -> Reply:
        """POST /namespaces (WIRE-121)."""
        request.query(namespaced=False)
        body = decode_body(CreateNamespace, request.header(b"content-type"), request.body)
        self._authorize(request)
        namespace = await self._host.namespaces.create(body.name, body.display_name)
        return json_reply({"namespace": namespace.to_json()})
