"""The run handler (section 6)."""

import asyncio

import pytest

from runtime import clock
from runtime.errors import make_error
from tests.runtime.actor.support import Actor, Options, World, action, caught, virtual


def runner(body, **options):
    log = []

    class Runs(Actor):
        state = {"runs": 0}

        async def run(self, c):
            c.state.runs += 1
            log.append("run")
            await body(c)
            log.append("end")

        async def on_sleep(self, c):
            log.append("on_sleep")

        @action
        def ping(self, c):
            return c.state.runs

        @action
        async def wake(self, c, at):
            await c.run.set_wake_at(at)

    Runs.options = Options(sleep_timeout=1.0, sleep_grace_period=3.0, **options)
    return Runs, log


@virtual
async def test_a_handler_that_returned_leaves_the_actor_up_until_it_idles():
    async def body(c):
        await asyncio.sleep(0.2)

    actor, log = runner(body)
    async with World(actor) as world:
        await world.start()
        await asyncio.sleep(0.5)
        assert await world.call("ping") == 1
        await world.asleep()
        assert log == ["run", "end", "on_sleep"]
        await world.start()
        await asyncio.sleep(0)
        assert await world.call("ping") == 2


@virtual
async def test_a_failing_handler_is_logged_and_leaves_the_actor_up(capsys):
    async def body(c):
        raise RuntimeError("intentional")

    actor, log = runner(body)
    async with World(actor) as world:
        await world.start()
        await asyncio.sleep(0.1)
        assert await world.call("ping") == 1
        assert world.crash is None
        await world.asleep()
        assert log == ["run", "on_sleep"]
    out = capsys.readouterr().out
    assert "run handler failed" in out
    assert "intentional" in out


@virtual
async def test_an_escaping_abort_is_a_clean_exit(capsys):
    async def body(c):
        raise make_error("actor.aborted")

    actor, _ = runner(body)
    async with World(actor) as world:
        await world.start()
        await world.asleep()
    assert "run handler failed" not in capsys.readouterr().out


@virtual
async def test_an_active_handler_keeps_the_actor_awake():
    async def body(c):
        await asyncio.sleep(5)

    actor, _ = runner(body)
    async with World(actor) as world:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await world.start()
        await world.asleep()
        assert 6.0 <= loop.time() - began < 6.1


@virtual
async def test_a_message_resumes_a_handler_that_waits_for_the_queue():
    got = []

    async def body(c):
        got.append((await c.queue.next(["jobs"])).body)

    class Sends(runner(body)[0]):
        @action
        async def send(self, c, body):
            await c.queue.send("jobs", body)

    async with World(Sends) as world:
        await world.start()
        await world.call("send", 5)
        await asyncio.sleep(0.01)
        assert got == [5]


@virtual
async def test_the_handler_learns_of_the_stop():
    async def body(c):
        await c.abort_signal.wait()
        assert c.aborted

    actor, log = runner(body)
    async with World(actor) as world:
        await world.start()
        began = asyncio.get_running_loop().time()
        await world.stop()
        assert asyncio.get_running_loop().time() - began < 0.1
        assert sorted(log) == ["end", "on_sleep", "run"]


@virtual
async def test_sleep_from_the_handler():
    async def body(c):
        if c.state.runs == 1:
            c.sleep()

    actor, log = runner(body)
    async with World(actor) as world:
        await world.start()
        await world.asleep(within=0.1)
        assert log == ["run", "end", "on_sleep"]


@virtual
async def test_set_wake_at_restarts_a_finished_handler_while_awake():
    async def body(c):
        pass

    actor, _ = runner(body, no_sleep=True)
    async with World(actor) as world:
        await world.start()
        await world.call("wake", clock.now_ms() + 5000)
        await asyncio.sleep(4.9)
        assert await world.call("ping") == 1
        await asyncio.sleep(0.2)
        assert await world.call("ping") == 2
        await world.call("wake", clock.now_ms() + 5000)
        await world.call("wake", None)
        await asyncio.sleep(6)
        assert await world.call("ping") == 2
        assert world.alarm is None


@virtual
async def test_set_wake_at_survives_sleep_as_an_alarm():
    async def body(c):
        pass

    actor, _ = runner(body)
    async with World(actor) as world:
        await world.start()
        at = clock.now_ms() + 60_000
        await world.call("wake", at)
        await world.asleep()
        assert world.alarm == at


@virtual
async def test_set_wake_at_refuses_nonsense():
    async def body(c):
        pass

    actor, _ = runner(body)

    class Without(Actor):
        @action
        async def wake(self, c, at):
            await c.run.set_wake_at(at)

    async with World(actor) as world, World(Without) as without:
        await world.start()
        await without.start()
        for bad in (-1, 1.5):
            with pytest.raises(ValueError, match="non-negative whole"):
                await world.call("wake", bad)
        with caught("actor.run_handler_unavailable"):
            await without.call("wake", 1000)
        await without.call("wake", None)


@virtual
async def test_only_one_handler_at_a_time():
    active = []

    async def body(c):
        active.append(1)
        assert len(active) == 1
        try:
            await c.abort_signal.wait()
        finally:
            active.pop()

    actor, log = runner(body, no_sleep=True)
    async with World(actor) as world:
        task = await world.start()
        await task.run.restart()
        await asyncio.sleep(0.01)
        assert log.count("run") == 2
        assert len(active) == 1
