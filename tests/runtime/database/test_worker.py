"""The thread of one database by itself."""

import asyncio
import sqlite3
import threading
from functools import partial

import pytest

from runtime.actor.database.bootstrap import bootstrap
from runtime.actor.database.connection import connect
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.worker import INBOX_CAPACITY, SqlWorker
from runtime.errors import ActorError
from runtime.storage.directory_lock import StorageVersionError
from runtime.storage.serial_threads import SerialThreads

memory = partial(connect, "file::memory:", "off")
nothing = lambda connection: None  # noqa: E731 - reads as a value


async def test_a_worker_prepares_and_runs_in_order():
    connections = []

    def remembered():
        connections.append(memory())
        return connections[-1]

    worker = SqlWorker(remembered, SerialThreads(1).queue())
    await worker.open(bootstrap)
    # The bootstrap wrote rows, but none that has a row id (DB-129).
    assert len(connections) == 1
    assert await worker.submit(lambda connection: connection.execute("SELECT last_insert_rowid()").fetchone()) == (0,)
    order = []
    await asyncio.gather(*(worker.submit(lambda _, n=n: order.append(n)) for n in range(5)))
    assert order == [0, 1, 2, 3, 4]
    await worker.close()
    await worker.close()
    with pytest.raises(DatabaseClosedError):
        worker.submit(nothing)


async def test_what_fails_to_open_leaves_nothing_open():
    opened = []

    def refuse(connection):
        opened.append(connection)
        raise StorageVersionError(9, 1)

    worker = SqlWorker(memory, SerialThreads(1).queue())
    with pytest.raises(StorageVersionError):
        await worker.open(refuse)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")
    await worker.close()


async def test_the_inbox_of_a_worker_is_bounded_but_for_the_end_of_a_transaction():
    worker = SqlWorker(memory, SerialThreads(1).queue())
    await worker.open(nothing)
    hold = threading.Event()
    waiting = [worker.submit(lambda _: hold.wait(5))] + [worker.submit(nothing) for _ in range(INBOX_CAPACITY)]
    with pytest.raises(ActorError, match="overloaded"):
        worker.submit(nothing)
    waiting.append(worker.submit(nothing, control=True))
    hold.set()
    await asyncio.gather(*waiting)
    await worker.close()
