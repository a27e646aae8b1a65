"""Transactions that include state: one COMMIT, one rollback (DB-180..187)."""

import asyncio

import pytest

from runtime import Actor, ActorError, Options, raw_database
from runtime.actor.connections.connection import Conn
from runtime.actor.database.ended_generation import DatabaseClosedError
from tests.runtime.actor.support import World

SCHEMA = "CREATE TABLE IF NOT EXISTS t (i INTEGER PRIMARY KEY, parent INTEGER REFERENCES t(i) DEFERRABLE INITIALLY DEFERRED)"


class Kept(Actor):
    """A state and a table; nothing is saved unasked."""

    name = "kept"
    state = {"n": 1, "list": ["a"]}
    database = raw_database(lambda db: db.execute(SCHEMA))
    options = Options(state_save_interval=3600.0, sleep_grace_period=0.2)


@pytest.fixture
async def world(either_host):
    async with World(Kept) as world:
        await world.start()
        yield world


def begin(world, work, **options):
    return asyncio.ensure_future(world.task.database.client.transaction(work, include_state=True, **options))


async def stored(world):
    """State and rows of the next generation."""
    task = await world.restart()
    rows = await task.database.client.execute("SELECT i FROM t")
    return dict(task.state.value), [row["i"] for row in rows]


def connection(task, state):
    conn = Conn(task.conns, "c1")
    conn.adopt(None, task.conns.track_state(conn, state, initial=True))
    task.conns._conns["c1"] = conn
    return conn


async def change(world, tx):
    await tx.execute("INSERT INTO t (i) VALUES (5)")
    world.task.state.value["n"] = 2
    world.task.state.value["list"].append("b")


async def test_one_commit_holds_both(world):
    commits = []
    await world.task.database.client._session.submit_own(
        lambda connection: connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    )
    await begin(world, lambda tx: change(world, tx))
    assert commits == ["COMMIT"]
    assert world.task.state.collect() == []
    assert await stored(world) == ({"n": 2, "list": ["a", "b"]}, [5])


@pytest.mark.parametrize("end", ["error", "expiry", "cancel", "commit", "unstorable"])
async def test_a_rollback_brings_state_and_connection_state_back(world, end, monkeypatch):
    task = world.task
    conn = connection(task, {"of": "conn"})
    task.state.value["n"] = 7  # unsaved before it begins, and so afterwards
    inside = asyncio.Event()

    async def work(tx):
        await change(world, tx)
        conn.state["of"] = "transaction"
        inside.set()
        if end == "error":
            raise KeyError("mine")
        if end == "commit":
            await tx.execute("INSERT INTO t (i, parent) VALUES (6, 99)")
        elif end == "unstorable":
            monkeypatch.setattr(type(task.state), "put", unstorable)
        else:
            await asyncio.sleep(10)

    transaction = begin(world, work, timeout=0.05 if end == "expiry" else 10)
    await inside.wait()
    if end == "expiry":
        await asyncio.sleep(0.1)
        assert dict(task.state.value)["n"] == 7
    if end in ("expiry", "cancel"):
        transaction.cancel()
    await asyncio.wait([transaction])
    monkeypatch.undo()
    assert dict(task.state.value) == {"n": 7, "list": ["a"]}
    assert dict(conn.state) == {"of": "conn"}
    del task.conns._conns["c1"]
    assert await stored(world) == ({"n": 7, "list": ["a"]}, [])


def unstorable(_):
    raise ValueError("no stored form")


async def test_others_may_neither_change_state_nor_save_meanwhile(world):
    task = world.task
    conn = connection(task, {"of": "conn"})
    inside, go = asyncio.Event(), asyncio.Event()

    async def work(tx):
        await change(world, tx)
        with pytest.raises(ActorError, match="state-aware"):
            task.state_transactions.check_saving()
        # A task of the transaction's own is inside, too.
        await asyncio.create_task(set_late())
        inside.set()
        await go.wait()

    async def set_late():
        task.state.value["late"] = True

    transaction = begin(world, work)
    await inside.wait()
    task.state_transactions.check_saving()
    for refused in (
        lambda: task.state.value.update(n=3),
        lambda: task.state.value["list"].append("c"),
        lambda: task.state.replace({}),
        lambda: conn.state.update(of="other"),
    ):
        with pytest.raises(ActorError) as conflict:
            refused()
        assert (conflict.value.name, conflict.value.status) == ("actor.state_transaction_conflict", 409)
    saving = asyncio.ensure_future(task.saver.save_now())
    second = begin(world, lambda tx: tx.execute("INSERT INTO t (i) VALUES (6)"))
    await asyncio.sleep(0.05)
    assert not saving.done()
    assert not second.done()
    go.set()
    await asyncio.gather(transaction, saving, second)
    task.state.value["n"] = 3
    del task.conns._conns["c1"]
    assert await stored(world) == ({"n": 3, "list": ["a", "b"], "late": True}, [5, 6])


async def test_a_save_under_way_does_not_overtake(world):
    task = world.task
    inside, go = asyncio.Event(), asyncio.Event()

    async def hold(tx):
        inside.set()
        await go.wait()

    holding = asyncio.ensure_future(task.database.client.transaction(hold))
    await inside.wait()
    task.state.value["n"] = 50
    saving = asyncio.ensure_future(task.saver.save_now())
    await asyncio.sleep(0.01)
    transaction = begin(world, lambda tx: change(world, tx))
    await asyncio.sleep(0.01)
    go.set()
    await asyncio.gather(holding, saving, transaction)
    assert await stored(world) == ({"n": 2, "list": ["a", "b"]}, [5])


async def test_a_stop_does_not_wait_for_a_callback_that_does_not_end(world):
    inside, go = asyncio.Event(), asyncio.Event()

    async def work(tx):
        await change(world, tx)
        inside.set()
        await go.wait()

    transaction = begin(world, work)
    await inside.wait()
    async with asyncio.timeout(5):
        found = await stored(world)
    assert found == ({"n": 1, "list": ["a"]}, [])
    go.set()
    with pytest.raises(DatabaseClosedError):
        await transaction


async def test_what_is_not_offered_inside(world):
    async def scripts(tx):
        await tx.execute("INSERT INTO t (i) VALUES (1); INSERT INTO t (i) VALUES (2)")

    async def nested(tx):
        await tx.transaction(change, include_state=True)

    with pytest.raises(RuntimeError, match=r"^actor state transactions only support single-statement execute calls$"):
        await begin(world, scripts)
    with pytest.raises(RuntimeError, match=r"^experimental\.includeState is not supported for nested transactions$"):
        await world.task.database.client.transaction(nested)
    await begin(world, lambda tx: tx.execute("INSERT INTO t (i) VALUES (3);"))
    assert await stored(world) == ({"n": 1, "list": ["a"]}, [3])
