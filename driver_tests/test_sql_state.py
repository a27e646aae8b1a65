"""Suite sql-state: transactions that include the state of actor and connections (experimental)."""

from __future__ import annotations

import asyncio

import pytest

from driver_tests.storing import attempt, column, error_of, plain_error, sql
from harness import any_encoding, depends_on, requirement, suite
from harness.testing.interpreter import latch, made, op, play, ref

pytestmark = [suite("sql-state"), any_encoding, depends_on("sql-transactions::test_value_and_rows(None)")]

CONFLICT = {
    "group": "actor",
    "code": "state_transaction_conflict",
    "message": "State cannot be mutated by another action while an experimental state-aware database transaction is active.",
}


def insert(name):
    """A row in the table of the test."""
    return sql("INSERT INTO t (name) VALUES (?)", name)


def transaction(*do, **options):
    """A transaction of these steps that includes state."""
    return op("sql.transaction", do=list(do), includeState=True, **options)


async def table(conform):
    """An actor with a table and a state."""
    actor = made(conform, "interpreterDb", state={"n": 1, "list": ["a"], "deep": {"kept": True}})
    await play(actor, sql("CREATE TABLE t (i INTEGER PRIMARY KEY, name TEXT)"), op("save", immediate=True))
    return actor


async def rows(actor):
    """The rows in the order in which they came."""
    return await column(actor, "SELECT name FROM t ORDER BY i")


async def state(actor):
    """The state that the test is about."""
    return await play(actor, op("value", value=[ref("state.n"), ref("state.list"), ref("state.deep")]))


CHANGES = [
    op("set", at="state.n", value=2),
    op("append", at="state.list", value="b"),
    op("remove", at="state.deep.kept"),
]


@requirement("DB-180", "DB-145")
async def test_commit(conform, boundary):
    """Rows and state are committed together, before the call returns, and are there after a sleep."""
    actor = await table(conform)
    steps = [insert("row"), *CHANGES, op("set", at="state.mark", value="marked"), op("value", value=0)]
    stored = sql("SELECT instr(state, CAST('marked' AS BLOB)) > 0 AS n FROM _rivet_actor_state", as_="stored")
    assert await play(actor, transaction(*steps, as_="end"), stored, op("value", value=[ref("end"), ref("stored.0.n")])) == [0, 1]
    for _ in range(2):
        assert await state(actor) == [2, ["a", "b"], {}]
        assert await rows(actor) == ["row"]
        await boundary.sleep(actor, via="api")
        actor = made(conform, "interpreterDb")


@requirement("DB-181", "DB-146")
@pytest.mark.parametrize(
    ("end", "options", "error"),
    [
        ([op("throw", message="undo", code="mine")], {}, ("user", "mine")),
        ([op("wait", ms=400)], {"timeout": 150}, ("sqlite", "transaction_expired")),
    ],
    ids=["error", "expiry"],
)
async def test_rollback(conform, boundary, end, options, error):
    """After an error and after the deadline, state is what it was when the transaction began, now and after a sleep."""
    actor = await table(conform)
    found = error_of(await play(actor, attempt(transaction(insert("row"), *CHANGES, *end, **options))))
    assert (found["group"], found["code"]) == error
    for _ in range(2):
        assert await state(actor) == [1, ["a"], {"kept": True}]
        assert await rows(actor) == []
        await boundary.sleep(actor, via="api")
        actor = made(conform, "interpreterDb")


@requirement("DB-182", "DB-183", "DB-184")
async def test_others_meanwhile(conform, expect_error):
    """While it is active another action can't change the state, but may read it; no save is made inside; afterwards all is as usual."""
    actor = await table(conform)
    saved = attempt(op("save", immediate=True), as_="saved")
    steps = [op("set", at="state.n", value=2), saved, op("set", at="vars.saved", value=ref("saved.error")), latch("open")]
    call = conform.spawn(play(actor, transaction(*steps)))
    await conform.latch("open").arrived()
    assert (await state(actor))[0] in (1, 2)
    assert error_of(await play(actor, attempt(op("set", at="state.n", value=5)))) == CONFLICT
    async with expect_error("actor", "state_transaction_conflict"):
        await play(actor, op("set", at="state.list", value=[]))
    await conform.latch("open").release()
    await call
    assert await play(actor, op("value", value=ref("vars.saved"))) == CONFLICT
    assert await state(actor) == [2, ["a"], {"kept": True}]
    await play(actor, op("set", at="state.n", value=6))
    assert (await state(actor))[0] == 6


@requirement("DB-185")
async def test_scripts(conform):
    """Only single statements run in it."""
    actor = await table(conform)
    script = attempt(sql("INSERT INTO t (name) VALUES ('a'); INSERT INTO t (name) VALUES ('b')"), as_="script")
    outcome = await play(actor, transaction(script, insert("c"), op("value", value=ref("script"))))
    assert plain_error(outcome) == "actor state transactions only support single-statement execute calls"
    assert await rows(actor) == ["c"]


@requirement("DB-186")
async def test_nested(conform):
    """A nested transaction can't ask for state."""
    actor = await table(conform)
    nested = attempt(transaction(insert("inner"), nested=True), as_="inner")
    outcome = await play(actor, op("sql.transaction", do=[insert("outer"), nested, op("value", value=ref("inner"))]))
    assert plain_error(outcome) == "experimental.includeState is not supported for nested transactions"
    assert await rows(actor) == ["outer"]


@requirement("DB-187", "DB-152")
async def test_one_at_a_time(conform, clock):
    """A second one waits for the first, and both count."""
    actor = await table(conform)
    first = conform.spawn(play(actor, transaction(insert("one"), op("incr", at="state.n"), latch("open"), insert("one end"))))
    await conform.latch("open").arrived()
    second = conform.spawn(play(actor, transaction(insert("two"), op("incr", at="state.n", by=10), insert("two end"))))
    await clock.sleep(0.3)
    assert not second.done()
    await conform.latch("open").release()
    await asyncio.gather(first, second)
    assert await rows(actor) == ["one", "one end", "two", "two end"]
    assert (await state(actor))[0] == 12
