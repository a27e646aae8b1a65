"""REST endpoints about the process itself (WIRE-050..054)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.hosting.standalone.namespaces import DATACENTER
from runtime.replies import Reply, json_reply
from runtime.version import version

if TYPE_CHECKING:
    from runtime.hosting.standalone.rest.request import Authorize, RestRequest

DATACENTER_LABEL = 1


class ProcessHost(Protocol):
    """What these endpoints need of the host."""

    @property
    def endpoint(self) -> str | None:
        """The URL under which the host can be reached; None before anything told."""
        ...


class ProcessEndpoints:
    """Says that the process lives, what it is and where."""

    def __init__(self, host: ProcessHost, authorize: Authorize) -> None:
        self._host = host
        self._authorize = authorize

    async def health(self, _request: RestRequest) -> Reply:
        """GET /health (WIRE-050)."""
        return json_reply(health_body())

    async def fanout(self, request: RestRequest) -> Reply:
        """GET /health/fanout."""
        self._authorize(request)
        local = {"datacenter_label": DATACENTER_LABEL, "datacenter_name": DATACENTER, "status": "ok", "rtt_ms": 0.0}
        return json_reply({"datacenters": [{**local, "response": health_body(), "error": None}]})

    async def metadata(self, _request: RestRequest) -> Reply:
        """GET /metadata (WIRE-053, WIRE-054): the client keeps the endpoint it already uses."""
        return json_reply({"runtime": "engine", "version": version()})

    async def datacenters(self, request: RestRequest) -> Reply:
        """GET /datacenters."""
        self._authorize(request)
        # What the caller used is the best guess while nothing told the address.
        host = (request.header(b"host") or b"localhost").decode("latin-1")
        entry = {"label": DATACENTER_LABEL, "name": DATACENTER, "url": self._host.endpoint or f"http://{host}"}
        return json_reply({"datacenters": [entry], "pagination": {"cursor": None}})


def health_body() -> dict[str, Any]:
    """What `/health` says."""
    return {"runtime": "engine", "status": "ok", "version": version()}
