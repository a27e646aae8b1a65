"""Rows of the runtime and the database of user code, in one database at the engine."""

import pytest

from runtime import Actor, ActorError, Options, action, raw_database
from runtime.actor.database.bootstrap import bootstrap
from runtime.actor.tables import layout
from tests.runtime.hosting.engine.support import EngineWorld, opened


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
        await c.kv.put("k", "v")

    @action
    async def look(self, c):
        schedules = [item["action"] for item in await c.schedule.list()]
        queued = [message.body for message in await c.queue.next_batch(["jobs"], count=9, timeout=0, completable=True)]
        return [dict(c.state), queued, schedules, await c.kv.get("k")]


class Kept(Plain):
    """The same with a database."""

    database = raw_database(lambda db: db.execute("CREATE TABLE IF NOT EXISTS t (v)"))

    @action
    async def query(self, c, sql, *args):
        return await c.db.execute(sql, *args)

    @action
    async def both(self, c, value):
        async def work(tx):
            c.state["n"] = value
            await tx.execute("INSERT INTO t VALUES (?)", value)

        await c.db.transaction(work, include_state=True)


FILLED = [{"n": 1}, [{"a": [1]}], ["fill"], "v"]


@pytest.mark.parametrize("actor", [Plain, Kept])
async def test_all_rows_are_in_the_database_whatever_the_class_declares(actor):
    async with EngineWorld(actor) as world:
        await world.start()
        await world.call("fill")
        await world.restart()
        assert await world.call("look") == FILLED
        assert not world.storage.commits
        assert not world.deaths
    connection = opened(world.pages, world.generation, actor_id=world.actor_id)
    assert layout.holds_rows(connection)
    assert connection.execute("SELECT name FROM _rivet_queue").fetchall() == [("jobs",)]
    connection.close()


async def test_a_class_may_declare_a_database_later_and_none_again():
    async with EngineWorld(Plain) as world:
        await world.start()
        await world.call("fill")
        await world.stop()
        world.definition = type(world.definition).of(Kept)
        await world.start()
        assert await world.call("look") == FILLED
        await world.call("query", "INSERT INTO t VALUES (1)")
        await world.stop()
        world.definition = type(world.definition).of(Plain)
        await world.start()
        assert await world.call("look") == FILLED


async def test_state_and_sql_are_one_commit():
    async with EngineWorld(Kept) as world:
        await world.start()
        before = len(world.pages.committed)
        await world.call("both", 7)
        assert len(world.pages.committed) == before + 1
        await world.restart()
        assert await world.call("query", "SELECT v FROM t") == [{"v": 7}]
        assert (await world.call("look"))[0] == {"n": 7}


async def test_the_rows_of_the_runtime_are_guarded():
    async with EngineWorld(Kept) as world:
        await world.start()
        with pytest.raises(ValueError, match="_rivet_queue is reserved"):
            await world.task.database.client.execute("DELETE FROM _rivet_queue")


async def test_a_first_start_is_one_commit_before_its_hooks():
    async with EngineWorld(Plain) as world:
        await world.start()
        tables, *later = world.pages.committed
        assert tables.head is None
        assert all(commit.generation == 1 for commit in world.pages.committed)
        assert len(later) <= 2


async def test_a_database_without_rows_gets_them():
    async with EngineWorld(Plain) as world:
        world.pages.generations[world.actor_id] = 1
        connection = opened(world.pages, actor_id=world.actor_id)
        bootstrap(connection)
        assert not layout.holds_rows(connection)
        connection.close()
        await world.start()
        await world.call("fill")
        await world.restart()
        assert await world.call("look") == FILLED


async def test_another_generation_ends_this_one():
    async with EngineWorld(Kept) as world:
        await world.start()
        world.pages.generations[world.actor_id] = 2
        with pytest.raises(ActorError) as caught:
            await world.task.database.client.execute("INSERT INTO t VALUES (1)")
        assert caught.value.name == "core.internal_error"
        with pytest.raises(ActorError):
            await world.task.database.client.execute("SELECT * FROM t")
        assert len(world.deaths) == 1
        world.auto = True
