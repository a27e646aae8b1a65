"""The connection of one database, which may be closed between two jobs and comes back with what it carried."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from typing import TYPE_CHECKING, Protocol, cast

import structlog

from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.handles import carried
from runtime.actor.database.handles.carrying import CarryingConnection
from runtime.actor.database.handles.open_files import FILES_OF_ONE
from runtime.errors import make_error
from runtime.storage import free_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.actor.database.handles.open_files import OpenFiles
    from runtime.storage.serial_threads import SerialQueue

log = structlog.get_logger(__name__)


class Connect(Protocol):
    """Opens a database."""

    def __call__(self, *, create: bool = True) -> sqlite3.Connection:
        """`create`: whether a file that does not exist is made."""
        ...


class Handle:
    """Opened, used and closed on threads of its queue alone; `let_go` is called by others while they occupy that.

    Args:
        connect: Opens the database.
        queue: What runs jobs on it.
        files: Counts open files; None for a database that has none, which is never closed for others.
    """

    def __init__(self, connect: Connect, queue: SerialQueue, files: OpenFiles | None) -> None:
        self.connection: sqlite3.Connection | None = None
        self._connect = connect
        self._queue = queue
        self._files = files
        self._carried: carried.Carried | None = None
        self._references = 0
        self._counted = False
        self._closed = False

    def has_room(self) -> bool:
        """Whether it is open or may be opened now; asked before each job.

        Raises:
            ActorError: actor/overloaded: it waited long, and in vain.
        """
        if not self._counted and self._files is not None and not self._closed:
            self._counted = self._files.admit(self, FILES_OF_ONE)
            return self._counted
        return True

    def open(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """Connect and have `prepare(connection)` bring what the database must hold."""
        self._install(lambda: self._prepared(prepare))

    def get(self) -> sqlite3.Connection:
        """The connection, opened again if it was closed for others.

        Raises:
            DatabaseClosedError: It was closed for good.
            ActorError: core/internal_error with SQLite's text in `metadata["error"]`, as for a statement that fails.
        """
        if self._closed:
            raise DatabaseClosedError
        if self.connection is None:
            try:
                self._install(self._restored)
            except (sqlite3.Error, OSError) as error:
                # The next job tries again: a disk may have room then.
                log.warning("a database could not be opened again", error=str(error))
                raise make_error("core.internal_error", metadata={"error": str(error)}) from error
        return cast("sqlite3.Connection", self.connection)

    def used(self) -> None:
        """A job has ended."""
        if self._files is not None:
            self._files.used(self)

    def close(self) -> None:
        """Roll back what is open and release the files, for good (DB-177)."""
        self._closed, self._carried = True, None
        connection, self.connection = self.connection, None
        if connection is not None:
            try:
                # One that user code began by hand and left open.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if self._files is not None:
                    free_pages.tidy(connection)
            finally:
                connection.close()
        self._uncount()

    # For others, see `Closable`.

    def occupy(self, *, waiting: bool) -> bool:
        """Keep jobs away."""
        return self._queue.occupy(waiting=waiting)

    def release(self) -> None:
        """Let jobs come."""
        self._queue.release()

    def let_go(self) -> int | None:
        """Close the connection if it can be brought back; otherwise the number of files that it holds."""
        if self.connection is None:
            # There was room for it, and then its job was taken back.
            self._counted = False
            return None
        # More references than at first: a cursor that is not read to its end, an object of user code. They would find it closed.
        if self._count_references() > self._references:
            return FILES_OF_ONE
        connection = self.connection
        if not isinstance(connection, CarryingConnection):
            return FILES_OF_ONE
        try:
            found = carried.read(connection)
        except sqlite3.Error:
            return FILES_OF_ONE
        if isinstance(found, carried.Kept):
            return FILES_OF_ONE * (1 + found.attached)
        self._carried, self.connection, self._counted = found, None, False
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        return None

    def _install(self, make: Callable[[], sqlite3.Connection]) -> None:
        try:
            self.connection = make()
        except BaseException:
            self._uncount()
            raise
        self._carried = None
        # With no name in any frame that refers to it, so that whoever does later is somebody else.
        self._references = self._count_references()

    def _prepared(self, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
        connection = self._connect()
        with _closed_on_error(connection):
            prepare(connection)
        return connection

    def _restored(self) -> sqlite3.Connection:
        # Not made anew: where the file was removed, an empty one would answer for it.
        connection = self._connect(create=False)
        with _closed_on_error(connection):
            if self._carried is not None:
                carried.give(self._carried, cast("CarryingConnection", connection))
        return connection

    def _count_references(self) -> int:
        return sys.getrefcount(self.connection)

    def _uncount(self) -> None:
        self._counted = False
        if self._files is not None:
            self._files.closed_by_itself(self)


@contextlib.contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
