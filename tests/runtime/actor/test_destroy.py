"""Destroying (section 4)."""

import asyncio

import pytest

from tests.runtime.actor.support import Actor, Options, StopReason, World, action, caught, virtual


def mortal(log, slow=0.0):
    class Mortal(Actor):
        options = Options(sleep_grace_period=2.0)
        state = {"n": 0}

        @action
        def destroy(self, c):
            c.destroy()
            log.append(("aborted", c.aborted))
            return "answered"

        @action
        async def destroy_twice(self, c):
            c.destroy()
            c.destroy()

        @action
        def sleep_then_destroy(self, c):
            c.sleep()
            c.destroy()
            return "both"

        @action
        async def work(self, c):
            await asyncio.sleep(1)
            log.append("worked")
            return "worked"

        @action
        def ping(self, c):
            return "pong"

        async def on_destroy(self, c):
            log.append("on_destroy")
            assert c.aborted
            for again in (c.destroy, c.sleep):
                with caught("actor.stopping"):
                    again()
            await asyncio.sleep(slow)
            log.append("on_destroy done")

        async def on_sleep(self, c):
            log.append("on_sleep")
            await asyncio.sleep(slow)

    return Mortal


@virtual
async def test_the_calling_action_is_answered_and_the_hook_runs_once():
    log = []
    async with World(mortal(log)) as world:
        await world.start()
        assert await world.call("destroy") == "answered"
        await world.asleep(within=1)
        assert log == [("aborted", False), "on_destroy", "on_destroy done"]
        assert world.destroyed


@virtual
async def test_a_second_request_fails():
    log = []
    async with World(mortal(log)) as world:
        await world.start()
        with caught("actor.stopping"):
            await world.call("destroy_twice")
        await world.asleep()


@virtual
async def test_dispatch_closes_at_the_request():
    log = []
    async with World(mortal(log), auto=False) as world:
        task = await world.start()
        await world.call("destroy")
        with caught("actor.destroying"):
            await world.call("ping")
        with caught("actor.destroying"):
            task.accepting()
        await world.stop(StopReason.STOP_INTENT)


@virtual
async def test_a_destroy_by_the_control_plane_refuses_with_stopping_then_destroying():
    log = []
    async with World(mortal(log, slow=0.5), auto=False) as world:
        task = await world.start()
        stopping = asyncio.ensure_future(world.stop(StopReason.DESTROY))
        await asyncio.sleep(0.1)
        with caught("actor.stopping"):
            task.accepting()
        await stopping
        with caught("actor.destroying"):
            task.accepting()
        assert "on_sleep" not in log


@virtual
async def test_sleep_then_destroy_runs_the_sleep_hook_only_and_closes_dispatch():
    log = []
    async with World(mortal(log, slow=0.5)) as world:
        task = await world.start()
        assert await world.call("sleep_then_destroy") == "both"
        with caught("actor.destroying"):
            task.accepting()
        await world.asleep()
        assert log == ["on_sleep"]
        assert world.intents == ["sleep", "destroy"]


@virtual
async def test_work_in_flight_is_answered():
    log = []
    async with World(mortal(log)) as world:
        await world.start()
        working = asyncio.ensure_future(world.call("work"))
        await asyncio.sleep(0.1)
        await world.stop(StopReason.DESTROY)
        assert await working == "worked"


@virtual
async def test_a_hook_past_the_deadline_is_cancelled():
    log = []
    async with World(mortal(log, slow=100)) as world:
        await world.start()
        began = asyncio.get_running_loop().time()
        await world.stop(StopReason.DESTROY)
        assert 2.0 <= asyncio.get_running_loop().time() - began < 2.1
        assert log == ["on_destroy"]
        assert world.metric("shutdown_timeout_total", reason="destroy") == 1
        assert world.destroyed


@virtual
async def test_a_failing_hook_does_not_stop_the_destroy():
    class Fails(Actor):
        def on_destroy(self, c):
            raise RuntimeError("no")

    async with World(Fails) as world:
        await world.start()
        await world.stop(StopReason.DESTROY)
        assert world.destroyed


@pytest.mark.parametrize(("reason", "at_least"), [(StopReason.DESTROY, 0.0), (StopReason.SLEEP_INTENT, 2.0)])
def test_a_run_handler_that_ignores_the_signal_holds_sleep_only(reason, at_least):
    @virtual
    async def body():
        ended = []

        class Runs(Actor):
            options = Options(sleep_grace_period=2.0)

            async def run(self, c):
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    ended.append(1)

        async with World(Runs) as world:
            await world.start()
            began = asyncio.get_running_loop().time()
            await world.stop(reason)
            assert at_least <= asyncio.get_running_loop().time() - began < at_least + 0.1
            assert ended == [1]

    body()


@virtual
async def test_the_alarm_is_cleared():
    class Scheduled(Actor):
        @action
        async def plan(self, c):
            return await c.schedule.after(100, "plan")

    async with World(Scheduled) as world:
        await world.start()
        await world.call("plan")
        assert world.alarm is not None
        await world.stop(StopReason.DESTROY)
        assert world.alarm is None


@virtual
async def test_destroy_from_the_run_handler():
    log = []

    class Ends(Actor):
        def run(self, c):
            c.destroy()

        def on_destroy(self, c):
            log.append("on_destroy")

    async with World(Ends) as world:
        await world.start()
        await world.asleep(within=1)
        assert log == ["on_destroy"]
        assert world.destroyed
