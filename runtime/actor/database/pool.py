"""The databases of one host: the threads that their statements run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.actor.database.worker import SqlWorker
from runtime.storage.serial_threads import SerialThreads

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

THREADS = 32


class DatabasePool:
    """Opens databases; one per host, closed with it.

    Args:
        threads: How many run statements at a time. A database occupies one while a statement of it runs, and none between two.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self.threads = SerialThreads(threads)

    async def open(self, connect: Callable[[], sqlite3.Connection], prepare: Callable[[sqlite3.Connection], None]) -> SqlWorker:
        """Open a database; see `ActorStorage.open_database` for `prepare`."""
        worker = SqlWorker(connect, self.threads.queue())
        await worker.open(prepare)
        return worker

    async def close(self) -> None:
        """End the threads. Every database is to be closed before."""
        await self.threads.close()
