"""Idle predicate, sleep requests, grace, its deadline (section 3)."""

import asyncio

import pytest

from runtime.http import Request, Response
from tests.runtime.actor.sleepy import Sleepy, lifetime, now
from tests.runtime.actor.support import Actor, Options, World, action, caught, virtual


@virtual
async def test_an_idle_actor_sleeps_and_wakes_again():
    async with World(Sleepy) as world:
        began = now()
        await world.start()
        assert 1.0 <= await lifetime(world, began) < 1.1
        await world.start()
        assert await world.call("counts") == [2, 1]
        await world.asleep()
        await world.start()
        assert await world.call("counts") == [3, 2]


@virtual
async def test_an_action_restarts_the_full_time():
    async with World(Sleepy) as world:
        await world.start()
        await asyncio.sleep(0.9)
        await world.call("counts")
        began = now()
        assert 1.0 <= await lifetime(world, began) < 1.1


@virtual
async def test_a_running_action_keeps_it_awake():
    async with World(Sleepy) as world:
        await world.start()
        assert await world.call("work", 5) == "worked"
        assert world.task is not None
        assert world.intents == []
        assert 1.0 <= await lifetime(world, now()) < 1.1


@virtual
async def test_keep_awake_regions_add_up():
    async with World(Sleepy) as world:
        await world.start()
        began = now()
        await world.call("keep", 2, 4)
        assert 5.0 <= await lifetime(world, began) < 5.1


@virtual
async def test_wait_until_does_not_keep_it_awake_but_holds_grace():
    async with World(Sleepy) as world:
        await world.start()
        began = now()
        await world.call("until", 3)
        assert 3.0 <= await lifetime(world, began) < 3.1
        await world.start()
        assert "late" in await world.call("log")


@virtual
async def test_work_registered_from_work_is_drained():
    async with World(Sleepy) as world:
        await world.start()
        await world.call("nested")
        await world.call("sleep")
        await world.asleep()
        await world.start()
        assert "inner" in await world.call("log")


@pytest.mark.parametrize("result", [None, 7, "error"])
def test_keep_awake_returns_the_outcome(result):
    @virtual
    async def body():
        class Keeps(Actor):
            @action
            async def keep(self, c):
                async def work():
                    await asyncio.sleep(0.1)
                    if result == "error":
                        raise RuntimeError("kept")
                    return result

                return await c.keep_awake(work())

            @action
            def until(self, c):
                async def work():
                    if result == "error":
                        raise RuntimeError("until")
                    return result

                assert c.wait_until(work()) is None

        async with World(Keeps) as world:
            await world.start()
            if result == "error":
                with pytest.raises(RuntimeError, match="kept"):
                    await world.call("keep")
            else:
                assert await world.call("keep") == result
            await world.call("until")
            await asyncio.sleep(0.1)
            assert world.task is not None, "a rejected promise affects nothing else"

    body()


@virtual
async def test_keep_awake_starts_its_work_though_nobody_awaits_it():
    ran = []

    class Keeps(Actor):
        @action
        def keep(self, c):
            async def work():
                ran.append(1)

            c.keep_awake(work())

    async with World(Keeps) as world:
        await world.start()
        await world.call("keep")
        await asyncio.sleep(0)
        assert ran == [1]


@virtual
async def test_no_sleep_disables_idleness_only():
    class Insomniac(Sleepy):
        options = Options(sleep_timeout=1.0, no_sleep=True)

    async with World(Insomniac) as world:
        await world.start()
        await asyncio.sleep(20)
        assert world.intents == []
        assert await world.call("sleep") == "asked"
        await world.asleep(within=1)


@virtual
async def test_a_raw_request_keeps_it_awake():
    class Web(Actor):
        options = Options(sleep_timeout=0.5)

        async def on_request(self, c, request):
            await asyncio.sleep(3)
            return Response("x")

    async with World(Web) as world:
        task = await world.start()
        assert (await task.raw_requests.fetch(Request("GET", "http://127.0.0.1/", {}), None)).body == "x"
        assert world.intents == []
        await world.asleep(within=0.6)


@virtual
async def test_a_second_request_is_a_silent_no_op_and_the_next_generation_can_sleep_again():
    async with World(Sleepy) as world:
        await world.start()
        assert await world.call("sleep", 3) == "asked"
        await world.asleep(within=1)
        assert world.intents == ["sleep"]
        await world.start()
        await world.call("sleep")
        await world.asleep(within=1)
        assert world.intents == ["sleep", "sleep"]


@virtual
async def test_abort_fires_when_grace_begins_and_not_before():
    seen = []

    class Listener(Actor):
        def on_wake(self, c):
            c.abort_signal.add_listener(lambda: seen.append(c.aborted))

        @action
        def sleep(self, c):
            c.sleep()
            seen.append(c.aborted)

        def on_sleep(self, c):
            seen.append(("hook", c.aborted, c.abort_signal.aborted))

    async with World(Listener, auto=False) as world:
        await world.start()
        await world.call("sleep")
        await asyncio.sleep(1)
        assert seen == [False]
        await world.stop()
        assert seen == [False, True, ("hook", True, True)]


@virtual
async def test_without_work_grace_ends_at_once():
    async with World(Sleepy) as world:
        await world.start()
        began = now()
        await world.stop()
        assert now() - began < 0.01


@virtual
async def test_work_in_flight_is_answered_within_grace_and_its_changes_survive():
    async with World(Sleepy) as world:
        await world.start()
        working = asyncio.ensure_future(world.call("work", 2))
        await asyncio.sleep(0.1)
        await world.stop()
        assert await working == "worked"
        await world.start()
        assert await world.call("log") == ["aborted=True", "work done"]


@virtual
async def test_in_grace_the_actor_still_works():
    results = {}

    class Grace(Actor):
        options = Options(sleep_grace_period=5)
        state = {"n": 0, "fired": 0}

        async def on_sleep(self, c):
            c.state.n = 1
            await asyncio.sleep(0.1)
            results["queue"] = (await c.queue.send("q", {"a": 1})).id
            await c.kv.put("k", "v")
            results["schedule"] = await c.schedule.after(0.05, "fire")
            await asyncio.sleep(0.5)
            c.broadcast("event", 1)
            c.sleep()
            await c.save_state(immediate=True)
            c.state.n = 2

        @action
        def fire(self, c, *_):
            c.state.fired += 1

        @action
        async def get(self, c):
            message = await c.queue.next(timeout=0)
            return [c.state.n, c.state.fired, message.body, await c.kv.get("k")]

    async with World(Grace) as world:
        await world.start()
        await world.restart()
        await asyncio.sleep(0.01)
        assert await world.call("get") == [2, 1, {"a": 1}, "v"], "the schedule fired in the next generation only"
        assert any(world.alarms)


@virtual
async def test_dispatch_in_grace_is_accepted_and_refused_afterwards():
    class Slow(Sleepy):
        async def on_sleep(self, c):
            await asyncio.sleep(1)

    async with World(Slow) as world:
        task = await world.start()
        stopping = asyncio.ensure_future(world.stop())
        await asyncio.sleep(0.5)
        assert await task.actions.call_action("counts", [], None, None) == [1, 0]
        await stopping
        with caught("actor.stopping"):
            await task.actions.call_action("counts", [], None, None)


@virtual
async def test_accepted_dispatch_is_handed_over_before_grace_begins():
    async with World(Sleepy) as world:
        task = await world.start()
        calling = asyncio.ensure_future(task.actions.call_action("counts", [], None, None))
        stopping = asyncio.ensure_future(world.stop())
        assert await calling == [1, 0]
        await stopping


@virtual
async def test_a_failing_cleanup_hook_keeps_what_it_did():
    class Fails(Actor):
        state = {"n": 0}

        def on_sleep(self, c):
            c.state.n += 1
            raise RuntimeError("cleanup")

        @action
        def get(self, c):
            return c.state.n

    async with World(Fails) as world:
        await world.start()
        await world.restart()
        assert world.stop_error is None
        assert await world.call("get") == 1


@virtual
async def test_pending_queue_receives_are_aborted():
    async def consume(c):
        await c.queue.next(["jobs"])

    class Consumer(Actor):
        options = Options(sleep_timeout=1)
        state = {"n": 0}

        async def run(self, c):
            await consume(c)

        @action
        async def wait(self, c):
            await consume(c)

    async with World(Consumer) as world:
        began = now()
        await world.start()
        assert 1.0 <= await lifetime(world, began) < 1.1, "waiting for a queue is idle"
        await world.start()
        waiting = asyncio.ensure_future(world.call("wait"))
        await asyncio.sleep(0.1)
        await world.stop()
        with caught("actor.aborted"):
            await waiting
