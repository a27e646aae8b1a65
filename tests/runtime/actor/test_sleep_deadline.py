"""Sleep: what the deadline of grace ends, repeated stops, and stops at odd moments."""

import asyncio
import contextlib

import pytest

from runtime.hosting.options import HostOptions
from tests.runtime.actor.sleepy import Sleepy, lifetime, now
from tests.runtime.actor.support import Actor, Options, StopReason, World, action, caught, virtual


class Stubborn(Actor):
    options = Options(sleep_timeout=60, sleep_grace_period=2.0)
    state = {"n": 0, "saved_by": ""}
    vars = {"cancelled": []}

    @action
    async def forever(self, c):
        c.state.n += 1
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            c.vars["cancelled"].append("action")
            raise

    @action
    def until(self, c):
        c.wait_until(asyncio.get_running_loop().create_future())

    async def on_sleep(self, c):
        c.state.n += 10
        c.state.saved_by = "deadline"
        await asyncio.sleep(3600)

    on_destroy = on_sleep

    @action
    def get(self, c):
        return [c.state.n, c.state.saved_by]


@virtual
async def test_at_the_deadline_everything_is_cancelled_and_state_is_saved():
    async with World(Stubborn) as world:
        await world.start()
        calling = asyncio.ensure_future(world.call("forever"))
        await world.call("until")
        await asyncio.sleep(0.1)
        began = now()
        await world.stop()
        assert 2.0 <= now() - began < 2.1
        with caught("actor.dropped_reply"):
            await calling
        assert world.metric("shutdown_timeout_total", reason="sleep") == 1
        await world.start()
        assert await world.call("get") == [11, "deadline"]
        assert world.metric("user_tasks_active", kind="action") == 0


@virtual
async def test_the_host_can_cap_the_window():
    async with World(Stubborn, options=HostOptions(grace_period_override=0.5)) as world:
        await world.start()
        began = now()
        await world.stop()
        assert 0.5 <= now() - began < 0.6


@virtual
async def test_work_that_swallows_its_cancellation_does_not_hold_the_stop_for_ever():
    class Immortal(Actor):
        options = Options(sleep_grace_period=1.0)
        vars = {"end": False}

        async def run(self, c):
            while not c.vars["end"]:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(10)

    async with World(Immortal) as world:
        task = await world.start()
        began = now()
        await world.stop()
        assert now() - began < 4
        task.vars["end"] = True
        await asyncio.sleep(11)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 15.0),
        ({"sleep_grace_period": 15.0, "on_sleep_timeout": 9.0}, 15.0),
        ({"on_sleep_timeout": 9.0, "wait_until_timeout": 8.0}, 17.0),
        ({"on_sleep_timeout": 9.0, "wait_until_timeout": 8.0, "sleep_grace_period": 20.0}, 20.0),
        ({"on_sleep_timeout": 5.0}, 15.0),
        ({"on_sleep_timeout": 6.0}, 21.0),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_effective_window(options, expected):
    assert Options(**options).grace_period == expected


@virtual
async def test_repeated_stops_are_acknowledged():
    class Slow(Sleepy):
        async def on_sleep(self, c):
            c.state.sleeps += 1
            await asyncio.sleep(1)

    async with World(Slow, auto=False) as world:
        task = await world.start()
        await asyncio.gather(task.stop(StopReason.SLEEP_INTENT), task.stop(StopReason.SLEEP_INTENT), task.stop(StopReason.GOING_AWAY))
        await task.stop(StopReason.SLEEP_INTENT)
        world.task = None
        await world.start()
        assert await world.call("counts") == [2, 1]


@virtual
async def test_a_stop_while_loading_is_refused():
    class Slow(Actor):
        async def on_wake(self, c):
            await asyncio.sleep(1)

    async with World(Slow) as world:
        starting = asyncio.ensure_future(world.start())
        await asyncio.sleep(0.5)
        with caught("actor.not_ready"):
            await world.task.stop(StopReason.SLEEP_INTENT)
        await starting


@virtual
async def test_state_is_saved_when_the_hook_returned_and_again_when_the_work_is_done():
    class Twice(Actor):
        options = Options(sleep_grace_period=10)
        state = {"n": 0}

        def on_sleep(self, c):
            c.state.n = 1

            async def late():
                await asyncio.sleep(2)
                c.state.n = 2

            c.wait_until(late())

    async with World(Twice) as world:
        await world.start()
        before = len(world.storage.state_saves())
        stopping = asyncio.ensure_future(world.stop())
        await asyncio.sleep(1)
        assert len(world.storage.state_saves()) == before + 1
        await stopping
        assert len(world.storage.state_saves()) == before + 2


@virtual
async def test_an_action_past_its_limit_neither_keeps_it_awake_nor_holds_grace():
    class Over(Actor):
        options = Options(sleep_timeout=1.0, sleep_grace_period=30, action_timeout=0.5)

        @action
        async def forever(self, c):
            await asyncio.get_running_loop().create_future()

    async with World(Over) as world:
        await world.start()
        began = now()
        with caught("actor.action_timed_out"):
            await world.call("forever")
        assert 1.5 <= await lifetime(world, began) < 1.6


@virtual
async def test_deprecated_prevent_sleep_does_nothing():
    class Old(Actor):
        options = Options(sleep_timeout=0.5)

        @action
        def old(self, c):
            with pytest.warns(DeprecationWarning, match="does nothing"):
                c.set_prevent_sleep(True)
            with pytest.warns(DeprecationWarning, match="always False"):
                return c.prevent_sleep

    async with World(Old) as world:
        await world.start()
        assert await world.call("old") is False
        await world.asleep(within=0.6)
