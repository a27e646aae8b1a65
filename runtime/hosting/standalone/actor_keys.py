"""Which actors exist in this host: by id, and by namespace, name and key."""

from __future__ import annotations

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

    def find(self, namespace: Namespace, name: str, key: str) -> ActorSlot | None:
        """The actor with exactly that serialized key (WIRE-067)."""
        return self._keys.get((namespace.namespace_id, name, key))

    def add(self, slot: ActorSlot) -> None:
        """Make an actor known; one without a key is found by its id alone (WIRE-084)."""
        record = slot.record
        self.slots[record.actor_id] = slot
        if record.key is not None:
            self._keys[record.namespace_id, record.name, record.key] = slot

    def remove(self, slot: ActorSlot) -> None:
        """The actor does not exist any more: free its id and key."""
        record = slot.record
        self.slots.pop(record.actor_id, None)
        # A key freed before may have a new holder already; that one must stay.
        if record.key is not None and self._keys.get((record.namespace_id, record.name, record.key)) is slot:
            del self._keys[record.namespace_id, record.name, record.key]


def check_key(key: str) -> None:
    """Raise `actor.empty_key` or `actor.key_too_large` for an unusable serialized key (WIRE-085, WIRE-086)."""
    if not key:
        raise make_error("actor.empty_key")
    data = key.encode()
    if len(data) > MAX_KEY_BYTES:
        preview = data[:MAX_KEY_BYTES].decode(errors="ignore")
        raise make_error("actor.key_too_large", max_size=MAX_KEY_BYTES, key_preview=preview)
