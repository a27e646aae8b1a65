"""Rows of the runtime in the database of the actor: written between the statements of user code, never within its transactions (DB-028).

Every batch takes its turn at the gate. Those that have passed it while an earlier job of theirs is still queued share its transaction, as
they do in the store of the host: a commit costs the same whatever is in it. A batch that fails is repeated alone, so that it fails alone.

A transaction that user code began by hand is not known to the gate. What is written within one may be rolled back, so nothing is: batches
wait until it ends, for a few seconds, and then fail with what SQLite would say.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from runtime import clock
from runtime.actor.database.coordinator import Waiter, fail_future, settle_future
from runtime.actor.tables.statements import apply
from runtime.errors import make_error
from runtime.storage.group_commit import immediate, isolated, settle

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from runtime.actor.database.session import DatabaseSession
    from runtime.actor.tables.statements import Step

T = TypeVar("T")

MANUAL_PATIENCE = 5.0
"""Seconds that rows wait for the end of a transaction that user code began by hand."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Steps that are one transaction, and who waits for it; `own` is what user code that gave up does not take back.

    Attributes:
        collect: Gives the steps when the gate lets the batch through, None when they are known.
    """

    steps: Sequence[Step]
    done: asyncio.Future[None]
    own: bool
    collect: Callable[[], Sequence[Step]] | None = None
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class _Group:
    """Batches of one job; nothing joins it once the thread has begun."""

    batches: list[_Batch]
    begun: bool = False


class _ManualTransactionError(Exception):
    """User code has a transaction open; nothing was written."""


class RowWriter:
    """Reads and writes of one generation."""

    def __init__(self, session: DatabaseSession) -> None:
        self._session = session
        self._queued: _Group | None = None
        self._lock = threading.Lock()

    async def write(self, steps: Sequence[Step], *, own: bool) -> None:
        """Apply the steps in one transaction; returns when they are durable. `own`: a caller that gives up does not take them back.

        Raises:
            ActorError: sqlite/transaction_queue_full, sqlite/transaction_expired; core/internal_error behind a manual transaction.
            DatabaseClosedError: The database is closed.
            sqlite3.Error: They could not be stored.
        """
        await self._write_batch(_Batch(steps, asyncio.get_running_loop().create_future(), own))

    async def write_collected(self, collect: Callable[[], Sequence[Step]]) -> None:
        """Apply the steps that `collect` gives when their turn has come, as those of `write` that are `own`."""
        await self._write_batch(_Batch((), asyncio.get_running_loop().create_future(), True, collect))

    async def _write_batch(self, batch: _Batch) -> None:
        waiter = Waiter(partial(self._admitted, batch), partial(fail_future, batch.done), own=batch.own)
        self._session.coordinator.admit(waiter)
        if not batch.own:
            batch.done.add_done_callback(lambda _: self._session.coordinator.withdraw(waiter))
        await batch.done

    async def read(self, function: Callable[[sqlite3.Connection], T], *, own: bool) -> T:
        """Run a function that only reads, in its turn."""
        if not own:
            return await self._session.ordinary(function)
        admitted: asyncio.Future[asyncio.Future[T]] = asyncio.get_running_loop().create_future()

        def start() -> None:
            if not admitted.done():
                try:
                    # Submitted by the gate itself: a transaction that follows must come behind it.
                    admitted.set_result(self._session.submit_own(function))
                except Exception as error:
                    admitted.set_exception(error)

        waiter = Waiter(start, partial(fail_future, admitted), own=True)
        self._session.coordinator.admit(waiter)
        try:
            return await (await admitted)
        finally:
            self._session.coordinator.withdraw(waiter)

    def _admitted(self, batch: _Batch) -> None:
        if batch.collect is not None:
            try:
                batch.steps = batch.collect()
            except Exception as error:
                # The gate starts this in the middle of somebody else's release, which must not fail for it.
                fail_future(batch.done, error)
                return
            if not batch.steps:
                settle_future(batch.done)
                return
        if batch.own or not batch.done.done():
            self._submit([batch])

    def _submit(self, batches: list[_Batch]) -> None:
        with self._lock:
            group = self._queued
            if group is not None and not group.begun:
                group.batches += batches
                return
            group = self._queued = _Group(batches)
        try:
            written = self._session.submit_own(partial(self._write_group, group))
        except Exception as error:
            self._queued = None
            _settle(group.batches, [error] * len(group.batches))
        else:
            written.add_done_callback(partial(self._written, group))

    def _written(self, group: _Group, written: asyncio.Future[list[BaseException | None]]) -> None:
        error = asyncio.CancelledError() if written.cancelled() else written.exception()
        if isinstance(error, _ManualTransactionError):
            self._wait(group.batches)
        elif error is not None:
            _settle(group.batches, [error] * len(group.batches))
        else:
            _settle(group.batches, written.result())

    def _wait(self, batches: list[_Batch]) -> None:
        for batch in batches:
            if batch.timer is None:
                batch.timer = clock.call_later(MANUAL_PATIENCE, partial(_settle, [batch], [_in_a_transaction()]))
        self._session.when_free(lambda: self._again(batches))

    def _again(self, batches: list[_Batch]) -> None:
        # Who was told that it failed must not find it stored.
        waiting = [batch for batch in batches if not batch.done.done() or (batch.own and batch.done.cancelled())]
        if waiting:
            self._submit(waiting)

    # On the database's thread.

    def _write_group(self, group: _Group, connection: sqlite3.Connection) -> list[BaseException | None]:
        with self._lock:
            group.begun = True
        if connection.in_transaction:
            raise _ManualTransactionError
        return isolated(group.batches, partial(self._transaction, connection))

    def _transaction(self, connection: sqlite3.Connection, batches: Sequence[_Batch]) -> None:
        self._session.pages.begin(connection)
        with immediate(connection):
            apply(connection, [step for batch in batches for step in batch.steps])
            self._session.pages.check(connection)


def _settle(batches: Sequence[_Batch], outcomes: Sequence[BaseException | None]) -> None:
    for batch in batches:
        if batch.timer is not None:
            batch.timer.cancel()
    settle((batch.done for batch in batches), outcomes)


def _in_a_transaction() -> Exception:
    return make_error("core.internal_error", metadata={"error": "cannot start a transaction within a transaction"})
