from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest
from structlog.testing import capture_logs

from runtime.actor.database.ended_generation import DATABASE_CLOSED, DatabaseClosedError
from runtime.actor.database.provider import raw_database
from runtime.errors import ActorError
from runtime.storage.sqlite import SQLiteStorage
from tests.runtime.owner import Owner
from tests.runtime.parts import run_virtual

SCHEMA = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT NOT NULL UNIQUE)"


@pytest.fixture(params=["memory", "sqlite", "engine"])
async def owner(request, tmp_path, at_engine):
    if request.param == "engine":
        at_engine()
    storage = SQLiteStorage(tmp_path) if request.param == "sqlite" else None
    owner = await Owner(disk=storage, database=raw_database(lambda db: db.execute(SCHEMA))).start()
    yield owner
    await owner.database.close()
    await owner.disk.close()


async def values(owner):
    return [row["v"] for row in await owner.database.client.execute("SELECT v FROM t ORDER BY id")]


async def failing(awaitable):
    with pytest.raises(ActorError) as caught:
        await awaitable
    return caught.value


# Statements and results.


async def test_results(owner):
    db = owner.database.client
    assert await db.execute("SELECT 1 AS a, 2.5 AS b, NULL AS c, 'x' AS d, x'00ff' AS e, 2 AS a") == [
        {"a": 2, "b": 2.5, "c": None, "d": "x", "e": b"\x00\xff"}
    ]
    assert await db.execute("INSERT INTO t (v) VALUES ('a')") == []
    assert await db.execute("INSERT INTO t (v) VALUES (?) RETURNING id, v", "b") == [{"id": 2, "v": "b"}]
    assert await db.execute("SELECT v FROM t WHERE id > 5") == []
    assert await db.execute("SELECT last_insert_rowid() AS id;") == [{"id": 2}]
    assert await db.execute(" -- nothing") == []


async def test_scripts_return_the_last_rows_and_are_not_a_transaction(owner):
    db = owner.database.client
    script = "BEGIN; INSERT INTO t (v) VALUES ('a'); COMMIT; SELECT v FROM t; DELETE FROM t WHERE v = 'z'"
    assert await db.execute(script) == [{"v": "a"}]
    error = await failing(db.execute("INSERT INTO t (v) VALUES ('b'); INSERT INTO nowhere VALUES (1)"))
    assert (error.name, error.public) == ("core.internal_error", False)
    assert error.metadata == {"error": "no such table: nowhere"}
    assert await values(owner) == ["a", "b"]


async def test_a_failing_statement_is_logged_once_and_leaves_the_connection_usable(owner):
    with capture_logs() as logs:
        error = await failing(owner.database.client.execute("INSERT INTO t (v) VALUES (?)", None))
    assert "NOT NULL" in error.metadata["error"]
    assert isinstance(error.__cause__, sqlite3.IntegrityError)
    assert [(log["operation"], log["bindings"], log["statements"]) for log in logs] == [("execute", 1, 1)]
    await owner.database.client.execute("INSERT INTO t (v) VALUES ('a')")


async def test_statements_issued_together_run_in_call_order_without_being_awaited(owner):
    db = owner.database.client
    pending = [db.execute("INSERT INTO t (v) VALUES (?)", str(number)) for number in range(40)]
    assert await db.execute("SELECT count(*) AS n FROM t") == [{"n": 40}]
    await asyncio.gather(*pending)
    tasks = [asyncio.create_task(db.execute("INSERT INTO t (v) VALUES (?)", f"t{number}")) for number in range(5)]
    await asyncio.gather(*tasks)
    assert await values(owner) == [str(number) for number in range(40)] + [f"t{number}" for number in range(5)]


async def test_the_database_is_set_up_as_promised(owner):
    db = owner.database.client
    assert await db.execute("PRAGMA page_size") == [{"page_size": 4096}]
    assert await db.execute("PRAGMA foreign_keys") == [{"foreign_keys": 1}]
    assert await db.execute("PRAGMA encoding") == [{"encoding": "UTF-8"}]
    assert (await db.execute("SELECT json_extract('{\"a\":[5]}', '$.a[0]') AS x")) == [{"x": 5}]
    await db.execute("CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('hello world')")
    assert await db.execute("SELECT body FROM f WHERE f MATCH 'world'") == [{"body": "hello world"}]
    rows = {row["key"]: row["value"] for row in await db.execute("SELECT key, value FROM _rivet_meta")}
    assert rows == {"schema_version": (1).to_bytes(8, "little"), "kv_import_state": b"done"}


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE _rivet_mine (a)", "CREATE TABLE \"__DRIZZLE_x\" (a)", "DROP TABLE _rivet_meta", "DELETE FROM _rivet_meta",
        "UPDATE _rivet_meta SET value = x''", "INSERT INTO _Rivet_meta VALUES ('a', '')", "CREATE INDEX _rivet_i ON t (v)",
        "ALTER TABLE t RENAME TO _rivet_t", "SAVEPOINT __rivet_on_migrate", "CREATE VIEW _rivet_v AS SELECT 1",
    ],
)  # fmt: skip
async def test_reserved_names_are_refused(owner, sql):
    with pytest.raises(ValueError, match="is reserved for the runtime"):
        await owner.database.client.execute(sql)
    assert len(await owner.database.client.execute("SELECT * FROM _rivet_meta")) == 2
    await owner.database.client.execute("PRAGMA table_info(_rivet_meta)")
    await owner.database.client.execute("INSERT INTO t (v) VALUES ('_rivet_ as a value')")


async def test_overload_is_answered_at_once(owner):
    db, gate = owner.database.client, threading.Event()
    session = db._session
    blocked = session.submit(lambda _: gate.wait(10))
    waiting = [db.execute("SELECT 1") for _ in range(128)]
    error = await failing(db.execute("SELECT 1"))
    gate.set()
    assert error.name == "actor.overloaded"
    assert error.message == "Actor channel 'sqlite_worker' is overloaded while attempting to execute sqlite command (capacity 128)."
    await asyncio.gather(blocked, *waiting)
    await db.execute("SELECT 1")


async def test_large_values_and_sound_churn(owner):
    db = owner.database.client
    for size in (4095, 4096, 4097, 8192, 16385, 32768, 500_000):
        await db.execute("INSERT INTO t (v) VALUES (?)", f"{size}:".ljust(size, "x"))
        assert await db.execute("SELECT length(v) AS n FROM t WHERE id = last_insert_rowid()") == [{"n": size}]
    await db.execute("INSERT INTO t (v) VALUES " + ", ".join(f"('r{number}')" for number in range(1000)))
    before = (await db.execute("PRAGMA page_count"))[0]["page_count"]
    await db.execute("DELETE FROM t")
    await db.execute("VACUUM")
    assert (await db.execute("PRAGMA page_count"))[0]["page_count"] < before
    assert await db.execute("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


async def test_cancelling_a_statement_that_has_not_started_takes_it_back(owner):
    db, gate = owner.database.client, threading.Event()
    blocked = db._session.submit(lambda _: gate.wait(10))
    insert = asyncio.create_task(db.execute("INSERT INTO t (v) VALUES ('never')"))
    await asyncio.sleep(0)
    insert.cancel()
    await asyncio.wait([insert])
    gate.set()
    await blocked
    assert await values(owner) == []


# Life of a generation.


async def test_data_survives_and_old_handles_are_refused(owner):
    old = owner.database.client
    await old.execute("INSERT INTO t (v) VALUES ('kept')")
    following = await owner.start_again()
    with pytest.raises(DatabaseClosedError) as caught:
        await old.execute("INSERT INTO t (v) VALUES ('stale')")
    assert str(caught.value) == DATABASE_CLOSED
    with pytest.raises(DatabaseClosedError):
        await old.transaction(lambda tx: tx.execute("SELECT 1"))
    assert await values(following) == ["kept"]
    await following.database.close()


async def test_fence_lets_the_running_statement_finish_and_refuses_the_rest(owner):
    db, started, gate = owner.database.client, threading.Event(), threading.Event()

    def insert(connection):
        started.set()
        gate.wait(10)
        connection.execute("INSERT INTO t (v) VALUES ('running')")

    running = db._session.ordinary(insert)
    queued = db.execute("INSERT INTO t (v) VALUES ('queued')")
    await asyncio.to_thread(started.wait, 10)
    owner.database.fence()
    late = db.execute("INSERT INTO t (v) VALUES ('late')")
    gate.set()
    await running
    for refused in (queued, late):
        with pytest.raises(DatabaseClosedError):
            await refused
    following = await owner.start_again()
    assert await values(following) == ["running"]
    await following.database.close()


async def test_close_rolls_back_manual_and_coordinated_transactions(owner):
    db = owner.database.client
    await db.execute("INSERT INTO t (v) VALUES ('kept')")
    await db.execute("BEGIN")
    await db.execute("INSERT INTO t (v) VALUES ('manual')")
    owner = await owner.start_again()
    assert await values(owner) == ["kept"]

    inside = asyncio.Event()

    async def stay(tx):
        await tx.execute("INSERT INTO t (v) VALUES ('coordinated')")
        inside.set()
        await asyncio.sleep(0.05)
        await tx.execute("INSERT INTO t (v) VALUES ('second')")

    staying = asyncio.create_task(owner.database.client.transaction(stay))
    await inside.wait()
    behind = owner.database.client.execute("SELECT 1")
    following = await owner.start_again()
    for refused in (staying, behind):
        with pytest.raises(DatabaseClosedError):
            await refused
    assert await values(following) == ["kept"]
    await following.database.close()


async def test_user_close_twice(owner):
    db = owner.database.client
    await db.close()
    await db.close()
    with pytest.raises(DatabaseClosedError):
        await db.execute("SELECT 1")


async def test_a_statement_that_does_not_end_is_interrupted_at_close(owner, monkeypatch):
    monkeypatch.setattr("runtime.actor.database.worker.CLOSE_TIMEOUT", 0.2)
    endless = owner.database.client.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
    await asyncio.sleep(0.05)
    await asyncio.wait_for(owner.database.close(), 5)
    assert (await failing(endless)).metadata == {"error": "interrupted"}


async def test_no_provider_no_client_but_a_database_for_the_inspector():
    owner = await Owner().start()
    assert (await failing(asyncio.to_thread(lambda: owner.database.client))).name == "actor.database_not_configured"
    client = await owner.database.inspector_client()
    await client.execute("CREATE TABLE x (a)")
    assert await client.execute("SELECT count(*) AS n FROM x") == [{"n": 0}]
    await owner.database.close()


async def test_the_client_is_not_ready_before_the_migration():
    owner = Owner(database=raw_database())
    with pytest.raises(ActorError) as caught:
        owner.database.client  # noqa: B018 - the property raises
    assert caught.value.name == "actor.database_client_not_ready"


async def test_a_database_of_a_newer_runtime_is_refused(tmp_path):
    owner = await Owner(disk=SQLiteStorage(tmp_path), database=raw_database()).start()
    newer = (7).to_bytes(8, "little")
    await owner.database.client._session.ordinary(
        lambda c: c.execute("UPDATE _rivet_meta SET value = ? WHERE key = 'schema_version'", (newer,))
    )
    with pytest.raises(RuntimeError, match="actor sqlite internal schema version 7 is newer than supported version 1"):
        await owner.start_again()
    await owner.disk.close()


@pytest.mark.parametrize(("state", "next_state"), [(b"importing", b"done"), (None, b"done"), (b"odd", None)])
async def test_an_import_that_was_cut_off_is_done_and_an_unknown_state_refused(tmp_path, state, next_state):
    owner = await Owner(disk=SQLiteStorage(tmp_path), database=raw_database()).start()

    def leave(connection):
        connection.execute("DELETE FROM _rivet_meta WHERE key = 'kv_import_state'")
        if state is not None:
            connection.execute("INSERT INTO _rivet_meta VALUES ('kv_import_state', ?)", (state,))

    await owner.database.client._session.ordinary(leave)
    if next_state is None:
        with pytest.raises(RuntimeError, match="unknown kv_import_state b'odd'"):
            await owner.start_again()
    else:
        owner = await owner.start_again()
        rows = await owner.database.client.execute("SELECT value FROM _rivet_meta WHERE key = 'kv_import_state'")
        assert rows == [{"value": next_state}]
        await owner.database.close()
    await owner.disk.close()


async def test_everything_runs_on_virtual_time(tmp_path):
    async def scenario():
        owner = await Owner(disk=SQLiteStorage(tmp_path), database=raw_database(lambda db: db.execute(SCHEMA))).start()
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def stuck(tx):
            await tx.execute("INSERT INTO t (v) VALUES ('never')")
            await asyncio.sleep(61)

        error = await failing(owner.database.client.transaction(stuck))
        assert (error.name, error.metadata) == ("sqlite.transaction_expired", {"timeout_ms": 60000})
        assert loop.time() - started == pytest.approx(61, abs=1)
        assert await values(owner) == []
        await owner.database.close()
        await owner.disk.close()

    await asyncio.to_thread(run_virtual, scenario())


# Warnings.


async def warnings_of(owner, *statements, client=None):
    client = client or owner.database.client
    with capture_logs() as logs:
        for statement in statements:
            await client.execute(statement)
    return [log["event"] for log in logs if "Manual" in log["event"]]


async def test_manual_transactions_warn_once(owner):
    first = await warnings_of(owner, "BEGIN; COMMIT", "SELECT 1", " begin", "COMMIT", "BEGIN", "ROLLBACK")
    assert len(first) == 1
    assert "Manual cross-call SQLite transactions can interleave" in first[0]
    assert "Set warnOnManualTransactions: false" in first[0]
    assert "warn_on_manual_transactions=False" in first[0]


async def test_the_warning_can_be_switched_off():
    owner = await Owner(database=raw_database(warn_on_manual_transactions=False)).start()
    assert await warnings_of(owner, "BEGIN", "COMMIT") == []
    await owner.database.close()


async def test_statements_of_a_transaction_do_not_warn(owner):
    async def work(tx):
        return await warnings_of(owner, "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", client=tx)

    assert await owner.database.client.transaction(work) == []
