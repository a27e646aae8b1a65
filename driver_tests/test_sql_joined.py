"""Suite sql-joined: what is called from within a transaction is part of it: it happens with its commit, or not at all."""

from __future__ import annotations

import pytest

from driver_tests.storing import attempt, column, error_of, sql
from harness import any_encoding, depends_on, requirement, suite
from harness.testing.interpreter import later, made, op, play, ref

pytestmark = [suite("sql-joined"), any_encoding, depends_on("sql-transactions::test_value_and_rows(None)")]

INSERT = sql("INSERT INTO t VALUES (1)")
SAVED = "SELECT instr(state, CAST('marked' AS BLOB)) > 0 AS saved FROM _rivet_actor_state"
LATE = later(3_600_000)

CALLS = {
    "send": [op("queue.send", name="jobs", body=1)],
    "receive": [op("queue.next", names=["old"], timeout=0)],
    "complete": [op("queue.next", names=["old"], timeout=0, completable=True, as_="m"), op("queue.complete", message="m", response=2)],
    "save": [op("set", at="state.mark", value="marked"), op("save", immediate=True)],
    "schedule": [op("schedule.at", at=LATE, action="exec", args=[[], "new"])],
    "cancel": [op("schedule.cancel", id=ref("id"))],
    "cron": [op("cron.set", name="new", interval=3_600_000, do=[])],
    "cron deletion": [op("cron.delete", name="old")],
}
BEFORE = {"queue": ["old"], "schedules": 1, "cron": ["old"], "saved": 0}
AFTER = {
    "send": {"queue": ["old", "jobs"]},
    "receive": {"queue": []},
    "complete": {"queue": []},
    "save": {"saved": 1},
    "schedule": {"schedules": 2},
    "cancel": {"schedules": 0},
    "cron": {"cron": ["new", "old"]},
    "cron deletion": {"cron": []},
}


def transaction(*do, **options):
    """A transaction of these steps; where a call waits for its own transaction it is over soon."""
    return op("sql.transaction", do=list(do), **{"timeout": 3000, **options})


async def table(conform):
    """An actor with a table, a message, a schedule and a recurring schedule; its state is saved."""
    actor = made(conform, "interpreterDb")
    await play(
        actor,
        sql("CREATE TABLE t (x INTEGER)"),
        op("queue.send", name="old", body=0),
        op("schedule.at", at=LATE, action="exec", args=[[], "old"]),
        op("cron.set", name="old", interval=3_600_000, do=[]),
        op("save", immediate=True),
    )
    return actor


async def calls(actor, name):
    """The calls, about what is there."""
    [old] = await play(actor, op("schedule.list"))
    return [op("value", value=old["id"], as_="id"), *CALLS[name]]


async def stored(actor):
    """What there is, for receivers and in storage."""
    waiting = await play(actor, op("queue.nextBatch", count=9, timeout=0, completable=True))
    names = [message["name"] for message in waiting]
    assert await column(actor, "SELECT name FROM _rivet_queue ORDER BY id") == names
    return {
        "queue": names,
        "schedules": len(await play(actor, op("schedule.list"))),
        "cron": sorted(item["name"] for item in await play(actor, op("cron.list"))),
        "saved": (await play(actor, sql(SAVED)))[0]["saved"],
    }


async def rows(actor):
    """The rows of the table."""
    return await column(actor, "SELECT x FROM t")


@requirement("DB-029")
@pytest.mark.parametrize("name", CALLS)
async def test_commit(conform, boundary, name):
    """The call returns inside, what it promised happens with the commit, and is there after a sleep."""
    actor = await table(conform)
    steps = await calls(actor, name)
    assert await play(actor, transaction(INSERT, *steps, op("value", value="through"))) == "through"
    assert await stored(actor) == BEFORE | AFTER[name]
    assert await rows(actor) == [1]
    await boundary.sleep(actor, via="api")
    actor = conform.get("interpreterDb", conform.key)
    found = await stored(actor)
    assert found | {"saved": 1} == BEFORE | AFTER[name] | {"saved": 1}


@requirement("DB-029")
@pytest.mark.parametrize("name", CALLS)
async def test_rollback(conform, name):
    """When the callback fails nothing of what it called has happened."""
    actor = await table(conform)
    steps = await calls(actor, name)
    assert error_of(await play(actor, attempt(transaction(INSERT, *steps, op("throw", message="undo")))))["message"] == "undo"
    found = await stored(actor)
    # The state stays unsaved, and is saved in time.
    assert found | {"saved": 0} == BEFORE
    assert await rows(actor) == []


@requirement("DB-029", "DB-164")
async def test_expiry(conform):
    """When the transaction expires nothing has happened of what it called before, nor of what it calls then."""
    actor = await table(conform)
    steps = [op("queue.send", name="jobs"), op("schedule.at", at=LATE, do=[]), op("queue.next", names=["old"], timeout=0)]
    work = transaction(INSERT, *steps, op("append", at="vars.seen", value="through"), op("wait", ms=600), *steps, timeout=300)
    error = error_of(await play(actor, attempt(work)))
    assert (error["group"], error["code"]) == ("sqlite", "transaction_expired")
    assert await play(actor, op("value", value=ref("vars.seen"))) == ["through"]
    assert await stored(actor) == BEFORE
    assert await rows(actor) == []


@requirement("DB-029")
async def test_a_commit_that_fails(conform):
    """When the commit fails nothing of what the callback called has happened."""
    actor = await table(conform)
    foreign = "CREATE TABLE f (p INTEGER PRIMARY KEY); CREATE TABLE c (p INTEGER REFERENCES f(p) DEFERRABLE INITIALLY DEFERRED)"
    await play(actor, sql(foreign), sql("PRAGMA foreign_keys = ON"))
    steps = [op("queue.send", name="jobs"), op("schedule.at", at=LATE, do=[]), op("append", at="vars.seen", value="through")]
    error_of(await play(actor, attempt(transaction(INSERT, *steps, sql("INSERT INTO c VALUES (9)")))))
    assert await play(actor, op("value", value=ref("vars.seen"))) == ["through"]
    assert await stored(actor) == BEFORE
    assert await rows(actor) == []


async def held(conform, actor, eventually, *steps):
    """A transaction of another call that made its calls and stays open for a while; the call."""
    # No latch: where a call waits for its own transaction it would never be reached.
    work = transaction(INSERT, *steps, op("set", at="vars.open", value=True), op("wait", ms=4000), timeout=10_000)
    call = conform.spawn(play(actor, attempt(work)))
    await eventually(lambda: play(actor, op("value", value=ref("vars.open"))), until=lambda found: found is True, what="the calls inside")
    return call


@requirement("DB-029", "DB-028")
async def test_others_meanwhile(conform, eventually, clock):
    """Before the commit nobody else sees anything of it; a receiver goes on waiting, and gets the message then."""
    actor = await table(conform)
    call = await held(conform, actor, eventually, op("queue.send", name="jobs", body=1), op("schedule.at", at=LATE, do=[]))
    # A completable message is handed out without a write that would have to wait.
    receiver = conform.spawn(play(actor, op("queue.next", names=["jobs"], timeout=30_000, completable=True)))
    await clock.sleep(0.3)
    assert len(await play(actor, op("schedule.list"))) == 1
    assert not receiver.done()
    assert not call.done()
    assert (await call)["ok"] is True
    assert (await receiver)["body"] == 1
    assert len(await play(actor, op("schedule.list"))) == 2


@requirement("DB-029")
async def test_a_schedule_fires_after_the_commit(conform, eventually, clock):
    """A schedule that is due at once fires behind the commit, and not before it."""
    actor = await table(conform)
    fire = op("schedule.after", ms=0, do=[op("append", at="vars.fired", value=1)])
    call = await held(conform, actor, eventually, fire)
    await clock.sleep(0.3)
    seen = op("value", value=ref("vars.fired"))
    assert await play(actor, seen) != [1]
    assert not call.done()
    assert (await call)["ok"] is True
    await eventually(lambda: play(actor, seen), until=lambda found: found == [1], what="the fire")


@requirement("DB-029", "DB-169", "KV-032")
@pytest.mark.parametrize("name", ["entry", "entries", "answer"])
async def test_what_cannot_be_part(conform, name):
    """Key-value calls wait inside like the outer `db`, until it expires; waiting for an answer to a message fails, and nothing is sent."""
    actor = await table(conform)
    step = {
        "entry": op("kv.put", key="k", value="v"),
        "entries": op("kv.list", prefix="k"),
        "answer": op("queue.ask", name="jobs", body=1),
    }[name]
    error = error_of(await play(actor, attempt(transaction(INSERT, step, timeout=300))))
    if name != "answer":
        assert (error["group"], error["code"]) == ("sqlite", "transaction_expired")
    assert await stored(actor) == BEFORE
    assert await rows(actor) == []
    assert await play(actor, op("kv.get", key="k")) is None
