"""Suite sql-coordination: what waits behind an open transaction, in which order, how much of it, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from driver_tests.storing import attempt, column, error_of, raw, sql
from harness import any_encoding, depends_on, requirement, suite, timing, untimed
from harness.testing.interpreter import latch, made, op, play, ref

pytestmark = [suite("sql-coordination"), timing, any_encoding, depends_on("sql-transactions::test_value_and_rows(None)")]

FULL = {"group": "sqlite", "code": "transaction_queue_full", "message": "SQLite transaction queue is full."}


def insert(name):
    """A row in the table of the test."""
    return sql("INSERT INTO t (name) VALUES (?)", name)


async def table(conform):
    """An actor with a table whose rows are numbered as they came."""
    actor = made(conform, "interpreterDb")
    await play(actor, sql("CREATE TABLE t (n INTEGER PRIMARY KEY, name TEXT)"))
    return actor


async def rows(actor):
    """The rows in the order in which they came."""
    return await column(actor, "SELECT name FROM t ORDER BY n")


async def held(conform, actor, *end, **options):
    """A transaction of another call that is open until `conform.latch("open")` lets it go; the call."""
    steps = [insert("first"), latch("open"), insert("last"), *end]
    call = conform.spawn(play(actor, attempt(op("sql.transaction", do=steps, **options))))
    await conform.latch("open").arrived()
    return call


async def waits(call, clock):
    """Nothing comes of the call while the transaction is open."""
    await clock.sleep(0.3)
    assert not call.done()


WAITING = {
    "statement": insert("waiter"),
    "script": sql("INSERT INTO t (name) VALUES ('waiter'); SELECT 1"),
    "transaction": op("sql.transaction", do=[insert("waiter")]),
    "read": sql("SELECT name FROM t"),
    "kv.get": op("kv.get", key="k"),
    "kv.put": op("kv.put", key="k", value="v"),
    "kv.delete": op("kv.delete", key="k"),
    "kv.deleteRange": op("kv.deleteRange", start="a", end="z"),
    "kv.list": op("kv.list", prefix="k"),
    "kv.range": op("kv.list", start="a", end="z"),
    "kv.batchGet": op("kv.batchGet", keys=[raw(b"k")]),
    "kv.batchPut": op("kv.batchPut", entries=[[raw(b"k"), raw(b"v")]]),
    "kv.batchDelete": op("kv.batchDelete", keys=[raw(b"k")]),
}


@requirement("DB-151", "DB-152", "KV-032")
@pytest.mark.parametrize("name", WAITING)
async def test_what_waits(conform, clock, name):
    """Statements, transactions and key-value calls wait for the open transaction, and run wholly after it."""
    actor = await table(conform)
    call = await held(conform, actor)
    waiter = conform.spawn(play(actor, WAITING[name]))
    await waits(waiter, clock)
    await conform.latch("open").release()
    assert (await call)["ok"] is True
    result = await waiter
    wrote = name in ("statement", "script", "transaction")
    assert await rows(actor) == ["first", "last", *(["waiter"] if wrote else [])]
    if name == "read":
        assert result == [{"name": "first"}, {"name": "last"}]


RUNTIME = {
    "queue": op("queue.send", name="jobs", body=1),
    "save": op("save", immediate=True),
    "schedule": op("schedule.after", ms=60_000, do=[]),
}


@requirement("DB-028", "DB-004")
@pytest.mark.parametrize("name", RUNTIME)
async def test_what_the_runtime_writes_waits(conform, clock, name):
    """A write of the runtime waits for the open transaction, and what the transaction then rolls back does not hold it."""
    actor = await table(conform)
    call = await held(conform, actor, op("throw", message="undo"))
    waiter = conform.spawn(play(actor, op("set", at="state.n", value=1), RUNTIME[name]))
    await waits(waiter, clock)
    await conform.latch("open").release()
    assert error_of(await call)["message"] == "undo"
    await waiter
    assert await rows(actor) == []
    look = {
        "queue": op("queue.next", names=["jobs"], timeout=0),
        "save": op("value", value=ref("state.n")),
        "schedule": op("schedule.list"),
    }
    found = await play(actor, look[name])
    assert {"queue": lambda: found["body"] == 1, "save": lambda: found == 1, "schedule": lambda: len(found) == 1}[name]()


@requirement("DB-151")
async def test_what_does_not_wait(conform):
    """Actions without storage go on beside an open transaction, and so does another actor."""
    actor = await table(conform)
    other = made(conform, "interpreterDb", conform.unique_key())
    await play(other, sql("CREATE TABLE t (n INTEGER PRIMARY KEY, name TEXT)"))
    call = await held(conform, actor)
    assert await play(actor, op("set", at="vars.n", value=3), op("value", value=ref("vars.n"))) == 3
    await play(other, insert("free"), op("sql.transaction", do=[insert("free too")]), op("kv.put", key="k", value="v"))
    assert await rows(other) == ["free", "free too"]
    assert not call.done()
    await conform.latch("open").release()
    assert (await call)["ok"] is True


@requirement("DB-153", "DB-152")
async def test_waiters_keep_their_order(conform, clock):
    """Who came first runs first, statements and transactions alike; a transaction that waited keeps what comes after it waiting."""
    actor = await table(conform)
    call = await held(conform, actor)
    waiters = []
    for number in range(6):
        name = f"w{number}"
        long = op("sql.transaction", do=[insert(name), op("wait", ms=50), insert(f"{name} end")])
        waiters.append(conform.spawn(play(actor, long if number % 2 else insert(name))))
        # Later calls are sent when this one must have come to the database.
        await clock.sleep(0.1)
    await conform.latch("open").release()
    await call
    await asyncio.gather(*waiters)
    assert await rows(actor) == ["first", "last", "w0", "w1", "w1 end", "w2", "w3", "w3 end", "w4", "w5", "w5 end"]


@requirement("DB-165", "DB-163", "DB-166")
async def test_waiters_at_expiry(conform, clock):
    """Whatever waits when the transaction expires fails with its error and does not run; what comes later does."""
    actor = await table(conform)
    call = await held(conform, actor, timeout=1500)
    steps = [insert("never"), op("sql.transaction", do=[insert("never")]), op("kv.put", key="k", value="never")]
    waiters = [conform.spawn(play(actor, attempt(step))) for step in steps]
    for waiter in waiters:
        error = error_of(await waiter)
        assert (error["group"], error["code"], error["metadata"]) == ("sqlite", "transaction_expired", {"timeout_ms": 1500})
    await play(actor, insert("later"))
    await conform.latch("open").release()
    assert error_of(await call)["code"] == "transaction_expired"
    assert await rows(actor) == ["later"]
    assert await play(actor, op("kv.get", key="k")) is None


@requirement("DB-150", "DB-322", "KV-032")
@pytest.mark.parametrize("kind", ["statement", "transaction", "kv"])
async def test_the_queue_is_bounded(conform, eventually, kind):
    """128 operations may wait; the next fails at once, whatever it is, and those that wait run; then there is room again."""
    actor = await table(conform)
    call = await held(conform, actor)
    step = {
        "statement": insert("waiter"),
        "transaction": op("sql.transaction", do=[insert("waiter")]),
        "kv": op("kv.put", key="k", value="v"),
    }[kind]
    # One more than may wait, at the same time: which of them is refused does not matter.
    refused = op("append", at="vars.refused", value=ref("end.error"))
    one = [attempt(step, as_="end"), op("if", value=ref("end.ok"), is_=False, then=[refused])]
    many = conform.spawn(play(actor, op("all", do=[one] * 129)))
    seen = op("value", value=ref("vars.refused"))
    await eventually(lambda: play(actor, seen), until=lambda found: found is not None, what="the refusal")
    for other in (
        insert("x"),
        op("sql.transaction", do=[insert("x")]),
        op("kv.get", key="k"),
        op("kv.batchPut", entries=[[raw(b"k"), raw(b"v")]]),
    ):
        assert error_of(await play(actor, attempt(other))) == FULL
    assert await play(actor, seen) == [FULL]
    assert not many.done()
    await conform.latch("open").release()
    await call
    await many
    assert await play(actor, seen) == [FULL]
    assert await rows(actor) == ["first", "last", *(["waiter"] * 128 if kind != "kv" else [])]
    await play(actor, insert("later"))


@requirement("DB-150", "DB-028")
async def test_writes_of_the_runtime_count(conform, eventually):
    """Behind a full queue a write of the runtime is refused like any other, and has not happened."""
    actor = await table(conform)
    call = await held(conform, actor)
    one = [op("incr", at="vars.waiting"), insert("waiter")]
    many = conform.spawn(play(actor, op("all", do=[one] * 128)))
    await eventually(lambda: play(actor, op("value", value=ref("vars.waiting"))), until=lambda found: found == 128, what="the full queue")
    assert error_of(await play(actor, attempt(insert("x")))) == FULL
    error_of(await play(actor, attempt(op("queue.send", name="jobs", body=1))))
    await conform.latch("open").release()
    await call
    await many
    assert await play(actor, op("queue.next", names=["jobs"], timeout=0)) is None
    await play(actor, op("queue.send", name="jobs", body=2))
    assert (await play(actor, op("queue.next", names=["jobs"], timeout=0)))["body"] == 2


@untimed
@requirement("DB-323", "DB-154")
async def test_too_many_statements_at_once(conform):
    """Of more statements than the worker's inbox holds the surplus is refused at once, and each of the others runs once."""
    actor = await table(conform)
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT count(*) AS n FROM n"
    outcomes = await play(actor, op("all", do=[[sql(slow), op("value", value="slow")], *([[attempt(insert("x"))]] * 200)]))
    refused = [outcome["error"] for outcome in outcomes[1:] if not outcome["ok"]]
    assert await rows(actor) == ["x"] * (200 - len(refused))
    assert 127 <= 200 - len(refused) <= 129
    message = "Actor channel 'sqlite_worker' is overloaded while attempting to execute sqlite command (capacity 128)."
    metadata = {"channel": "sqlite_worker", "operation": "execute sqlite command", "capacity": 128}
    overloaded = {"group": "actor", "code": "overloaded", "message": message, "metadata": metadata}
    # Where statements pass the coordinator one by one its queue is full before the worker's inbox.
    assert refused == [refused[0]] * len(refused)
    assert refused[0] in (overloaded, FULL)
