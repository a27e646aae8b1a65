"""What one commit may hold (DB-321), on a disk and in memory."""

import sqlite3

import pytest

from runtime import ActorError, raw_database
from runtime.actor.database.connection import connect
from runtime.actor.database.handles.page_limit import CommitTooLargeError, PageLimit
from runtime.storage.memory import MemoryStorage
from runtime.storage.sqlite import SQLiteStorage
from tests.runtime.owner import Owner

SCHEMA = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v BLOB)"
PAGES = 4096


@pytest.fixture(params=["disk", "memory", "engine"])
async def owner(request, tmp_path, at_engine):
    if request.param == "engine":
        at_engine()
    disk = SQLiteStorage(tmp_path) if request.param == "disk" else MemoryStorage()
    owner = await Owner(disk=disk, database=raw_database(lambda db: db.execute(SCHEMA))).start()
    await owner.database.client.execute("INSERT INTO t (v) VALUES ('before')")
    yield owner
    await owner.database.close()
    await disk.close()


async def refused(awaitable):
    with pytest.raises(ActorError) as caught:
        await awaitable
    assert caught.value.name == "core.internal_error"
    assert caught.value.metadata["error"].startswith("disk I/O error")


async def usable(owner, rows=1):
    db = owner.database.client
    assert (await db.execute("SELECT count(*) AS n FROM t"))[0]["n"] == rows
    assert await db.execute("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    await db.execute("INSERT INTO t (v) VALUES ('after')")
    assert (await db.execute("SELECT count(*) AS n FROM t"))[0]["n"] == rows + 1


async def test_a_statement(owner):
    await refused(owner.database.client.execute("INSERT INTO t (v) VALUES (zeroblob(?))", 330 * PAGES))
    await usable(owner)
    await owner.database.client.execute("INSERT INTO t (v) VALUES (zeroblob(?))", 280 * PAGES)


async def test_a_transaction_of_many_statements(owner):
    async def work(tx):
        for _ in range(4):
            await tx.execute("INSERT INTO t (v) VALUES (zeroblob(?))", 100 * PAGES)

    await refused(owner.database.client.transaction(work))
    await usable(owner)


async def test_a_transaction_by_hand(owner):
    db = owner.database.client
    await db.execute("BEGIN")
    for _ in range(4):
        await db.execute("INSERT INTO t (v) VALUES (zeroblob(?))", 100 * PAGES)
    await refused(db.execute("COMMIT"))
    await usable(owner)
    for _ in range(4):
        await db.execute("INSERT INTO t (v) VALUES (zeroblob(?))", 100 * PAGES)
    # One commit each, and a script is no transaction.
    await usable(owner, rows=6)
    await refused(db.execute("VACUUM"))


async def test_a_script_keeps_what_came_before(owner):
    big = 330 * PAGES
    await refused(owner.database.client.execute(f"INSERT INTO t (v) VALUES (1); INSERT INTO t (v) VALUES (zeroblob({big}))"))
    await usable(owner, rows=2)


@pytest.fixture
def disk(tmp_path):
    connection = connect(str(tmp_path / "db"), "normal")
    connection.execute(SCHEMA)
    yield connection
    connection.close()


def run(connection, limit, *statements):
    """Each statement as user code runs it."""
    for sql in statements:
        with limit.around(connection, sql):
            connection.execute(sql).fetchall()


@pytest.mark.parametrize("change", ["UPDATE t SET v = zeroblob(2999) WHERE id <= {}", "DELETE FROM t WHERE id <= {}"])
def test_pages_that_are_changed_in_place_count(disk, change):
    limit = PageLimit()
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT zeroblob(3000) FROM n"
    disk.execute(f"INSERT INTO t (v) {rows}")
    run(disk, limit, change.format(270))
    with pytest.raises(CommitTooLargeError):
        run(disk, limit, change.format(270 + 330))
    assert disk.execute("SELECT count(*) FROM t WHERE length(v) = 3000").fetchone() == (900 - 270,)


def test_failing_statements_are_as_without_a_limit(disk):
    limit = PageLimit()
    disk.execute("CREATE UNIQUE INDEX u ON t (v)")
    run(disk, limit, "INSERT INTO t (v) VALUES (1)")
    for conflict, kept in (("ABORT", 1), ("FAIL", 2), ("ROLLBACK", 2)):
        with pytest.raises(sqlite3.IntegrityError):
            run(disk, limit, f"INSERT OR {conflict} INTO t (v) VALUES (2), (1)")
        assert not disk.in_transaction
        assert disk.execute("SELECT count(*) FROM t").fetchone() == (kept,)
    disk.execute("CREATE TABLE c (t INTEGER REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        run(disk, limit, "INSERT INTO c VALUES (99)")
    assert not disk.in_transaction
    run(disk, limit, "/* a */ -- b\n BEGIN", "INSERT INTO t (v) VALUES (5)", "SAVEPOINT s", "RELEASE s", "ROLLBACK")
    assert disk.execute("SELECT count(*) FROM t").fetchone() == (2,)
