"""Each part of an actor's database by itself: the gate, the thread, sessions, transactions, the life of one generation."""

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import structlog

from runtime.actor.database.actor_database import ActorDatabase
from runtime.actor.database.bootstrap import bootstrap, reserved_names_guarded
from runtime.actor.database.connection import MAX_PAGES, connect
from runtime.actor.database.coordinator import QUEUE_CAPACITY, Coordinator, Waiter
from runtime.actor.database.provider import raw_database
from runtime.actor.database.session import DatabaseSession
from runtime.actor.database.submitted import Submitted
from runtime.actor.database.transaction import RollbackFailedError, Transaction
from runtime.actor.database.worker import INBOX_CAPACITY, DatabaseClosedError, SqlWorker
from runtime.errors import ActorError
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.base import Put
from runtime.storage.directory import StorageVersionError
from runtime.storage.memory import MemoryStorage

memory = partial(connect, ":memory:", "off")
nothing = lambda connection: None  # noqa: E731 - reads as a value


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


# The gate.


def test_what_waits_behind_a_transaction_is_served_up_to_the_next():
    gate, log = Coordinator(), []
    first, second = (Waiter(partial(log.append, name), log.append, exclusive=True) for name in ("first", "second"))
    for waiter in (first, Waiter(partial(log.append, "a"), log.append), second, Waiter(partial(log.append, "b"), log.append)):
        gate.admit(waiter)
    assert log == ["first"]
    gate.release(second)
    gate.release(first)
    assert log == ["first", "a", "second"]
    gate.release(second)
    assert log[3:] == ["b"]
    assert not gate.busy


def test_the_queue_of_the_gate_is_bounded():
    gate, failed = Coordinator(), []
    gate.admit(Waiter(lambda: None, failed.append, exclusive=True))
    for _ in range(QUEUE_CAPACITY + 1):
        gate.admit(Waiter(lambda: None, failed.append))
    assert [error.name for error in failed] == ["sqlite.transaction_queue_full"]
    gate.close(DatabaseClosedError)
    gate.close(ValueError)
    gate.admit(Waiter(lambda: None, failed.append))
    assert len(failed) == QUEUE_CAPACITY + 2
    assert isinstance(failed[-1], DatabaseClosedError)


# The thread.


async def test_a_worker_prepares_connects_anew_and_runs_in_order():
    connections = []

    def remembered():
        connections.append(memory())
        return connections[-1]

    worker = SqlWorker(remembered, ThreadPoolExecutor(1))
    await worker.open(bootstrap)
    # The bootstrap wrote rows, so user code gets a connection that has written none (DB-129).
    assert len(connections) == 2
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

    worker = SqlWorker(memory, ThreadPoolExecutor(1))
    with pytest.raises(StorageVersionError):
        await worker.open(refuse)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")
    await worker.close()


async def test_the_inbox_of_a_worker_is_bounded_but_for_the_end_of_a_transaction():
    worker = SqlWorker(memory, ThreadPoolExecutor(1))
    await worker.open(nothing)
    hold = threading.Event()
    waiting = [worker.submit(lambda _: hold.wait(5))] + [worker.submit(nothing) for _ in range(INBOX_CAPACITY)]
    with pytest.raises(ActorError, match="overloaded"):
        worker.submit(nothing)
    waiting.append(worker.submit(nothing, control=True))
    hold.set()
    await asyncio.gather(*waiting)
    await worker.close()


# Connection, bootstrap, reserved names.


def test_settings_and_rows_of_the_runtime_are_apart():
    connection = memory()
    settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "foreign_keys", "max_page_count")]
    assert settings == [4096, 1, MAX_PAGES]
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    bootstrap(connection)
    assert {key for (key,) in connection.execute("SELECT key FROM _rivet_meta")} == {"schema_version", "kv_import_state"}
    written = connection.total_changes
    bootstrap(connection)
    assert connection.total_changes == written
    connection.execute("UPDATE _rivet_meta SET value = ? WHERE key = 'schema_version'", ((2).to_bytes(8, "little"),))
    with pytest.raises(StorageVersionError):
        bootstrap(connection)
    assert not connection.in_transaction
    connection.close()


def test_reserved_names_may_be_read_only():
    connection = memory()
    bootstrap(connection)
    with reserved_names_guarded(connection, "SELECT * FROM _rivet_meta"):
        connection.execute("SELECT * FROM _rivet_meta")
    with pytest.raises(ValueError, match="_rivet_mine is reserved"), reserved_names_guarded(connection, "CREATE TABLE _rivet_mine"):
        connection.execute("CREATE TABLE _rivet_mine (a)")
    connection.close()


# Sessions and transactions.


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


# One generation.


async def generation(provider=None, disk=None):
    disk = disk or MemoryStorage()
    await disk.open()
    return ActorDatabase("actor1", GenerationStorage(disk, "actor1", 1), provider, structlog.get_logger(), print)


async def test_without_a_provider_only_inspectors_have_a_client():
    database = await generation()
    await database.migrate()
    with pytest.raises(ActorError) as refused:
        database.client  # noqa: B018 - the look-up raises
    assert refused.value.name == "actor.database_not_configured"
    assert await (await database.inspector_client()).execute("SELECT 1 AS n") == [{"n": 1}]
    await database.close()


async def test_a_failed_migration_closes_the_database():
    database = await generation(raw_database(lambda db: db.execute("NO SQL")))
    with pytest.raises(ActorError):
        await database.migrate()
    with pytest.raises(DatabaseClosedError):
        await database.inspector_client()


async def test_entries_wait_behind_a_transaction_and_stop_with_the_fence():
    database = await generation(raw_database())
    await database.migrate()
    await database.gate()
    inside, go = asyncio.Event(), asyncio.Event()

    async def work(tx):
        inside.set()
        await go.wait()

    transaction = asyncio.create_task(database.client.transaction(work))
    await inside.wait()
    waiting = asyncio.create_task(database.gate())
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    await asyncio.gather(transaction, waiting)
    database.fence()
    with pytest.raises(ActorError, match="closed"):
        await database.gate()
    await database.close()


async def test_a_generation_has_the_rows_of_its_actor_and_its_number():
    disk = MemoryStorage()
    await disk.open()
    old, new, other = (GenerationStorage(disk, actor, number) for actor, number in (("a", 1), ("a", 2), ("b", 1)))
    await old.commit([Put("t", b"k", b"1")])
    await new.commit([Put("t", b"l", b"2")])
    # A late write of the old generation is still a write of the old one.
    assert (old.generation, new.generation) == (1, 2)
    assert await old.get("t", b"l") == b"2"
    assert await new.scan("t", reverse=True, limit=1) == [(b"l", b"2")]
    assert await new.load() == {"t": [(b"k", b"1"), (b"l", b"2")]}
    assert await other.load() == {}
