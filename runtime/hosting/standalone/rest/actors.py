"""REST endpoints about actors (WIRE-060..113)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Protocol

from runtime.errors import make_error
from runtime.hosting.standalone.namespaces import DATACENTER
from runtime.hosting.standalone.peek import StoredRows
from runtime.hosting.standalone.rest.bodies import CreateActor, Empty, GetOrCreateActor, decode_body, decode_input
from runtime.hosting.standalone.rest.request import check_id
from runtime.inspector.token import stored_token
from runtime.protocol.ids import parse_id
from runtime.replies import Reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.actor.database.pool import DatabasePool
    from runtime.declaration.registry import Registry
    from runtime.hosting.options import HostOptions
    from runtime.hosting.standalone.destroyed import DestroyedRecords
    from runtime.hosting.standalone.namespaces import Namespace, NamespaceBook
    from runtime.hosting.standalone.records import ActorRecord
    from runtime.hosting.standalone.rest.request import Authorize, Query, RestRequest
    from runtime.hosting.standalone.slot import ActorSlot
    from runtime.storage.base import Storage

MAX_IDS = 32
INSPECTOR_TOKEN_KEY = b"\x03"
BOTH_FILTERS = "Cannot provide both actor_id and (name + key). Use either actor_id or (name + key)."
KEY_WITHOUT_NAME = "Name is required when key is provided."
NO_FILTER = "Name is required when not using actor_ids."


class ActorsHost(Protocol):
    """What these endpoints need of the host."""

    @property
    def registry(self) -> Registry:
        """The declared actors."""
        ...

    @property
    def storage(self) -> Storage:
        """Holds inspector tokens."""
        ...

    @property
    def databases(self) -> DatabasePool:
        """Opens the databases of actors, which hold such tokens, too."""
        ...

    @property
    def options(self) -> HostOptions:
        """Tells whether one token opens every actor."""
        ...

    @property
    def namespaces(self) -> NamespaceBook:
        """All namespaces."""
        ...

    @property
    def slots(self) -> Mapping[str, ActorSlot]:
        """Every actor that is not destroyed, by id."""
        ...

    @property
    def destroyed(self) -> DestroyedRecords:
        """What is still known of destroyed actors."""
        ...

    def find(self, namespace: Namespace, name: str, key: str) -> ActorSlot | None:
        """The live actor of a serialized key."""
        ...

    def newest(self, namespace: Namespace, name: str, before: int | None, limit: int) -> list[ActorSlot]:
        """The live actors of a name, newest first."""
        ...

    async def get_or_create(
        self, namespace: Namespace, name: str, key: str, pool: str, input_cbor: bytes | None = None
    ) -> tuple[ActorSlot, bool]:
        """The live actor of a key, and whether it was created for this call."""
        ...

    async def create(self, namespace: Namespace, name: str, key: str | None, pool: str, input_cbor: bytes | None = None) -> ActorSlot:
        """A new actor."""
        ...

    async def destroy(self, slot: ActorSlot) -> None:
        """Destroy and wait until done."""

    def sleep(self, slot: ActorSlot) -> None:
        """Ask a running actor to sleep."""

    def reschedule(self, slot: ActorSlot) -> None:
        """Stop and start again."""


class ActorEndpoints:
    """Lists, creates and orders actors."""

    def __init__(self, host: ActorsHost, authorize: Authorize) -> None:
        self._host = host
        self._authorize = authorize

    async def list_actors(self, request: RestRequest) -> Reply:
        """GET /actors (WIRE-060..071)."""
        query = request.query(
            "name", "key", "actor_ids", "include_destroyed", "limit", "cursor", repeatable=("actor_id",)
        )  # fmt: skip
        ids = _listed_ids(query)
        name, key = query.text("name"), query.text("key")
        limit, before = query.limit(), query.before()
        include_destroyed = query.flag("include_destroyed")
        # Who knows an id or a key asks about one actor; the rest is a list of what others made (WIRE-027).
        if not ids and key is None:
            self._authorize(request)
        namespace = self._namespace(query)
        if ids and (name is not None or key is not None):
            raise make_error("validation.invalid_input", message=BOTH_FILTERS)
        if ids:
            return _page(await self._by_ids(namespace, ids), limit)
        if name is None:
            raise make_error("validation.invalid_input", message=NO_FILTER if key is None else KEY_WITHOUT_NAME)
        found = self._live(namespace, name, key, before, limit)
        if include_destroyed:
            buried = await self._buried(namespace, name, key, before, limit)
            # An actor may be destroyed meanwhile: it is in both then.
            known = {record.actor_id for record in buried}
            found = [*buried, *(record for record in found if record.actor_id not in known)]
            found.sort(key=lambda record: record.create_ts, reverse=True)
        return _page(found, limit)

    async def get_or_create(self, request: RestRequest) -> Reply:
        """PUT /actors (WIRE-080, WIRE-081, WIRE-090)."""
        query = request.query()
        body = decode_body(GetOrCreateActor, request.header(b"content-type"), request.body)
        namespace = self._namespace(query)
        _check_datacenter(body.datacenter)
        slot, created = await self._host.get_or_create(
            namespace, body.name, body.key, body.runner_name_selector, decode_input(body.input)
        )  # fmt: skip
        return json_reply({"actor": slot.record.to_json(), "created": created})

    async def create(self, request: RestRequest) -> Reply:
        """POST /actors (WIRE-082..091)."""
        query = request.query()
        body = decode_body(CreateActor, request.header(b"content-type"), request.body)
        namespace = self._namespace(query)
        _check_datacenter(body.datacenter)
        slot = await self._host.create(namespace, body.name, body.key, body.runner_name_selector, decode_input(body.input))
        return json_reply({"actor": slot.record.to_json()})

    async def destroy(self, request: RestRequest) -> Reply:
        """DELETE /actors/{id} (WIRE-100..102)."""
        query = request.query()
        self._authorize(request)
        namespace = self._namespace(query)
        slot = self._slot(namespace, check_id(request.params[0]))
        if slot is not None:
            await self._host.destroy(slot)
        else:
            # Destroyed before: the caller has what it wanted.
            record = await self._host.destroyed.find(request.params[0].lower())
            if record is None or record.namespace_id != namespace.namespace_id:
                raise make_error("actor.not_found")
        return json_reply({})

    async def sleep(self, request: RestRequest) -> Reply:
        """POST /actors/{id}/sleep (WIRE-103)."""
        self._host.sleep(self._ordered(request))
        return json_reply({})

    async def reschedule(self, request: RestRequest) -> Reply:
        """POST /actors/{id}/reschedule (SLEEP-025)."""
        self._host.reschedule(self._ordered(request))
        return json_reply({})

    async def names(self, request: RestRequest) -> Reply:
        """GET /actors/names (WIRE-110)."""
        query = request.query("limit", "cursor")
        self._authorize(request)
        namespace = self._namespace(query)
        after = query.text("cursor")
        limit = query.limit()
        registered = {definition.name for definition in self._host.registry if after is None or definition.name > after}
        page = sorted({*registered, *namespace.names.after(after, limit)})[:limit]
        listed = {name: {"metadata": self._metadata(name)} for name in page}
        return json_reply({"names": listed, "pagination": {"cursor": page[-1] if page else None}})

    async def read_key(self, request: RestRequest) -> Reply:
        """GET /actors/{id}/kv/keys/{key}: only the inspector token is published here (WIRE-111..113, INSP-012)."""
        query = request.query()
        self._authorize(request)
        slot = self._slot(self._namespace(query), check_id(request.params[0]))
        if slot is None:
            raise make_error("actor.not_found")
        try:
            key = base64.b64decode(request.params[1], validate=True)
        except (binascii.Error, ValueError):
            raise make_error("core.internal_error") from None
        # While one fixed token opens every actor, an actor's own one is nobody's business (INSP-017).
        shown = key == INSPECTOR_TOKEN_KEY and self._host.options.fixed_inspector_token is None
        token = await stored_token(StoredRows(self._host.storage, slot.actor_id, self._host.databases)) if shown else None
        if token is None:
            raise make_error("actor.kv_key_not_found")
        # The first start made the token, so that is when it last changed.
        started = slot.record.start_ts or slot.record.create_ts
        return json_reply({"value": base64.b64encode(token.encode()).decode(), "update_ts": started})

    def _namespace(self, query: Query) -> Namespace:
        return self._host.namespaces.require(query.required("namespace"))

    def _slot(self, namespace: Namespace, actor_id: str) -> ActorSlot | None:
        slot = self._host.slots.get(actor_id)
        return slot if slot is not None and slot.namespace is namespace else None

    def _ordered(self, request: RestRequest) -> ActorSlot:
        query = request.query()
        actor_id = check_id(request.params[0])
        decode_body(Empty, request.header(b"content-type"), request.body)
        self._authorize(request)
        slot = self._slot(self._namespace(query), actor_id)
        if slot is None:
            raise make_error("actor.not_found")
        return slot

    def _live(self, namespace: Namespace, name: str, key: str | None, before: int | None, limit: int) -> list[ActorRecord]:
        if key is None:
            return [slot.record for slot in self._host.newest(namespace, name, before, limit)]
        holder = self._host.find(namespace, name, key)
        return [] if holder is None or (before is not None and holder.record.create_ts >= before) else [holder.record]

    async def _buried(self, namespace: Namespace, name: str, key: str | None, before: int | None, limit: int) -> list[ActorRecord]:
        destroyed, space = self._host.destroyed, namespace.namespace_id
        if key is None:
            return await destroyed.of_name(space, name, before, limit)
        return await destroyed.of_key(space, name, key, before, limit)

    async def _by_ids(self, namespace: Namespace, ids: list[str]) -> list[ActorRecord]:
        found = []
        for actor_id in ids:
            slot = self._host.slots.get(actor_id)
            record = slot.record if slot is not None else await self._host.destroyed.find(actor_id)
            if record is not None and record.namespace_id == namespace.namespace_id:
                found.append(record)
        return found

    def _metadata(self, name: str) -> dict[str, Any]:
        definition = self._host.registry.get(name)
        if definition is None:
            return {}
        shown = {"icon": definition.options.icon, "name": definition.options.display_name}
        return {member: value for member, value in shown.items() if value is not None}


def _listed_ids(query: Query) -> list[str]:
    ids = []
    for text in (query.text("actor_ids") or "").split(","):
        try:
            parse_id(text)
        except ValueError:
            continue
        ids.append(text.lower())
    # The two forms differ on purpose: the list leaves out what is no id, here it is a fault (WIRE-060).
    ids += [check_id(text) for text in query.items("actor_id")]
    if len(ids) > MAX_IDS:
        raise make_error("validation.too_many_actor_ids", max=MAX_IDS, count=len(ids))
    return ids


def _page(found: list[ActorRecord], limit: int) -> Reply:
    page = found[:limit]
    cursor = str(page[-1].create_ts) if page else None
    return json_reply({"actors": [record.to_json() for record in page], "pagination": {"cursor": cursor}})


def _check_datacenter(name: str | None) -> None:
    if name is not None and name != DATACENTER:
        raise make_error("datacenter.not_found")
