"""Durable actor records: what the control plane knows about an actor.

Live records stay in memory; a destroyed one moves to tables of their own, where `destroyed` looks for it, so that memory does not grow with
the number of actors ever destroyed. `erasing` names actors whose data still has to be removed (a crash may come between).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import cbor2
import msgspec
import structlog

from runtime import clock
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import DecodeError, reading
from runtime.storage.base import HOST_SCOPE, Delete, Put

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runtime.storage.base import Op, Storage

log = structlog.get_logger(__name__)
LIVE_TABLE = "actors"
DESTROYED_TABLE = "actors_destroyed"
ERASING_TABLE = "actors_erasing"
BY_NAME, BY_KEY, BY_TIME = "destroyed_by_name", "destroyed_by_key", "destroyed_by_time"
"""The indexes of destroyed records. The first two hold the record again, so that a page is one scan."""
GROUP_BYTES = 20
TIME_BYTES = 8
WEIGHT_BYTES = 4
RECORD_BYTES = 512
"""What a record takes beside its name, roughly."""


# By identity: rows are keys of the write-behind while they change.
@dataclass(slots=True, eq=False)
class ActorRecord:
    """One actor. Timestamps are milliseconds; `key` is serialized (WIRE-160), None without a key; `input` is CBOR (WIRE-170).

    `input` is kept until the actor ran once: from then on the actor's own storage has it (START-026). `ending` is no column: the end is
    being recorded and must not be told before it is (WIRE-100).
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
    ending: bool = False

    def ops(self) -> Sequence[Op]:
        """The writes of the present value; a destroyed record changes its table in the same batch."""
        row = self.actor_id.encode()
        if self.destroy_ts is None:
            return [Put(LIVE_TABLE, row, cbor2.dumps([getattr(self, name) for name in _COLUMNS]))]
        # One batch: a crash in between would leave the actor twice or not at all.
        return [Delete(LIVE_TABLE, row), *self.burial(), Put(ERASING_TABLE, row, b"")]

    def burial(self) -> Sequence[Op]:
        """The writes of a destroyed record: itself, and a row for each way to find it."""
        value, place = cbor2.dumps([getattr(self, name) for name in _COLUMNS]), Burial.of_record(self)
        ops = [
            Put(DESTROYED_TABLE, self.actor_id.encode(), value), Put(BY_NAME, place.by_name, value), Put(BY_TIME, place.key, place.value)
        ]  # fmt: skip
        return ops if place.by_key is None else [*ops, Put(BY_KEY, place.by_key, value)]

    def now_ms(self) -> int:
        """The present time for what happens to the actor, which was created first although its moment may have been moved (WIRE-070)."""
        return max(clock.now_ms(), self.create_ts)

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
            "destroy_ts": None if self.ending else self.destroy_ts,
        }
        if self.error is not None:
            body["error"] = self.error
        return body


_COLUMNS = tuple(name for name in ActorRecord.__slots__ if name != "ending")


@dataclass(frozen=True, slots=True)
class Burial:
    """Where a destroyed record lies in the indexes: which group of names and of keys, and when it was created and destroyed.

    `weight` says roughly how many bytes it takes.
    """

    actor_id: bytes
    destroy_ts: int
    weight: int
    created: bytes
    name_group: bytes
    key_group: bytes

    @classmethod
    def of_record(cls, record: ActorRecord) -> Burial:
        """The place of a record."""
        names = (record.namespace_id, record.name)
        return cls(
            record.actor_id.encode(), record.destroy_ts or 0, RECORD_BYTES + len(record.name), sortable(record.create_ts),
            group_of(*names), b"" if record.key is None else group_of(*names, record.key),
        )  # fmt: skip

    @classmethod
    def of(cls, key: bytes, value: bytes) -> Burial:
        """What a row of `BY_TIME` says."""
        created = WEIGHT_BYTES + TIME_BYTES
        return cls(
            key[TIME_BYTES:], int.from_bytes(key[:TIME_BYTES], "big"), weight_of(value),
            value[WEIGHT_BYTES:created], value[created : created + GROUP_BYTES], value[created + GROUP_BYTES :],
        )  # fmt: skip

    @property
    def key(self) -> bytes:
        """The key of its row of `BY_TIME`."""
        return sortable(self.destroy_ts) + self.actor_id

    @property
    def value(self) -> bytes:
        """The value of its row of `BY_TIME`."""
        return self.weight.to_bytes(WEIGHT_BYTES, "big") + self.created + self.name_group + self.key_group

    @property
    def by_name(self) -> bytes:
        """The key of its row of `BY_NAME`: those of one name stand together, in the order of their creation."""
        return self.name_group + self.created + self.actor_id

    @property
    def by_key(self) -> bytes | None:
        """The key of its row of `BY_KEY`; None when the actor had no key."""
        return self.key_group + self.created + self.actor_id if self.key_group else None

    def removal(self) -> list[Op]:
        """What removes the record with all its rows."""
        ops: list[Op] = [Delete(BY_TIME, self.key), Delete(BY_NAME, self.by_name), Delete(DESTROYED_TABLE, self.actor_id)]
        return ops if self.by_key is None else [*ops, Delete(BY_KEY, self.by_key)]


def group_of(*parts: str) -> bytes:
    """A fixed number of bytes for any namespace, name and key: a row's key must not be as long as a name may be."""
    found = blake2b(digest_size=GROUP_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8, "big") + data)
    return found.digest()


def weight_of(value: bytes) -> int:
    """How much a record takes, of the value of its row of `BY_TIME`."""
    return int.from_bytes(value[:WEIGHT_BYTES], "big")


def sortable(at_ms: int) -> bytes:
    """A time as bytes in the same order; what no clock shows counts as the nearest that it can."""
    return min(max(at_ms, 0), 2**63).to_bytes(TIME_BYTES, "big")


def decode(value: bytes) -> ActorRecord:
    """The record of a row."""
    # Columns are only ever appended, so that a record written by an older release reads as one with defaults.
    with reading("the records of actors"):
        columns = cbor.loads(value, STORED)
        if len(columns) > len(_COLUMNS):
            raise ValueError("too many columns")
        # By type, too: all records are sorted, found and woken by what is in each.
        return msgspec.convert(dict(zip(_COLUMNS, columns, strict=False)), ActorRecord)


def readable(rows: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, ActorRecord]]:
    """The records that can be read. A damaged one is said and left as it is: its actor is not there, all others are."""
    for key, value in rows:
        try:
            yield key, decode(value)
        except DecodeError as error:
            log.error("the record of an actor cannot be read", actor_id=key.decode(errors="replace"), error=str(error))


async def load_live(storage: Storage) -> list[ActorRecord]:
    """Every record of an actor that is not destroyed, oldest first."""
    return sorted((record for _, record in readable(await storage.scan(HOST_SCOPE, LIVE_TABLE))), key=attrgetter("create_ts"))


async def find_destroyed(storage: Storage, actor_id: str) -> ActorRecord | None:
    """The record of one destroyed actor."""
    value = await storage.get(HOST_SCOPE, DESTROYED_TABLE, actor_id.encode())
    return None if value is None else decode(value)


async def erase_data(storage: Storage, actor_id: str) -> None:
    """Remove the data of a destroyed actor (DESTROY-044); safe to repeat."""
    await storage.erase(actor_id)
    # Crossed off last: data that a crash leaves behind is found again at the next start.
    await storage.commit(HOST_SCOPE, [Delete(ERASING_TABLE, actor_id.encode())])


async def finish_erasing(storage: Storage) -> None:
    """Remove what a crash left behind between a destroy and the removal of its data."""
    for key, _ in await storage.scan(HOST_SCOPE, ERASING_TABLE):
        # A damaged key is the id of nobody.
        if not key.isascii():
            continue
        try:
            await erase_data(storage, key.decode())
        except Exception as error:
            # A file that cannot be removed keeps its host from nothing; the next start comes back to it.
            log.error("the data of a destroyed actor cannot be removed", actor_id=key.decode(), exc_info=error)
