"""One SQLite connection and the serial queue of what is to be done on it.

Statements of one database run in the order of submission without any lock, a slow query of one actor occupies one thread of the host's pool
and delays no other actor, and the event loop never blocks. A sleeping actor has neither connection nor queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.handles.handle import Handle
from runtime.errors import make_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actor.database.handles.handle import Connect
    from runtime.actor.database.handles.open_files import OpenFiles
    from runtime.storage.serial_threads import SerialQueue

T = TypeVar("T")

INBOX_CAPACITY = 128
CLOSE_TIMEOUT = 5.0


class SqlWorker:
    """Runs functions on the connection, one after another.

    Lifecycle: `await open(prepare)`, any number of `submit`, `fence()` to refuse everything that has not started, `await close()`.

    Args:
        connect: Opens the database; called on a thread of the queue.
        queue: Runs one job after another, in order; it belongs to the worker, which shuts it down.
        files: See `Handle`.
    """

    def __init__(self, connect: Connect, queue: SerialQueue, files: OpenFiles | None = None) -> None:
        self._handle = Handle(connect, queue, files)
        self._queue = queue
        queue.room = self._has_room
        self._pending = 0
        self._fenced = False
        self._closing: asyncio.Future[None] | None = None

    async def open(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """Connect and have `prepare(connection)` bring what the database must hold."""
        await asyncio.get_running_loop().run_in_executor(self._queue, self._handle.open, prepare)

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
        future = asyncio.get_running_loop().run_in_executor(self._queue, self._run, function)
        self._pending += 1
        future.add_done_callback(self._finished)
        return future

    def fence(self) -> None:
        """Refuse new work and work that has not started; a running statement may finish (DB-306)."""
        self._fenced = True

    def interrupt(self) -> None:
        """Make the statement that runs fail."""
        # Not a job: it must reach a statement that holds the queue, when no thread is free, too.
        if (connection := self._handle.connection) is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed in this moment
                connection.interrupt()

    async def close(self) -> None:
        """Roll back what is open and release the file; closing twice is no error (DB-177, DB-306, DB-309).

        Raises:
            TimeoutError: A statement did not end within 5 seconds, even when interrupted (DB-316).
        """
        self.fence()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().run_in_executor(self._queue, self._handle.close)
            # The close is the last job: what was queued before it meets the fence and ends at once.
            self._queue.shutdown(wait=False)
        closing, interrupted = self._closing, False
        completed = self._queue.completed
        while not (await asyncio.wait([closing], timeout=CLOSE_TIMEOUT))[0]:
            # The time is that of this database's own statement: while threads get on with others, its turn will come.
            if self._queue.running or self._queue.completed == completed:
                if interrupted:
                    raise TimeoutError(f"closing the database took longer than {CLOSE_TIMEOUT:g} seconds")
                # Only now: most statements end by themselves, and what was begun before the end may come to its own (DB-306).
                self.interrupt()
                interrupted = True
            completed = self._queue.completed
        closing.result()

    # On the thread.

    def _has_room(self) -> bool:
        # What is refused needs no room.
        return self._fenced or self._handle.has_room()

    def _run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        # Asked again on the thread, because the fence may have come while the job was queued (DB-304).
        if self._fenced:
            raise DatabaseClosedError
        try:
            return function(self._handle.connection or self._handle.get())
        finally:
            self._handle.used()

    def _finished(self, future: asyncio.Future[Any]) -> None:
        self._pending -= 1
