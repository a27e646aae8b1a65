"""Where the rows of an actor are: in its own database when it has one, moved there when it gets one."""

import asyncio
import sqlite3

import pytest

from runtime import Actor, Options, action, raw_database
from runtime.actor.database.actor_rows import MOVED
from runtime.actor.database.pool import DatabasePool
from runtime.actor.tables import layout
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.base import LAZY_TABLES
from tests.runtime.actor.support import World


class Plain(Actor):
    """Everything that has rows, without a database."""

    name = "plain"
    state = {"n": 0}
    options = Options(state_save_interval=3600.0)

    @action
    async def fill(self, c):
        c.state["n"] = 1
        await c.save_state(immediate=True)
        await c.queue.send("jobs", {"a": [1]})
        await c.schedule.after(3600, "fill")
        await c.cron.every(name="often", interval=3600, action="fill", args=[1])
        await c.kv.put("k", "v")

    @action
    async def look(self, c):
        schedules = [item["action"] for item in await c.schedule.list()]
        queued = [message.body for message in await c.queue.next_batch(["jobs"], count=9, timeout=0, completable=True)]
        return [dict(c.state), queued, schedules, await c.cron.get("often") is not None, await c.kv.get("k")]


class Kept(Plain):
    """The same with a database."""

    database = raw_database()


FILLED = [{"n": 1}, [{"a": [1]}], ["fill"], True, "v"]


async def outside(world):
    """Names of the tables with rows in the store of the host."""
    storage = GenerationStorage(world.storage, world.actor_id, 0, DatabasePool(1))
    lazy = {table for table in LAZY_TABLES if await storage.scan(table)}
    return set(await storage.load()) | lazy


async def test_rows_of_an_actor_with_a_database_are_in_it():
    async with World(Kept) as world:
        await world.start()
        await world.call("fill")
        assert await outside(world) == {MOVED}
        rows = await world.task.database.client.execute("SELECT name, id FROM _rivet_queue")
        assert rows == [{"name": "jobs", "id": 1}]
        await world.restart()
        assert await world.call("look") == FILLED
        assert await outside(world) == {MOVED}


async def test_rows_of_other_actors_are_outside_even_if_an_inspector_looked():
    async with World(Plain) as world:
        await world.start()
        await world.call("fill")
        inspector = await world.task.database.inspector_client()
        assert await inspector.execute("SELECT * FROM _rivet_runtime") == []
        await world.restart()
        assert await world.call("look") == FILLED
        assert {"actor", "queue", "schedule", "kv"} <= await outside(world)


async def test_rows_move_when_the_class_gets_a_database_and_stay_when_it_loses_it():
    async with World(Plain) as world:
        await world.start()
        await world.call("fill")
        await world.stop()
        world.definition = type(world.definition).of(Kept)
        await world.start()
        assert await outside(world) == {MOVED}
        assert await world.call("look") == FILLED
        await world.stop()
        world.definition = type(world.definition).of(Plain)
        await world.start()
        assert await world.call("look") == FILLED
        await world.call("fill")
        await world.restart()
        assert await outside(world) == {MOVED}
        assert (await world.call("look"))[1] == [{"a": [1]}, {"a": [1]}]


async def test_a_move_that_was_cut_off_between_its_commits_is_done_again():
    async with World(Plain) as world:
        await world.start()
        await world.call("fill")
        await world.stop()
        world.definition = type(world.definition).of(Kept)
        # The rows are copied; their deletion in the store fails, as it does when the process ends here.
        world.storage.broken = True
        with pytest.raises(OSError, match="disk full"):
            await world.start()
        assert "actor" in await outside(world)
        world.storage.broken = False
        await world.start()
        assert await outside(world) == {MOVED}
        assert await world.call("look") == FILLED


async def test_a_move_that_fails_leaves_everything_where_it_is(monkeypatch):
    async with World(Plain) as world:
        await world.start()
        await world.call("fill")
        await world.stop()
        before = await outside(world)
        world.definition = type(world.definition).of(Kept)
        with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="cut off"):
            patched.setattr(layout, "claim", cut_off)
            await world.start()
        assert await outside(world) == before
        await world.start()
        assert await world.call("look") == FILLED


def cut_off(connection):
    raise RuntimeError("cut off")


async def held(world, work=None):
    """A transaction that is open until the returned event is set; both."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def stay(tx):
        if work is not None:
            await work(tx)
        inside.set()
        await go.wait()

    transaction = asyncio.ensure_future(world.task.database.client.transaction(stay))
    await inside.wait()
    return transaction, go


async def test_writes_that_waited_share_a_commit_and_keep_their_order():
    async with World(Kept) as world:
        await world.start()
        commits = []
        await world.task.database.client._session.submit_own(
            lambda connection: connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        )
        transaction, go = await held(world)
        sends = [asyncio.ensure_future(world.task.queue.send("jobs", number)) for number in range(20)]
        await asyncio.sleep(0.02)
        assert not any(send.done() for send in sends)
        go.set()
        await asyncio.gather(transaction, *sends)
        assert len(commits) <= 3
        rows = await world.task.database.client.execute("SELECT id FROM _rivet_queue")
        assert [row["id"] for row in rows] == list(range(1, 21))


async def test_the_row_id_of_the_last_insert_is_that_of_user_code():
    async with World(Kept) as world:
        await world.start()
        db = world.task.database.client
        assert await db.execute("SELECT last_insert_rowid() AS id") == [{"id": 0}]
        await db.execute("CREATE TABLE t (i INTEGER PRIMARY KEY)")
        await db.execute("INSERT INTO t VALUES (77)")
        await world.call("fill")
        assert await db.execute("SELECT last_insert_rowid() AS id") == [{"id": 77}]


async def test_nothing_is_written_within_a_transaction_by_hand_and_all_of_it_behind(monkeypatch):
    monkeypatch.setattr("runtime.actor.database.row_writer.MANUAL_PATIENCE", 0.1)
    async with World(Kept) as world:
        task = await world.start()
        db = task.database.client
        await db.execute("BEGIN")
        saving = asyncio.ensure_future(task.saver.save_now())
        waiting = asyncio.ensure_future(task.queue.send("jobs", "waits"))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await db.execute("ROLLBACK")
        await asyncio.gather(saving, waiting)
        await db.execute("BEGIN")
        with pytest.raises(Exception, match="internal error") as refused:
            await task.queue.send("jobs", "refused")
        assert refused.value.metadata == {"error": "cannot start a transaction within a transaction"}
        await db.execute("ROLLBACK")
        rows = await db.execute("SELECT id FROM _rivet_queue")
        assert [row["id"] for row in rows] == [1]
        await task.queue.send("jobs", "later")
        assert len(await db.execute("SELECT id FROM _rivet_queue")) == 2


async def test_a_transaction_left_open_by_hand_costs_its_own_rows_and_not_the_state():
    async with World(Kept) as world:
        task = await world.start()
        db = task.database.client
        await db.execute("CREATE TABLE t (i)")
        await db.execute("BEGIN")
        await db.execute("INSERT INTO t VALUES (1)")
        task.state.value["n"] = 5
        task = await world.restart()
        assert task.state.value["n"] == 5
        assert await task.database.client.execute("SELECT * FROM t") == []


async def test_a_full_queue_refuses_a_save_which_is_made_later():
    async with World(Kept) as world:
        task = await world.start()
        transaction, go = await held(world)
        waiting = [task.database.client.execute("SELECT 1") for _ in range(128)]
        task.state.value["n"] = 7
        with pytest.raises(Exception, match="queue is full"):
            await task.saver.save_now()
        go.set()
        await asyncio.gather(transaction, *waiting)
        await asyncio.sleep(0.05)
        rows = await task.database.client.execute("SELECT state FROM _rivet_actor_state")
        await task.saver.idle()
        task = await world.restart()
        assert task.state.value["n"] == 7
        assert len(rows) == 1


async def test_a_state_beyond_one_commit_is_an_error_and_stays_unsaved():
    async with World(Kept) as world:
        task = await world.start()
        task.state.value["large"] = "x" * 1_400_000
        with pytest.raises(sqlite3.OperationalError, match="one commit may hold"):
            await task.saver.save_now()
        task.state.value["large"] = "x" * 1_000_000
        await task.saver.save_now()
        task = await world.restart()
        assert len(task.state.value["large"]) == 1_000_000


async def test_the_fence_stops_user_code_and_not_the_runtime():
    async with World(Kept) as world:
        task = await world.start()
        transaction, _ = await held(world, lambda tx: tx.execute("CREATE TABLE t (i)"))
        sending = asyncio.ensure_future(task.queue.send("jobs", 1))
        entry = asyncio.ensure_future(task.kv.put("k", "v"))
        await asyncio.sleep(0)
        task.database.fence()
        await sending
        with pytest.raises(Exception, match="coordinator is closed"):
            await entry
        transaction.cancel()
        await asyncio.wait([transaction])
        task.state.value["n"] = 3
        task = await world.restart()
        assert task.state.value["n"] == 3
        assert await task.kv.get("k") is None
        assert await task.database.client.execute("SELECT id FROM _rivet_queue") == [{"id": 1}]
        assert await task.database.client.execute("SELECT 1 FROM sqlite_master WHERE name = 't'") == []


async def test_a_statement_without_an_end_does_not_cost_the_state(monkeypatch):
    monkeypatch.setattr("runtime.actor.database.session.CLOSE_TIMEOUT", 0.1)
    async with World(Kept) as world:
        task = await world.start()
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        statement = asyncio.ensure_future(task.database.client.execute(endless))
        task.state.value["n"] = 4
        await asyncio.sleep(0.02)
        task.database.fence()
        task = await world.restart()
        assert task.state.value["n"] == 4
        assert (await asyncio.gather(statement, return_exceptions=True))[0].metadata == {"error": "interrupted"}
