"""Sessions and transactions on a database without a thread."""

import asyncio
import sqlite3
from functools import partial

import pytest
import structlog

from runtime.actor.database.connection import connect
from runtime.actor.database.coordinator import Coordinator
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.session import DatabaseSession
from runtime.actor.database.submitted import Submitted
from runtime.actor.database.transaction import RollbackFailedError, Transaction
from runtime.errors import ActorError

memory = partial(connect, "file::memory:", "off")


class Direct:
    """`OpenDatabase` without a thread: what is submitted has run when `submit` returns."""

    def __init__(self):
        self.connection = memory()
        self.closed = False

    def submit(self, function, *, control=False):
        if self.closed:
            raise DatabaseClosedError
        done = asyncio.get_running_loop().create_future()
        try:
            done.set_result(function(self.connection))
        except Exception as error:
            done.set_exception(error)
        return done

    def fence(self):
        self.closed = True

    async def close(self):
        self.fence()
        self.connection.close()


@pytest.fixture
async def session():
    broken = []
    session = DatabaseSession("actor1", structlog.get_logger(), Coordinator(), Direct(), broken.append)
    session.reported = broken
    yield session
    await session.close()


async def test_a_submitted_call_is_under_way_before_it_is_awaited():
    started = []

    async def soon():
        return "value"

    call = Submitted.of(lambda: started.append(1) or asyncio.ensure_future(soon()))
    assert started == [1]
    assert await call == "value"
    with pytest.raises(ZeroDivisionError):
        await Submitted.of(lambda: 1 / 0)


async def test_statements_wait_behind_a_transaction(session):
    await session.execute("CREATE TABLE t (a)", ())
    inside = asyncio.Event()

    async def work(tx):
        inside.set()
        await tx.execute("INSERT INTO t VALUES (?)", 1)
        await asyncio.sleep(0)
        return "done"

    ending = asyncio.create_task(session.transaction(work))
    await inside.wait()
    assert await session.execute("SELECT count(*) AS n FROM t", ()) == [{"n": 1}]
    assert ending.done()
    assert await ending == "done"


async def test_a_failed_transaction_leaves_nothing(session):
    await session.execute("CREATE TABLE t (a)", ())

    async def work(tx):
        await tx.execute("INSERT INTO t VALUES (1)")
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await session.transaction(work)
    assert await session.execute("SELECT * FROM t", ()) == []


async def test_a_rollback_that_fails_ends_the_use_of_the_database(session):
    class Refusing:
        in_transaction = True

        def execute(self, sql):
            raise sqlite3.OperationalError("disk I/O error")

    transaction = Transaction(session, 60)
    transaction._began = True
    with pytest.raises(RollbackFailedError):
        transaction._rollback_job(Refusing())
    session.broken(RollbackFailedError("no"))
    with pytest.raises(ActorError, match="closed"):
        await session.execute("SELECT 1", ())
    assert len(session.reported) == 1
