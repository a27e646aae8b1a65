"""Which actors exist in this host: by id, by namespace and name in the order of their creation, and by key besides.

Every question has its own index: none is answered by looking at all actors.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from runtime.errors import make_error

if TYPE_CHECKING:
    from runtime.hosting.standalone.namespaces import Namespace
    from runtime.hosting.standalone.slot import ActorSlot

MAX_KEY_BYTES = 1024


class Directory:
    """Every actor that is not destroyed.

    Attributes:
        slots: By id; read it, change it by `add` and `remove` only.
    """

    def __init__(self) -> None:
        self.slots: dict[str, ActorSlot] = {}
        self._keys: dict[tuple[str, str, str], ActorSlot] = {}
        self._names: dict[tuple[str, str], list[ActorSlot]] = {}

    def find(self, namespace: Namespace, name: str, key: str) -> ActorSlot | None:
        """The actor with exactly that serialized key (WIRE-067)."""
        return self._keys.get((namespace.namespace_id, name, key))

    def newest(self, namespace: Namespace, name: str, before: int | None, limit: int) -> list[ActorSlot]:
        """The actors of a name, newest first, created strictly before `before` milliseconds (WIRE-068, WIRE-070)."""
        ordered = self._names.get((namespace.namespace_id, name), [])
        end = len(ordered) if before is None else bisect_left(ordered, before, key=_created)
        return ordered[max(0, end - limit) : end][::-1]

    def add(self, slot: ActorSlot) -> None:
        """Make an actor known, oldest first; no lookup by key finds one without (WIRE-084).

        Its time of creation is moved behind that of the last of its name when they are the same: a cursor is such a time, so none may be
        shared (WIRE-070).
        """
        record = slot.record
        self.slots[record.actor_id] = slot
        ordered = self._names.setdefault((record.namespace_id, record.name), [])
        if ordered and record.create_ts <= ordered[-1].record.create_ts:
            record.create_ts = ordered[-1].record.create_ts + 1
        ordered.append(slot)
        if record.key is not None:
            self._keys[record.namespace_id, record.name, record.key] = slot

    def remove(self, slot: ActorSlot) -> None:
        """The actor does not exist any more: free its id and key."""
        record = slot.record
        if self.slots.pop(record.actor_id, None) is None:
            return
        ordered = self._names[record.namespace_id, record.name]
        del ordered[bisect_left(ordered, record.create_ts, key=_created)]
        if not ordered:
            del self._names[record.namespace_id, record.name]
        # A key freed before may have a new holder already; that one must stay.
        if record.key is not None and self._keys.get((record.namespace_id, record.name, record.key)) is slot:
            del self._keys[record.namespace_id, record.name, record.key]


def _created(slot: ActorSlot) -> int:
    return slot.record.create_ts


def check_key(key: str) -> None:
    """Raise `actor.empty_key` or `actor.key_too_large` for an unusable serialized key (WIRE-085, WIRE-086)."""
    if not key:
        raise make_error("actor.empty_key")
    data = key.encode()
    if len(data) > MAX_KEY_BYTES:
        preview = data[:MAX_KEY_BYTES].decode(errors="ignore")
        raise make_error("actor.key_too_large", max_size=MAX_KEY_BYTES, key_preview=preview)
