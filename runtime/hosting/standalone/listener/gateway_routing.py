"""From a gateway request to the actor it is for (section 5 of the wire protocol)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.errors import make_error
from runtime.hosting.standalone.namespaces import DATACENTER
from runtime.protocol.decode_errors import QueryFault
from runtime.protocol.gateway_url import DirectRoute, QueryRoute, encode_input, parse_gateway_path
from runtime.protocol.ids import parse_id
from runtime.protocol.keys import serialize_key
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.hosting.standalone.namespaces import Namespace, NamespaceBook
    from runtime.hosting.standalone.slot import ActorSlot

LOCAL_LABEL = 1
MAX_CACHED = 1024
"""Paths; parsing one again takes 2 microseconds, and keeping it 650 bytes."""
MAX_CACHED_LENGTH = 256


class Addressees(Protocol):
    """Who can be addressed."""

    @property
    def namespaces(self) -> NamespaceBook:
        """All namespaces."""
        ...

    @property
    def slots(self) -> Mapping[str, ActorSlot]:
        """Every actor that is not destroyed, by id."""
        ...

    def find(self, namespace: Namespace, name: str, key: str) -> ActorSlot | None:
        """The actor of a serialized key."""
        ...

    async def get_or_create(
        self, namespace: Namespace, name: str, key: str, pool: str, input_cbor: bytes | None = None
    ) -> tuple[ActorSlot, bool]:
        """The actor of a serialized key, and whether it was created for this call."""
        ...


class Router:
    """Resolves gateway paths; remembers parsed direct paths, because clients call the same few again and again."""

    def __init__(self, addressees: Addressees) -> None:
        self._addressees = addressees
        self._parsed: dict[tuple[bytes, bytes], DirectRoute] = {}

    def parse(self, raw_path: bytes, raw_query: bytes) -> DirectRoute | QueryRoute | None:
        """The route of a path below `/gateway`; None when it is none (WIRE-221, WIRE-222).

        Raises:
            ActorError: `guard.query_*`.
        """
        known = self._parsed.get((raw_path, raw_query))
        if known is not None:
            return known
        try:
            route = parse_gateway_path(raw_path, raw_query)
        except QueryFault as fault:
            raise make_error(f"guard.{fault.code}", **fault.fields) from None
        short = len(raw_path) + len(raw_query) <= MAX_CACHED_LENGTH
        # Only those of actors that there are: whoever makes up ids must not push them out.
        if short and isinstance(route, DirectRoute) and route.actor_id in self._addressees.slots:
            if len(self._parsed) >= MAX_CACHED:
                # Emptied at once: to know the oldest, every hit would have to move its entry.
                self._parsed.clear()
            self._parsed[raw_path, raw_query] = route
        return route

    async def resolve(self, route: DirectRoute | QueryRoute) -> str:
        """The id of the addressed actor, created if the query says so.

        Raises:
            ActorError: `core.internal_error` (malformed id), `datacenter.not_found`, `namespace.not_found`, `actor.not_found`, or what
                `get_or_create` raises.
        """
        if isinstance(route, DirectRoute):
            # By far the most requests: an id that is known is well formed.
            if route.actor_id in self._addressees.slots:
                return route.actor_id
            return check_actor_id(route.actor_id)
        if route.region is not None and route.region != DATACENTER:
            raise make_error("datacenter.not_found")
        namespace = self._addressees.namespaces.require(route.namespace)
        key = serialize_key(route.key)
        if route.method == "get":
            slot = self._addressees.find(namespace, route.name, key)
            if slot is None:
                raise make_error("actor.not_found")
            return slot.actor_id
        assert route.pool is not None
        given = None if route.input is UNDEFINED else encode_input(route.input)
        slot, _ = await self._addressees.get_or_create(namespace, route.name, key, route.pool, given)
        return slot.actor_id


def check_actor_id(text: str) -> str:
    """A well-formed local actor id (WIRE-152, WIRE-223)."""
    try:
        parsed = parse_id(text)
    except ValueError:
        raise make_error("core.internal_error") from None
    if parsed.label != LOCAL_LABEL:
        raise make_error("datacenter.not_found")
    # Ids are made and kept in lower case.
    return text.lower()
