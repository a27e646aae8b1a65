"""The databases of one host: the threads that their statements run on, and the files that they hold open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.actor.database.handles.open_files import FILES, OpenFiles
from runtime.actor.database.worker import SqlWorker
from runtime.storage.serial_threads import SerialThreads

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from runtime.actor.database.handles.handle import Connect

THREADS = 32


class DatabasePool:
    """Opens databases; one per host, closed with it.

    Args:
        threads: How many run statements at a time. A database occupies one while a statement of it runs, and none between two.
        files: How many files may be open at a time. A database has three; one that idles is closed for another, and opened again by its
            next statement.
    """

    def __init__(self, threads: int = THREADS, files: int = FILES) -> None:
        self.threads = SerialThreads(threads)
        self.files = OpenFiles(files)

    async def open(self, connect: Connect, prepare: Callable[[sqlite3.Connection], None], *, on_disk: bool = False) -> SqlWorker:
        """Open a database; see `ActorStorage.open_database` for `prepare`."""
        worker = SqlWorker(connect, self.threads.queue(), self.files if on_disk else None)
        await worker.open(prepare)
        return worker

    async def close(self) -> None:
        """End the threads. Every database is to be closed before."""
        await self.threads.close()
