"""Write-behind of the host's own rows (actor records, namespaces).

Rows that change while one batch is being written share the next one, so that a burst of creations costs a few commits. A row object
encodes itself when its batch is built: changing it twice before that costs one write.

Why a row fails alone: all actors of a host share this. A row that cannot be encoded waits for its next change, a batch that the storage
refuses is written row by row, and what a full disk refused is tried again by itself, because it may never change again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from runtime import clock
from runtime.logs import LimitedLog
from runtime.storage.base import HOST_SCOPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.storage.base import Op, Storage

log = structlog.get_logger(__name__)

RETRY_FIRST = 0.1
"""Seconds until rows that the storage refused are tried again; twice as many each time."""
RETRY_LONGEST = 10.0
PATIENCE = 8
"""Rows of a refused batch that are tried alone while each is refused: then it is the storage, and not one of them."""
NEVER = (TypeError, ValueError, OverflowError, sqlite3.DataError, sqlite3.InterfaceError)
"""What a storage raises for a row and not for its disk: trying the same again is of no use."""


class Row(Protocol):
    """Something durable that belongs to the host; compared by identity."""

    def ops(self) -> Sequence[Op]:
        """The writes that make the row's present value durable."""
        ...


@dataclass(slots=True)
class _Change:
    """One row of a batch, as it is written, and who waits for that."""

    row: Row
    ops: Sequence[Op]
    waiters: Sequence[asyncio.Future[None]]


class WriteBehind:
    """Collects changed rows and commits them in order, one batch at a time."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._dirty: dict[Row, None] = {}
        self._refused: dict[Row, None] = {}
        self._unwritable: dict[Row, None] = {}
        self._writing: dict[Row, None] = {}
        self._waiting: dict[Row, list[asyncio.Future[None]]] = {}
        self._writer: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._failures = 0
        self._closed = False
        self._faults = LimitedLog.of_faults(log, "host rows could not be written")

    def mark(self, row: Row) -> None:
        """Note that `row` changed; it is written soon. A failed write is logged and repeated."""
        self._refused.pop(row, None)
        self._dirty[row] = None
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    def write(self, row: Row) -> asyncio.Future[None]:
        """`mark`; the future, of this caller alone, ends when the present value is durable or with why its first attempt failed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(row, []).append(waiter)
        self.mark(row)
        return waiter

    async def save(self, row: Row) -> None:
        """Return when the present value of `row` is durable. A cancelled caller does not take the write back.

        Raises:
            Exception: It could not be encoded or the storage refused it. It is tried again all the same, unless it is forgotten.
        """
        await self.write(row)

    def owes(self, row: Row) -> bool:
        """Whether the present value of `row` may not be durable yet."""
        return row in self._dirty or row in self._writing or row in self._refused or row in self._unwritable

    def forget(self, row: Row) -> None:
        """Do not write `row` any more (its creation failed)."""
        for rows in (self._dirty, self._refused, self._unwritable):
            rows.pop(row, None)

    async def close(self) -> None:
        """Write what is left; nothing is tried again afterwards."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        if self._writer is not None:
            await self._writer
        # Once more, whatever the back-off says: who stops a process because its disk is full may have made room before.
        self._try_again()
        if self._writer is not None:
            await self._writer
        if self._refused:
            log.error("host rows are lost", rows=len(self._refused))

    async def _write(self) -> None:
        try:
            while self._dirty:
                # Swapped before the write: a row that changes meanwhile belongs to the next batch, with its newer value.
                rows = self._writing = self._dirty
                self._dirty = {}
                waiting, self._waiting = self._waiting, {}
                batch = [_Change(row, (), waiting.get(row, ())) for row in rows]
                await self._commit([change for change in batch if self._encode(change)])
        finally:
            self._writer, self._writing = None, {}
            self._retry_later()

    def _encode(self, change: _Change) -> bool:
        try:
            change.ops = change.row.ops()
        except Exception as error:
            self._failed(change, error, final=True)
            return False
        return True

    async def _commit(self, batch: Sequence[_Change]) -> None:
        """Write the batch, or all of it that can be written."""
        if not batch or (error := await self._attempt(batch)) is None:
            return
        refused = 0
        for number, change in enumerate(batch):
            # Alone: which of them the storage does not take is to be found out, and the others are to be written.
            failure = error if len(batch) == 1 else await self._attempt([change])
            if failure is None:
                refused = 0
                continue
            final = isinstance(failure, NEVER)
            self._failed(change, failure, final=final)
            refused += not final
            if refused >= PATIENCE:
                # It is none of them. Those that had no turn come first the next time.
                tried, self._refused = self._refused, {}
                for rest in batch[number + 1 :]:
                    self._failed(rest, failure, final=False)
                self._refused |= tried
                return

    async def _attempt(self, batch: Sequence[_Change]) -> Exception | None:
        try:
            await self._storage.commit(HOST_SCOPE, [op for change in batch for op in change.ops])
        except Exception as error:
            return error
        for change in batch:
            self._unwritable.pop(change.row, None)
            for waiter in change.waiters:
                if not waiter.done():
                    waiter.set_result(None)
        return None

    def _failed(self, change: _Change, error: Exception, *, final: bool) -> None:
        """Tell who waits; `final`: as it is it can never be written, so it waits for its next change, which marks it again."""
        for waiter in change.waiters:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # its caller may be gone: marked as seen
        if final and change.row not in self._unwritable:
            self._unwritable[change.row] = None
            log.error("a host row cannot be written", row=type(change.row).__name__, exc_info=error)
        elif not final:
            self._faults.report(error=repr(error))
            # One that changed meanwhile is in the next batch.
            if change.row not in self._dirty:
                self._refused[change.row] = None

    def _retry_later(self) -> None:
        if not self._refused:
            self._failures = 0
        elif self._retry is None and not self._closed:
            delay = min(RETRY_LONGEST, RETRY_FIRST * 2**self._failures)
            self._failures = min(self._failures + 1, 16)
            self._retry = clock.call_later(delay, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        for row in tuple(self._refused):
            self.mark(row)
