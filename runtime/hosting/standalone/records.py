"""Durable actor records: what the control plane knows about an actor.

Live records stay in memory; a destroyed one moves to a table of its own and is read from there when somebody asks, so that memory does
not grow with the number of actors ever destroyed. `erasing` names actors whose data still has to be removed (a crash may come between).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cbor2

from runtime.storage.base import HOST_SCOPE, Delete, Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.storage.base import Op, Storage

LIVE_TABLE = "actors"
DESTROYED_TABLE = "actors_destroyed"
ERASING_TABLE = "actors_erasing"


# By identity: rows are keys of the write-behind while they change.
@dataclass(slots=True, eq=False)
class ActorRecord:
    """One actor. Timestamps are milliseconds; `key` is serialized (WIRE-160), None without a key; `input` is CBOR (WIRE-170).

    `input` is kept until the actor ran once: from then on the actor's own storage has it (START-026).
    """

    actor_id: str
    namespace_id: str
    name: str
    key: str | None
    pool: str
    create_ts: int
    input: bytes | None = None
    generation: int = 0
    start_ts: int | None = None
    connectable_ts: int | None = None
    sleep_ts: int | None = None
    reschedule_ts: int | None = None
    destroy_ts: int | None = None
    error: Any = None
    alarm: int | None = None

    def ops(self) -> Sequence[Op]:
        """The writes of the present value; a destroyed record changes its table in the same batch."""
        row = self.actor_id.encode()
        value = cbor2.dumps([getattr(self, name) for name in _COLUMNS])
        if self.destroy_ts is None:
            return [Put(LIVE_TABLE, row, value)]
        # One batch: a crash in between would leave the actor twice or not at all.
        return [Delete(LIVE_TABLE, row), Put(DESTROYED_TABLE, row, value), Put(ERASING_TABLE, row, b"")]

    def to_json(self) -> dict[str, Any]:
        """The actor object of the REST API (WIRE-040, WIRE-041)."""
        body = {
            "actor_id": self.actor_id,
            "name": self.name,
            "key": self.key,
            "namespace_id": self.namespace_id,
            "datacenter": "default",
            "runner_name_selector": self.pool,
            "crash_policy": "sleep",
            "create_ts": self.create_ts,
            "start_ts": self.start_ts,
            "pending_allocation_ts": None,
            "connectable_ts": self.connectable_ts,
            "sleep_ts": self.sleep_ts,
            "reschedule_ts": self.reschedule_ts,
            "destroy_ts": self.destroy_ts,
        }
        if self.error is not None:
            body["error"] = self.error
        return body


_COLUMNS = tuple(ActorRecord.__slots__)


def _decode(value: bytes) -> ActorRecord:
    # Columns are only ever appended, so that a record written by an older release reads as one with defaults.
    return ActorRecord(*cbor2.loads(value))


async def load_live(storage: Storage) -> list[ActorRecord]:
    """Every record of an actor that is not destroyed."""
    return [_decode(value) for _, value in await storage.scan(HOST_SCOPE, LIVE_TABLE)]


async def load_destroyed(storage: Storage) -> list[ActorRecord]:
    """Every record of a destroyed actor."""
    return [_decode(value) for _, value in await storage.scan(HOST_SCOPE, DESTROYED_TABLE)]


async def find_destroyed(storage: Storage, actor_id: str) -> ActorRecord | None:
    """The record of one destroyed actor."""
    value = await storage.get(HOST_SCOPE, DESTROYED_TABLE, actor_id.encode())
    return None if value is None else _decode(value)


async def erase_data(storage: Storage, actor_id: str) -> None:
    """Remove the data of a destroyed actor (DESTROY-044); safe to repeat."""
    await storage.erase(actor_id)
    # Crossed off last: data that a crash leaves behind is found again at the next start.
    await storage.commit(HOST_SCOPE, [Delete(ERASING_TABLE, actor_id.encode())])


async def finish_erasing(storage: Storage) -> None:
    """Remove what a crash left behind between a destroy and the removal of its data."""
    for key, _ in await storage.scan(HOST_SCOPE, ERASING_TABLE):
        await erase_data(storage, key.decode())
