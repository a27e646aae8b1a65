"""How many files databases hold open: three for each, and the one that idles longest is closed for another."""

import asyncio
import sqlite3
import time
from functools import partial
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text

from runtime.actor.database.actor_database import ActorDatabase
from runtime.actor.database.connection import connect
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.handles import open_files
from runtime.actor.database.pool import DatabasePool
from runtime.actor.database.sqlalchemy_binding import sqlalchemy_database
from runtime.errors import ActorError
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.sqlite import SQLiteStorage

nothing = lambda connection: None  # noqa: E731 - reads as a value


@pytest.fixture
async def few():
    pool = DatabasePool(2, 9)
    pool.files.most = 9
    yield pool
    await pool.close()


@pytest.fixture
def opened(few, tmp_path):
    """Opens databases on disk, by name."""
    return lambda name, prepare=nothing: few.open(partial(connect, str(tmp_path / name), "off"), prepare, on_disk=True)


def sql(text, *values):
    return lambda connection: connection.execute(text, values).fetchall()


def files_of(path):
    """How many files of a directory this process has open."""
    return len([link for link in Path("/proc/self/fd").iterdir() if link.exists() and str(link.readlink()).startswith(str(path))])


async def test_files_are_few_and_what_was_written_is_there(few, opened, tmp_path):
    databases = [await opened(f"d{number}") for number in range(20)]
    for number, one in enumerate(databases):
        await one.submit(sql("CREATE TABLE t (x)"))
        await one.submit(sql("INSERT INTO t VALUES (?)", number))
        assert few.files.count <= 9
        assert files_of(tmp_path) <= 9
    # All at once, too, with the threads taking turns at what must be opened first.
    rows = await asyncio.gather(*(one.submit(sql("SELECT x FROM t")) for _ in range(3) for one in databases))
    assert rows == [[(number,)] for _ in range(3) for number in range(20)]
    assert few.files.closed > 20
    await asyncio.gather(*(one.close() for one in databases))
    assert few.files.count == files_of(tmp_path) == 0


def until_idle(databases):
    """A thread lets go of a database a moment after its answer."""
    while any(one._queue.running for one in databases):
        time.sleep(0.0005)


async def test_the_one_that_idles_longest_is_closed(few, opened):
    databases = [await opened(f"d{number}") for number in range(3)]
    await databases[0].submit(sql("SELECT 1"))
    await asyncio.to_thread(until_idle, databases)
    await opened("d3")
    assert [one._handle.connection is None for one in databases] == [False, True, False]


async def reopened(few, opened, one):
    """Ask others until it was closed, and say so of it."""
    # Not the connection itself: one that somebody refers to is not closed.
    before = id(one._handle.connection)
    # More than there is room for: a thread that was interrupted right after its job keeps its database a little longer.
    for number in range(6):
        await (await opened(f"other{number}")).submit(sql("SELECT 1"))
    closed = one._handle.connection is None
    assert closed or id(one._handle.connection) == before
    return closed


@pytest.mark.parametrize("changes", [0, 1, 3], ids=str)
async def test_counts_are_those_of_the_connection_before(few, opened, changes):
    one = await opened("one")
    counts = sql("SELECT changes(), total_changes(), last_insert_rowid()")
    assert await one.submit(counts) == [(0, 0, 0)]
    await one.submit(sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x)"))
    await one.submit(sql("INSERT INTO t VALUES (7, 1), (8, 1), (2, 1)"))
    await one.submit(sql(f"UPDATE t SET x = 2 WHERE id IN (SELECT id FROM t LIMIT {changes})"))
    before = await one.submit(counts)
    assert before == [(changes, 3 + changes, 2)]
    for _ in range(2):
        assert await reopened(few, opened, one)
        assert await one.submit(counts) == before
    await one.submit(sql("DELETE FROM t"))
    assert await one.submit(counts) == [(3, 6 + changes, 2)]
    await one.submit(sql("INSERT INTO t VALUES (-5, 1)"))
    assert await reopened(few, opened, one)
    assert await one.submit(counts) == [(1, 7 + changes, -5)]
    assert len(await one.submit(sql("PRAGMA database_list"))) == 1


async def test_all_that_can_be_set_comes_back(few, opened):
    one = await opened("one")
    pragmas = {
        "foreign_keys": 0, "busy_timeout": 77, "cache_size": -100, "recursive_triggers": 1, "secure_delete": 2, "synchronous": 2,
        "temp_store": 2, "query_only": 1, "max_page_count": 1000, "wal_autocheckpoint": 5, "trusted_schema": 0, "cache_spill": 0,
    }  # fmt: skip
    await one.submit(sql("CREATE TABLE t (x)"))
    await one.submit(sql("INSERT INTO t VALUES (1)"))

    def change(connection):
        connection.create_function("twice", 1, lambda value: value * 2)
        connection.create_function("gone", 0, int)
        connection.create_function("gone", 0, None)
        connection.create_collation("backwards", lambda a, b: (a < b) - (a > b))
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 3)
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name} = {'fast' if name == 'secure_delete' else value}").fetchall()
        connection.execute("PRAGMA case_sensitive_like = ON")
        connection.set_authorizer(lambda action, table, *_: sqlite3.SQLITE_DENY if table == "secret" else sqlite3.SQLITE_OK)
        connection.row_factory = sqlite3.Row

    await one.submit(change)
    for _ in range(2):
        assert await reopened(few, opened, one)

        def look(connection):
            assert connection.row_factory is sqlite3.Row
            connection.row_factory = None
            found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas}
            assert found == pragmas
            assert connection.execute("SELECT 'a' LIKE 'A', twice(4), changes(), last_insert_rowid()").fetchall() == [(0, 8, 1, 1)]
            assert connection.execute("SELECT max('a' COLLATE backwards, 'b')").fetchone() == ("a",)
            assert connection.getlimit(sqlite3.SQLITE_LIMIT_ATTACHED) == 3
            with pytest.raises(sqlite3.OperationalError, match="no such function: gone"):
                connection.execute("SELECT gone()")
            with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
                connection.execute("CREATE TEMP TABLE secret (x)")
            connection.row_factory = sqlite3.Row

        await one.submit(look)


STAYS = {
    "transaction": "BEGIN",
    "savepoint": "SAVEPOINT s",
    "temporary table": "CREATE TEMP TABLE temporary (x)",
    "temporary view": "CREATE TEMP VIEW v AS SELECT 1",
    "attached": "ATTACH ':memory:' AS other",
    "journal": "PRAGMA journal_mode = DELETE",
    "lock": "PRAGMA locking_mode = EXCLUSIVE",
    "many changes": "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10001) SELECT i FROM n",
}


@pytest.mark.parametrize("what", STAYS)
async def test_what_cannot_be_brought_back_is_not_closed(few, opened, what):
    one = await opened("one")
    await one.submit(sql("CREATE TABLE t (x)"))
    await one.submit(sql(STAYS[what]))
    assert not await reopened(few, opened, one)
    await one.submit(sql("SELECT 1"))


async def test_what_somebody_holds_is_not_closed(few, opened):
    one = await opened("one")
    cursor = await one.submit(lambda connection: connection.execute("SELECT 1 UNION SELECT 2"))
    assert not await reopened(few, opened, one)
    assert cursor.fetchall() == [(1,), (2,)]
    del cursor
    await one.submit(sql("SELECT 1"))
    assert await reopened(few, opened, one)


async def test_when_all_must_stay_open_the_newcomer_is_refused(few, opened, monkeypatch):
    monkeypatch.setattr(open_files, "WAIT", 0.05)
    kept = [await opened(f"kept{number}") for number in range(3)]
    for one in kept:
        await one.submit(sql("BEGIN"))
    with pytest.raises(ActorError, match="sqlite_files") as refused:
        await opened("newcomer")
    assert (refused.value.group, refused.value.code) == ("actor", "overloaded")
    await kept[1].submit(sql("ROLLBACK"))
    await (await opened("newcomer")).submit(sql("SELECT 1"))
    assert kept[1]._handle.connection is None


async def test_those_that_wait_for_room_take_no_thread(few, opened):
    kept = [await opened(f"kept{number}") for number in range(3)]
    for one in kept:
        await one.submit(sql("BEGIN"))
    waiting = [asyncio.create_task(opened(f"waits{number}")) for number in range(5)]
    await asyncio.sleep(0.03)
    assert not any(one.done() for one in waiting)
    # All threads are free for what ends the transactions.
    for one in kept:
        await one.submit(sql("COMMIT"))
    newcomers = await asyncio.gather(*waiting)
    assert await asyncio.gather(*(one.submit(sql("SELECT 1")) for one in newcomers)) == [[(1,)]] * 5


async def test_what_waits_for_room_can_be_taken_back_and_closed(few, opened):
    one = await opened("one")
    await one.submit(sql("CREATE TABLE t (x)"))
    kept = [await opened(f"kept{number}") for number in range(3)]
    for other in kept:
        await other.submit(sql("BEGIN"))
    assert one._handle.connection is None
    taken, last = one.submit(sql("INSERT INTO t VALUES (1)")), one.submit(sql("SELECT * FROM t"))
    await asyncio.sleep(0.01)
    assert taken.cancel()
    # The loop tells the thread in its next turn.
    await asyncio.sleep(0)
    await kept[0].submit(sql("COMMIT"))
    assert await last == []
    await kept[0].submit(sql("BEGIN"))
    behind = one.submit(sql("SELECT 1"))
    await asyncio.sleep(0.01)
    await one.close()
    with pytest.raises(DatabaseClosedError):
        await behind


async def test_attached_files_count(few, opened, tmp_path):
    one = await opened("one")
    await one.submit(sql(f"ATTACH '{tmp_path}/beside' AS beside"))
    assert not await reopened(few, opened, one)
    assert few.files.count <= 9
    await one.close()
    assert few.files.count == files_of(tmp_path) <= 6


async def test_a_file_that_is_gone_or_damaged_costs_its_actor_an_error(few, opened, tmp_path):
    one = await opened("one")
    await one.submit(sql("CREATE TABLE t (x)"))
    assert await reopened(few, opened, one)
    (tmp_path / "one").rename(tmp_path / "away")
    with pytest.raises(ActorError, match="internal error") as refused:
        await one.submit(sql("SELECT * FROM t"))
    assert "not there any more" in refused.value.metadata["error"]
    (tmp_path / "one").write_bytes(b"no database at all" * 100)
    with pytest.raises(ActorError) as refused:
        await one.submit(sql("SELECT * FROM t"))
    assert "no SQLite database" in refused.value.metadata["error"]
    assert few.files.count <= 9
    (tmp_path / "away").rename(tmp_path / "one")
    assert await one.submit(sql("SELECT * FROM t")) == []


async def test_a_database_that_was_closed_for_another_closes(few, opened):
    one = await opened("one")
    assert await reopened(few, opened, one)
    await one.close()
    await one.close()
    with pytest.raises(DatabaseClosedError):
        one.submit(nothing)


async def test_databases_in_memory_hold_no_files_and_stay(few):
    databases = [await few.open(partial(connect, "file::memory:", "off"), nothing) for _ in range(10)]
    assert few.files.count == 0
    assert all(one._handle.connection for one in databases)


async def test_sqlalchemy_goes_on_with_the_connection_that_takes_the_place(few, opened, tmp_path):
    disk = SQLiteStorage(tmp_path)
    provider = sqlalchemy_database(on_migrate=lambda db: db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x)"))
    await disk.open()
    database = ActorDatabase("actor1", GenerationStorage(disk, "actor1", 1, few), provider, structlog.get_logger(), print)
    await database.migrate()
    worker = (await database.open())._database
    for number in range(3):
        # What SQLAlchemy gave to the first connection, a function for regular expressions, is there on all.
        await database.client.connection(lambda one: one.execute(text("INSERT INTO t (x) VALUES ('abc'), ('xyz')")))
        found = await database.client.query(text("SELECT count(*) AS n FROM t WHERE x REGEXP 'b'"))
        assert found == [{"n": number + 1}]
        assert await reopened(few, opened, worker)
    await database.close()
    await disk.close()
