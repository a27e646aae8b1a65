from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from runtime.actor.database.provider import raw_database
from runtime.errors import ActorError
from tests.runtime.owner import Owner

SCHEMA = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT NOT NULL UNIQUE)"


@pytest.fixture
async def owner(either_host):
    owner = await Owner(database=raw_database(lambda db: db.execute(SCHEMA))).start()
    yield owner
    await owner.database.close()


@pytest.fixture
def db(owner):
    return owner.database.client


def insert(value):
    return "INSERT INTO t (v) VALUES (?)", value


async def values(db):
    return [row["v"] for row in await db.execute("SELECT v FROM t ORDER BY id")]


async def failing(awaitable):
    with pytest.raises(ActorError) as caught:
        await awaitable
    return caught.value


async def test_commit_returns_the_value(db):
    async def work(tx):
        await tx.execute(*insert("a"))
        await tx.execute("INSERT INTO t (v) VALUES ('b'); INSERT INTO t (v) VALUES ('c')")
        return 7

    assert await db.transaction(work, name="n" * 128) == 7
    assert await values(db) == ["a", "b", "c"]


async def test_rollback_raises_the_same_error(db):
    error = KeyError("mine")

    async def work(tx):
        await tx.execute(*insert("a"))
        raise error

    with pytest.raises(KeyError) as caught:
        await db.transaction(work)
    assert caught.value is error
    assert await values(db) == []


async def test_a_handled_statement_error_does_not_end_the_transaction(db):
    async def work(tx):
        await tx.execute(*insert("a"))
        assert (await failing(tx.execute(*insert("a")))).name == "core.internal_error"
        await tx.execute("SAVEPOINT s")
        await tx.execute(*insert("gone"))
        await tx.execute("ROLLBACK TO s")
        await tx.execute("RELEASE s")
        await tx.execute(*insert("b"))

    await db.transaction(work)
    assert await values(db) == ["a", "b"]


async def test_a_transaction_ended_by_sqlite_cannot_commit(db):
    async def work(tx):
        await tx.execute(*insert("a"))
        await failing(tx.execute("INSERT OR ROLLBACK INTO t (v) VALUES ('a')"))

    assert "no transaction is active" in (await failing(db.transaction(work))).metadata["error"]
    await db.execute(*insert("after"))
    assert await values(db) == ["after"]


async def test_nothing_comes_between(db):
    first_in = asyncio.Event()

    async def work(tx):
        await tx.execute(*insert("first-start"))
        first_in.set()
        await asyncio.sleep(0.02)
        await tx.execute(*insert("first-end"))

    first = asyncio.create_task(db.transaction(work))
    await first_in.wait()
    others = [
        asyncio.create_task(db.transaction(lambda tx: tx.execute(*insert("second")))),
        db.execute(*insert("ordinary")),
        asyncio.create_task(db.transaction(lambda tx: tx.execute(*insert("third")))),
        db.execute(*insert("last")),
    ]
    await asyncio.gather(first, *others)
    # Tasks start one turn later than plain calls; behind the gate the order of admission holds.
    assert await values(db) == ["first-start", "first-end", "ordinary", "last", "second", "third"]


async def test_statements_before_a_transaction_run_before_it(db):
    early = [db.execute(*insert(str(number))) for number in range(20)]
    assert await db.transaction(lambda tx: tx.execute("SELECT count(*) AS n FROM t")) == [{"n": 20}]
    await asyncio.gather(*early)


async def test_the_queue_behind_a_transaction_is_bounded(db, owner):
    release = asyncio.Event()
    holding = asyncio.create_task(db.transaction(lambda tx: release.wait()))
    await asyncio.sleep(0.02)
    waiting = [db.execute("SELECT 1") for _ in range(127)]
    kv = asyncio.create_task(owner.kv.get("k"))
    await asyncio.sleep(0)
    assert (await failing(db.execute("SELECT 1"))).name == "sqlite.transaction_queue_full"
    assert (await failing(db.transaction(lambda tx: tx.execute("SELECT 1")))).name == "sqlite.transaction_queue_full"
    assert (await failing(owner.kv.get("k"))).name == "sqlite.transaction_queue_full"
    waiting[0].cancel()
    await asyncio.sleep(0)
    room = db.execute("SELECT 2 AS x")
    release.set()
    assert await room == [{"x": 2}]
    await asyncio.gather(holding, kv, *waiting[1:])


EXPIRED = (
    "SQLite transaction expired after 50 ms and was rolled back; this timeout is a deadlock-safety backstop. Increase the "
    "db.transaction() `timeout` option if the transaction legitimately needs longer, and check for a nested transaction or use of the "
    "outer `db` instead of `tx` inside the callback."
)


@pytest.mark.parametrize("nested", [True, False])
async def test_nesting_ends_in_expiry(db, nested):
    async def work(tx):
        await (tx.transaction(lambda inner: inner.execute("SELECT 1")) if nested else db.execute("SELECT 1"))

    error = await failing(db.transaction(work, timeout=0.05))
    assert (error.name, error.message, error.metadata) == ("sqlite.transaction_expired", EXPIRED, {"timeout_ms": 50})
    await db.execute(*insert("after"))


async def test_expiry_rolls_back_and_fails_those_behind(db):
    kept, parked = [], []

    async def work(tx):
        kept.append(tx)
        await tx.execute(*insert("owner"))
        parked.append(db.execute(*insert("must-not-run")))
        await asyncio.sleep(0.08)
        await tx.execute("SELECT 1")

    assert (await failing(db.transaction(work, timeout=0.05))).message == EXPIRED
    assert (await failing(parked[0])).message == EXPIRED
    assert (await failing(kept[0].execute("SELECT 1"))).message == EXPIRED
    assert await values(db) == []


async def test_expiry_fails_the_commit_but_not_another_error(db):
    async def overslept(tx):
        await asyncio.sleep(0.05)

    async def other(tx):
        await asyncio.sleep(0.05)
        raise KeyError("mine")

    assert (await failing(db.transaction(overslept, timeout=0.01))).name == "sqlite.transaction_expired"
    with pytest.raises(KeyError):
        await db.transaction(other, timeout=0.01)


async def test_a_statement_running_at_the_deadline_may_finish(db, monkeypatch):
    deadlines, running, passed, results = [], threading.Event(), threading.Event(), []
    monkeypatch.setattr("runtime.clock.call_later", lambda _, expire: deadlines.append(expire) or SimpleNamespace(cancel=bool))

    async def work(tx):
        statement = tx.run(lambda _: running.set() or passed.wait(5))
        await asyncio.to_thread(running.wait, 5)
        deadlines[0]()
        passed.set()
        results.append(await statement)
        await tx.execute("SELECT 1")

    assert (await failing(db.transaction(work))).name == "sqlite.transaction_expired"
    assert results == [True]


async def test_handles_are_terminal(db):
    kept = []

    async def work(tx):
        kept.append(tx)
        if len(kept) == 2:
            raise KeyError

    await db.transaction(work)
    error = await failing(kept[0].execute("SELECT 1"))
    assert error.message == f"SQLite transaction handle `{kept[0].key}` is already committed."
    assert error.metadata == {"key": kept[0].key, "state": "committed"}
    with pytest.raises(KeyError):
        await db.transaction(work)
    assert "is already rolled back." in (await failing(kept[1].execute("SELECT 1"))).message


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), None, "5", True])
async def test_senseless_timeouts(db, timeout):
    with pytest.raises(ValueError, match=r"db.transaction\(\) timeout must be a positive finite number of milliseconds") as caught:
        await db.transaction(lambda tx: tx.execute("SELECT 1"), timeout=timeout)
    # The text is fixed on the wire; what Python shows beside it speaks of Python.
    assert "seconds" in caught.value.__notes__[0]


async def test_senseless_names(db):
    with pytest.raises(ValueError, match=r"db.transaction\(\) name must not be empty"):
        await db.transaction(lambda tx: tx.execute("SELECT 1"), name="")
    error = await failing(db.transaction(lambda tx: tx.execute("SELECT 1"), name="é" * 65))
    assert (error.name, error.message) == ("sqlite.transaction_invalid_argument", "transaction name exceeds the configured byte limit")


async def test_manual_transactions(db):
    await db.execute("BEGIN")
    await db.execute(*insert("manual"))
    assert "within a transaction" in (await failing(db.transaction(lambda tx: tx.execute("SELECT 1")))).metadata["error"]
    await db.execute("COMMIT")
    assert await values(db) == ["manual"]
    await failing(db.execute("COMMIT"))
    await db.transaction(lambda tx: tx.execute(*insert("after")))


async def test_a_cancelled_transaction_is_rolled_back_and_frees_the_gate(db):
    inside = asyncio.Event()

    async def work(tx):
        await tx.execute(*insert("gone"))
        inside.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(db.transaction(work))
    await inside.wait()
    behind = asyncio.create_task(db.transaction(work))
    await asyncio.sleep(0)
    behind.cancel()
    task.cancel()
    await asyncio.wait([task, behind])
    assert task.cancelled()
    assert await asyncio.wait_for(values(db), 2) == []


async def test_cancelled_at_every_step_the_gate_is_free_and_nothing_is_half_done(db):
    async def work(tx):
        await tx.execute(*insert("a"))
        await tx.execute(*insert("b"))

    for steps in range(40):
        task = asyncio.create_task(db.transaction(work))
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        task.cancel()
        await asyncio.wait([task])
        found = await asyncio.wait_for(values(db), 2)
        assert found in ([], ["a", "b"])
        await db.execute("DELETE FROM t")


async def test_a_failed_commit_rolls_back(db):
    await db.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    await db.execute("CREATE TABLE c (p INTEGER REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)")
    error = await failing(db.transaction(lambda tx: tx.execute("INSERT INTO c VALUES (5)")))
    assert error.metadata == {"error": "FOREIGN KEY constraint failed"}
    assert await db.execute("SELECT * FROM c") == []
    await db.transaction(lambda tx: tx.execute("INSERT INTO p VALUES (5)"))


async def test_a_failed_rollback_closes_the_database_and_is_reported(owner, db, monkeypatch):
    def broken(self, connection):
        connection.execute("ROLLBACK")
        from runtime.actor.database.transaction import RollbackFailedError

        raise RollbackFailedError("disk I/O error")

    monkeypatch.setattr("runtime.actor.database.transaction.Transaction._rollback_job", broken)

    async def work(tx):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await db.transaction(work)
    assert (await failing(db.execute("SELECT 1"))).name == "sqlite.transaction_closed"
    assert [type(error).__name__ for error in owner.failures] == ["RollbackFailedError"]
