"""Records of destroyed actors: found by id, by name and by key, and forgotten in the end (WIRE-065..068, DESTROY-004).

They stay in storage, because memory must not grow with every actor that ever was. Each lookup reads the rows it answers with and no others:
`records` writes a destroyed record into one index per question, in the same batch. Who may create actors may destroy them, too, so a record
is kept for a day and not for ever: what is too old, or too much, goes on the occasion of the next destroy and when the host opens. There is
no timer for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from runtime import clock
from runtime.hosting.standalone.records import (
    BY_KEY,
    BY_NAME,
    BY_TIME,
    DESTROYED_TABLE,
    TIME_BYTES,
    Burial,
    find_destroyed,
    group_of,
    readable,
    sortable,
    weight_of,
)
from runtime.logs import LimitedLog
from runtime.storage.base import HOST_SCOPE, Delete, Put

if TYPE_CHECKING:
    from runtime.hosting.standalone.records import ActorRecord
    from runtime.storage.base import Op, Storage

KEPT_MS = 24 * 3600 * 1000
"""How long a destroyed actor is found, in milliseconds since its destruction."""
KEPT = 20_000
"""How many are kept at most: the ones destroyed last."""
KEPT_BYTES = 64 * 1024 * 1024
"""How much they may hold in all: names have no limit (WIRE-089)."""
SLACK = 256
"""How many more there may be before old ones are looked for: not every destroy has to clean up."""
SLACK_MS = 3600 * 1000
BATCH = 512
FORMAT_TABLE = "format"
INDEXED = b"destroyed"
"""There when every destroyed record has its index rows; data of older releases have none."""

log = structlog.get_logger(__name__)


class DestroyedRecords:
    """What is still known of destroyed actors. Open it before use and close it before its storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._count = 0
        self._bytes = 0
        self._oldest_ms: int | None = None
        self._pruning: asyncio.Task[None] | None = None
        self._failed = LimitedLog(log, "old records could not be removed")

    async def open(self) -> None:
        """Count what is there, index what an older release wrote, remove what is too old."""
        if await self._storage.get(HOST_SCOPE, FORMAT_TABLE, INDEXED) is None:
            await self._index()
        rows = await self._storage.scan(HOST_SCOPE, BY_TIME)
        self._count, self._bytes = len(rows), sum(weight_of(value) for _, value in rows)
        await self._prune()

    async def close(self) -> None:
        """Wait until nothing is being removed any more."""
        if self._pruning is not None:
            await self._pruning

    async def find(self, actor_id: str) -> ActorRecord | None:
        """The record of one destroyed actor."""
        return await find_destroyed(self._storage, actor_id)

    async def of_name(self, namespace_id: str, name: str, before: int | None, limit: int) -> list[ActorRecord]:
        """Newest first, created strictly before `before` milliseconds."""
        return await self._newest(BY_NAME, group_of(namespace_id, name), before, limit)

    async def of_key(self, namespace_id: str, name: str, key: str, before: int | None, limit: int) -> list[ActorRecord]:
        """Every generation of a key that is still known (WIRE-067)."""
        return await self._newest(BY_KEY, group_of(namespace_id, name, key), before, limit)

    def buried(self, record: ActorRecord) -> None:
        """One more was written; looks for old ones when it is time."""
        self._count += 1
        self._bytes += Burial.of_record(record).weight
        now = clock.now_ms()
        if self._oldest_ms is None:
            self._oldest_ms = now
        late = now - self._oldest_ms > KEPT_MS + SLACK_MS
        if self._pruning is None and (late or self._count > KEPT + SLACK or self._bytes > KEPT_BYTES):
            self._pruning = asyncio.get_running_loop().create_task(self._prune_in_background())

    async def _newest(self, table: str, group: bytes, before: int | None, limit: int) -> list[ActorRecord]:
        end = group + (b"\xff" * (TIME_BYTES + 1) if before is None else sortable(before))
        rows = await self._storage.scan(HOST_SCOPE, table, group, end, reverse=True, limit=limit)
        return [record for _, record in readable(rows)]

    async def _prune_in_background(self) -> None:
        try:
            await self._prune()
        except Exception as error:
            # They go with the next occasion, as they would after a crash.
            self._failed.report(error=repr(error))
        finally:
            self._pruning = None

    async def _prune(self) -> None:
        while True:
            rows = await self._storage.scan(HOST_SCOPE, BY_TIME, limit=BATCH)
            first_kept = clock.now_ms() - KEPT_MS
            old = []
            self._oldest_ms = None
            for burial in (Burial.of(key, value) for key, value in rows):
                if burial.destroy_ts >= first_kept and self._count <= KEPT and self._bytes <= KEPT_BYTES:
                    self._oldest_ms = burial.destroy_ts
                    break
                old.append(burial)
                self._count -= 1
                self._bytes -= burial.weight
            await self._storage.commit(HOST_SCOPE, [op for burial in old for op in burial.removal()])
            if len(old) < BATCH:
                return

    async def _index(self) -> None:
        """Give the records of an older release their index rows; repeated from the beginning when the process dies meanwhile."""
        start, taken, first_kept = b"", set[bytes](), clock.now_ms() - KEPT_MS
        while rows := await self._storage.scan(HOST_SCOPE, DESTROYED_TABLE, start, limit=BATCH):
            ops: list[Op] = []
            for row, record in readable(rows):
                if (record.destroy_ts or 0) < first_kept:
                    ops.append(Delete(DESTROYED_TABLE, row))
                    continue
                # A page ends between two milliseconds: of those that share one, each gets its own.
                while (moment := group_of(record.namespace_id, record.name) + sortable(record.create_ts)) in taken:
                    record.create_ts += 1
                taken.add(moment)
                ops += record.burial()
            await self._storage.commit(HOST_SCOPE, ops)
            start = rows[-1][0] + b"\x00"
        await self._storage.commit(HOST_SCOPE, [Put(FORMAT_TABLE, INDEXED, b"1")])
