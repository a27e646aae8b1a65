"""What actors are given is theirs: what one hook, fire or reader does to it shows to no other, and in no row."""

import asyncio

from runtime.actor.rows import INIT_KEY
from runtime.errors import UserError
from runtime.protocol import cbor
from tests.runtime.actor.support import Actor, World, action, virtual


@virtual
async def test_each_hook_gets_the_input_as_it_came():
    """RUN-070, START-018: a failed creation is begun anew with the input as it was, and that is the one that is stored."""
    seen = []

    class Made(Actor):
        name = "made"

        def create_state(self, c, input):
            seen.append(list(input["items"]))
            input["items"].append(object())
            return {"n": 0}

        def on_create(self, c, input):
            seen.append(list(input["items"]))
            input["items"].append("spoiled")
            if len(seen) < 4:
                raise ValueError("not yet")

    given = {"items": [1]}
    async with World(Made, input=given, auto=False) as world:
        for _ in range(2):
            try:
                await world.start()
            except Exception:
                await asyncio.sleep(0.1)
        assert seen == [[1]] * 4 and given == {"items": [1]}
        stored = dict(await world.storage.scan(world.actor_id, "actor"))
        assert cbor.loads(stored[INIT_KEY])["input"] == {"items": [1]}


@virtual
async def test_each_fire_gets_the_arguments_as_they_were_given():
    """TASK-214: neither an action that changes its arguments nor a reader of the schedule changes the next fire, nor the row."""
    seen = []

    class Ticking(Actor):
        name = "ticking"

        @action
        def tick(self, c, value, fire):
            seen.append(list(value["items"]))
            value["items"].append(object())

        @action
        async def begin(self, c):
            await c.cron.every(name="t", interval=5, action="tick", args=[{"items": [1]}])
            one = await c.schedule.after(100, "tick", {"items": [1]})
            for view in (await c.cron.get("t"), (await c.cron.list())[0], await c.schedule.get(one), (await c.schedule.list())[0]):
                view["args"][0]["items"].append("spoiled")

    async with World(Ticking) as world:
        await world.start()
        await world.call("begin")
        await asyncio.sleep(16)
        assert seen == [[1]] * 3


@virtual
async def test_the_history_of_fires_is_not_its_readers():
    """TASK-306: an error in it is shown as it was recorded, whatever a reader did to the list before."""

    class Failing(Actor):
        name = "failing"

        @action
        def tick(self, c, fire):
            raise UserError("no", code="no", metadata={"items": [1]})

        @action
        async def begin(self, c):
            await c.cron.every(name="t", interval=5, action="tick")

        @action
        async def spoil(self, c):
            [fire] = await c.cron.history("t", limit=1)
            found = list(fire["error"]["metadata"]["items"])
            fire["error"]["metadata"]["items"].append("spoiled")
            return found

    async with World(Failing) as world:
        await world.start()
        await world.call("begin")
        await asyncio.sleep(6)
        assert [await world.call("spoil") for _ in range(2)] == [[1], [1]]
