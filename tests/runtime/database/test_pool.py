"""Databases that share the threads of a host."""

import asyncio
import threading
from functools import partial

import pytest

from runtime.actor.database import worker
from runtime.actor.database.connection import connect
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.pool import DatabasePool

memory = partial(connect, "file::memory:", "off")
nothing = lambda connection: None  # noqa: E731 - reads as a value
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
async def pool():
    pool = DatabasePool(2)
    yield pool
    await pool.close()


async def endless(pool):
    """A database with a statement that ends by interruption alone, and the statement."""
    database, began = await pool.open(memory, nothing), asyncio.Event()
    loop = asyncio.get_running_loop()

    def run(connection):
        loop.call_soon_threadsafe(began.set)
        connection.execute(ENDLESS).fetchall()

    statement = database.submit(run)
    await began.wait()
    return database, statement


async def test_databases_are_many_and_threads_few(pool):
    databases = [await pool.open(memory, nothing) for _ in range(50)]
    await asyncio.gather(*(one.submit(lambda connection: connection.execute("CREATE TABLE t (x)")) for one in databases))
    assert pool.threads.threads <= 2
    await asyncio.gather(*(one.close() for one in databases))
    await pool.close()
    assert pool.threads.threads == 0


async def test_long_statements_of_others_keep_no_database_from_being_closed(pool, monkeypatch):
    waiting = await pool.open(memory, nothing)
    busy = [await endless(pool) for _ in range(2)]
    monkeypatch.setattr(worker, "CLOSE_TIMEOUT", 0.02)
    queued = waiting.submit(lambda connection: connection.execute("SELECT 1").fetchone())
    await asyncio.sleep(0.01)
    assert not queued.done()
    await waiting.close()
    with pytest.raises(DatabaseClosedError):
        await queued
    # An interrupt is no job: it needs no thread that is free.
    for database, statement in busy:
        await database.close()
        with pytest.raises(Exception, match="interrupted"):
            await statement


async def test_the_time_of_a_close_is_that_of_its_own_statement(pool, monkeypatch):
    databases = [await pool.open(memory, nothing) for _ in range(10)]
    monkeypatch.setattr(worker, "CLOSE_TIMEOUT", 0.02)
    slow = threading.Event()
    for database in databases:
        # No close is quick here: the last of them waits longer for a thread than a statement may take.
        monkeypatch.setattr(database._handle, "close", partial(slow.wait, 0.015))
    await asyncio.gather(*(one.close() for one in databases))


async def test_what_nothing_ends_is_given_up(pool, monkeypatch):
    database, began, gone = await pool.open(memory, nothing), asyncio.Event(), threading.Event()
    monkeypatch.setattr(worker, "CLOSE_TIMEOUT", 0.01)
    loop = asyncio.get_running_loop()
    stuck = database.submit(lambda _: loop.call_soon_threadsafe(began.set) and gone.wait(5))
    await began.wait()
    with pytest.raises(TimeoutError):
        await database.close()
    gone.set()
    assert await stuck
    await database.close()
