"""One SQLite connection on its own thread.

Why a thread per open database: statements of one database run in the order of submission without any lock, a slow query of one actor delays
no other actor, and the event loop never blocks. A sleeping actor has neither connection nor thread.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.errors import make_error

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from concurrent.futures import Executor

T = TypeVar("T")

INBOX_CAPACITY = 128
CLOSE_TIMEOUT = 5.0


class SqlWorker:
    """Runs functions on the connection, one after another.

    Lifecycle: `await open(prepare)`, any number of `submit`, `fence()` to refuse everything that has not started, `await close()`.

    Args:
        connect: Opens the database; called on the executor.
        executor: Runs one job after another, in order; it belongs to the worker, which shuts it down.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], executor: Executor) -> None:
        self._connect = connect
        self._executor = executor
        self._connection: sqlite3.Connection | None = None
        self._pending = 0
        self._fenced = False
        self._closing: asyncio.Future[None] | None = None

    async def open(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """Connect and have `prepare(connection)` bring what the database must hold."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._open, prepare)

    def submit(self, function: Callable[[sqlite3.Connection], T], *, control: bool = False) -> asyncio.Future[T]:
        """Queue `function(connection)`; a cancelled future that has not started does not run.

        `control` marks the end of a transaction, which must always find room.

        Raises:
            DatabaseClosedError: After `fence`.
            ActorError: actor/overloaded when 128 commands wait (DB-323).
        """
        if self._fenced:
            raise DatabaseClosedError
        # `>`: the one that runs is pending, too, but does not wait.
        if self._pending > INBOX_CAPACITY and not control:
            raise make_error(
                "actor.overloaded",
                channel="sqlite_worker",
                operation="execute sqlite command",
                capacity=INBOX_CAPACITY,
            )
        self._pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._run, function)
        future.add_done_callback(self._finished)
        return future

    def fence(self) -> None:
        """Refuse new work and work that has not started; a running statement may finish (DB-306)."""
        self._fenced = True

    def interrupt(self) -> None:
        """Make the statement that runs fail."""
        if self._connection is not None:
            self._connection.interrupt()

    async def close(self) -> None:
        """Roll back what is open and release the file; closing twice is no error (DB-177, DB-306, DB-309).

        Raises:
            TimeoutError: A statement did not end within 5 seconds, even when interrupted (DB-316).
        """
        self.fence()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().run_in_executor(self._executor, self._close)
            # The close is the last job: what was queued before it meets the fence and ends at once.
            self._executor.shutdown(wait=False)
        done, _ = await asyncio.wait([self._closing], timeout=CLOSE_TIMEOUT)
        if not done and self._connection is not None:
            # Only now: most statements end by themselves, and what was begun before the end may come to its own (DB-306).
            self._connection.interrupt()
            done, _ = await asyncio.wait([self._closing], timeout=CLOSE_TIMEOUT)
        if not done:
            raise TimeoutError(f"closing the database took longer than {CLOSE_TIMEOUT:g} seconds")
        self._closing.result()

    # On the thread.

    def _open(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        connection = self._connect()
        try:
            prepare(connection)
        except BaseException:
            connection.close()
            raise
        if connection.total_changes:
            # SQLite remembers the row of the last insert per connection, and before the first one of a user it is 0 (DB-129).
            connection.close()
            connection = self._connect()
        self._connection = connection

    def _run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        # Asked again on the thread, because the fence may have come while the job was queued (DB-304).
        if self._fenced or self._connection is None:
            raise DatabaseClosedError
        return function(self._connection)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # One that user code began by hand and left open (DB-177).
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.close()

    def _finished(self, future: asyncio.Future[Any]) -> None:
        self._pending -= 1
