"""Namespaces with their pools and the actor names seen in them (WIRE-110, WIRE-120..127)."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import cbor2
import structlog

from runtime import clock
from runtime.errors import make_error
from runtime.hosting.standalone import actor_names
from runtime.hosting.standalone.actor_names import ActorNames, NameRow
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import DecodeError, reading
from runtime.protocol.ids import new_id
from runtime.storage.base import HOST_SCOPE, Put

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.hosting.standalone.creation_limit import CreationLimit
    from runtime.hosting.standalone.write_behind import WriteBehind
    from runtime.storage.base import Op, Storage

log = structlog.get_logger(__name__)
TABLE = "namespaces"
DATACENTER = "default"
MAX_NAME = 64
MAX_DISPLAY_NAME = 128
MAX_NAMESPACES = 10_000
"""They are never forgotten, because operators made them and actors live in them: when there are so many, none is made any more."""
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


# By identity: rows are keys of the write-behind while they change.
@dataclass(slots=True, eq=False)
class Namespace:
    """One namespace. `pools` maps a pool name to its configuration per datacenter, `names` holds names that actors had."""

    namespace_id: str
    name: str
    display_name: str
    create_ts: int
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: ActorNames = field(default_factory=ActorNames)

    def ops(self) -> Sequence[Op]:
        """The write of the present value."""
        # The last member once held the names, which have rows of their own.
        row = [self.namespace_id, self.name, self.display_name, self.create_ts, self.pools, []]
        return [Put(TABLE, self.namespace_id.encode(), cbor2.dumps(row))]

    def to_json(self) -> dict[str, Any]:
        """The namespace object of the REST API (WIRE-120)."""
        return {
            "namespace_id": self.namespace_id,
            "name": self.name,
            "display_name": self.display_name,
            "create_ts": self.create_ts,
        }


class NamespaceBook:
    """All namespaces of a host, by name, by id and by age.

    Args:
        rows: Makes them durable.
        limit: How many may be made at once; None for any number.
    """

    def __init__(self, rows: WriteBehind, limit: CreationLimit | None = None) -> None:
        self._rows = rows
        self._limit = limit
        self._oldest_first: list[Namespace] = []
        self._by_name: dict[str, Namespace] = {}
        self._by_id: dict[str, Namespace] = {}

    def __iter__(self) -> Iterator[Namespace]:
        return iter(self._by_id.values())

    async def load(self, storage: Storage) -> None:
        """Read what is stored."""
        stored = [found for key, value in await storage.scan(HOST_SCOPE, TABLE) if (found := _decoded(key, value)) is not None]
        for namespace in sorted(stored, key=attrgetter("create_ts")):
            # As an older release wrote them: all in the row of their namespace.
            names, namespace.names = list(namespace.names), ActorNames()
            self._add(namespace)
            if names:
                kept = [NameRow(namespace.namespace_id, name, 0) for name in names[-actor_names.MAX_NAMES :]]
                await storage.commit(HOST_SCOPE, [*(op for row in kept for op in row.ops()), *namespace.ops()])
        rows = [NameRow.of(key, value) for key, value in await storage.scan(HOST_SCOPE, actor_names.TABLE)]
        for row in sorted(rows, key=lambda row: row.at_ms or 0):
            if (found := self._by_id.get(row.namespace_id)) is not None:
                found.names.use(row.name, row.at_ms or 0)

    def get(self, name: str) -> Namespace | None:
        """The namespace with that name."""
        return self._by_name.get(name)

    def by_id(self, namespace_id: str) -> Namespace | None:
        """The namespace with that id."""
        return self._by_id.get(namespace_id)

    def require(self, name: str) -> Namespace:
        """The namespace with that name; raises `namespace.not_found` (WIRE-023)."""
        found = self._by_name.get(name)
        if found is None:
            raise make_error("namespace.not_found")
        return found

    async def ensure(self, name: str) -> Namespace:
        """The namespace with that name, made when missing (startup only: names are not checked)."""
        found = self._by_name.get(name)
        if found is None:
            found = await self._insert(name, name.capitalize() if name == "default" else name)
        return found

    async def create(self, name: str, display_name: str) -> Namespace:
        """Make a namespace (WIRE-121).

        Raises:
            ActorError: `namespace.name_not_unique`, or `namespace.failed_to_create` with the reason.
        """
        reason = _fault(name, display_name)
        if reason is not None:
            raise make_error("namespace.failed_to_create", reason=reason)
        if name in self._by_name:
            raise make_error("namespace.name_not_unique")
        if len(self._by_name) >= MAX_NAMESPACES:
            raise make_error("namespace.failed_to_create", reason="too many namespaces")
        if self._limit is not None and not self._limit.admits(""):
            raise make_error("namespace.failed_to_create", reason="too many namespaces created at once")
        return await self._insert(name, display_name)

    def newest(self, before: int | None, limit: int) -> list[Namespace]:
        """Newest first, created strictly before `before` milliseconds (WIRE-122)."""
        ordered = self._oldest_first
        end = len(ordered) if before is None else bisect_left(ordered, before, key=attrgetter("create_ts"))
        return ordered[max(0, end - limit) : end][::-1]

    def used(self, namespace: Namespace, name: str, at_ms: int) -> None:
        """An actor of that name was created; what changed of the names is written soon."""
        names = namespace.names
        known = name in names
        forgotten = names.use(name, at_ms)
        if not known and name in names:
            self._rows.mark(NameRow(namespace.namespace_id, name, at_ms))
        if forgotten is not None:
            self._rows.mark(NameRow(namespace.namespace_id, forgotten, None))

    async def save(self, namespace: Namespace) -> None:
        """Write a changed namespace and wait until it is durable."""
        await self._rows.save(namespace)

    async def _insert(self, name: str, display_name: str) -> Namespace:
        namespace = Namespace(new_id(), name, display_name, clock.now_ms())
        # Known before it is durable: a second creation of the name must be refused meanwhile.
        self._add(namespace)
        try:
            await self._rows.save(namespace)
        except BaseException:
            self._rows.forget(namespace)
            del self._by_name[name], self._by_id[namespace.namespace_id]
            self._oldest_first.remove(namespace)
            raise
        return namespace

    def _add(self, namespace: Namespace) -> None:
        self._by_name[namespace.name] = namespace
        self._by_id[namespace.namespace_id] = namespace
        ordered = self._oldest_first
        # A page ends between two milliseconds: none may be shared (WIRE-070).
        if ordered and namespace.create_ts <= ordered[-1].create_ts:
            namespace.create_ts = ordered[-1].create_ts + 1
        ordered.append(namespace)


def _decoded(key: bytes, value: bytes) -> Namespace | None:
    """What a row says; a damaged one is said and left as it is: the others are there all the same."""
    try:
        with reading("the namespaces"):
            namespace = Namespace(*cbor.loads(value, STORED))
            if type(namespace.create_ts) is not int or not isinstance(namespace.pools, dict):
                raise TypeError("a column is of another type")
            return namespace
    except DecodeError as error:
        log.error("a namespace cannot be read", namespace_id=key.decode(errors="replace"), error=str(error))
        return None


def _fault(name: str, display_name: str) -> str | None:
    """Why a namespace cannot be created, in the words of WIRE-121."""
    checks = (
        (not name, "name too short"),
        (len(name) > MAX_NAME, "name too long"),
        (_NAME.fullmatch(name) is None, "invalid name"),
        (not display_name, "display name too short"),
        (len(display_name) > MAX_DISPLAY_NAME, "display name too long"),
    )
    return next((reason for failed, reason in checks if failed), None)
