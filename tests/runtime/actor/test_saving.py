"""When state becomes durable (section 7.3)."""

import asyncio

import pytest

from tests.runtime.actor.support import Actor, Options, StopReason, World, action, caught, virtual


class Saves(Actor):
    options = Options(state_save_interval=1.0)
    state = {"n": 0}

    @action
    def set(self, c, n):
        c.state.n = n

    @action
    async def now(self, c, n):
        c.state.n = n
        await c.save_state(immediate=True)

    @action
    async def within(self, c, n, seconds):
        c.state.n = n
        await c.save_state(max_wait=seconds)

    @action
    async def plain(self, c, n):
        c.state.n = n
        await c.save_state()

    @action
    def get(self, c):
        return c.state.n


async def stored(world):
    """What a hard kill now would leave."""
    from runtime.protocol import cbor

    return cbor.loads(await world.storage.get(world.actor_id, "actor", b"state"))["n"]


@virtual
async def test_a_mutation_is_saved_within_the_interval():
    async with World(Saves) as world:
        await world.start()
        await asyncio.sleep(5)
        before = len(world.storage.state_saves())
        await world.call("set", 1)
        await asyncio.sleep(0.05)
        assert await stored(world) == 1, "the last save was long ago"
        await world.call("set", 2)
        await world.call("set", 3)
        await asyncio.sleep(0.5)
        assert await stored(world) == 1, "throttled"
        await asyncio.sleep(0.6)
        assert await stored(world) == 3
        assert len(world.storage.state_saves()) == before + 2


@virtual
async def test_the_interval_counts_from_the_start():
    async with World(Saves) as world:
        await world.start()
        await world.call("set", 1)
        await asyncio.sleep(0.5)
        assert await stored(world) == 0
        await asyncio.sleep(0.6)
        assert await stored(world) == 1


@virtual
async def test_immediate_returns_when_durable():
    async with World(Saves) as world:
        await world.start()
        await world.call("now", 5)
        assert await stored(world) == 5


@virtual
async def test_max_wait_bounds_the_delay_and_returns_at_once():
    async with World(Saves) as world:
        await world.start()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await world.call("within", 5, 0.2)
        assert loop.time() - began < 0.05
        assert await stored(world) == 0
        await asyncio.sleep(0.25)
        assert await stored(world) == 5


@virtual
async def test_a_longer_max_wait_does_not_delay_an_earlier_save():
    async with World(Saves) as world:
        await world.start()
        await world.call("within", 5, 0.1)
        await world.call("within", 6, 10)
        await asyncio.sleep(0.15)
        assert await stored(world) == 6


@virtual
async def test_an_immediate_save_during_a_save_covers_the_newer_state():
    async with World(Saves) as world:
        await world.start()
        world.storage.latency = 0.1
        first = asyncio.ensure_future(world.call("now", 1))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(world.call("now", 2))
        await first
        assert await stored(world) == 1
        await second
        assert await stored(world) == 2


@virtual
async def test_changes_during_a_save_are_not_lost():
    async with World(Saves) as world:
        await world.start()
        world.storage.latency = 0.1
        first = asyncio.ensure_future(world.call("now", 1))
        await asyncio.sleep(0.05)
        await world.call("set", 2)
        await first
        world.storage.latency = 0
        await asyncio.sleep(1.2)
        assert await stored(world) == 2


@virtual
async def test_a_failed_immediate_save_reaches_the_caller_and_is_retried():
    async with World(Saves) as world:
        await world.start()
        world.storage.broken = True
        with pytest.raises(OSError, match="disk full"):
            await world.call("now", 1)
        world.storage.broken = False
        await asyncio.sleep(1.5)
        assert await stored(world) == 1


@virtual
async def test_a_failed_throttled_save_is_retried():
    async with World(Saves) as world:
        await world.start()
        world.storage.broken = True
        await world.call("set", 1)
        await asyncio.sleep(3)
        world.storage.broken = False
        await asyncio.sleep(1.5)
        assert await stored(world) == 1


@virtual
async def test_a_graceful_stop_loses_nothing():
    async with World(Saves) as world:
        await world.start()
        await world.call("set", 9)
        await world.stop(StopReason.GOING_AWAY)
        assert await stored(world) == 9
        await world.start()
        assert await world.call("get") == 9


@virtual
async def test_a_failed_final_save_fails_the_stop():
    async with World(Saves, auto=False) as world:
        await world.start()
        await world.call("set", 9)
        world.storage.broken = True
        with pytest.raises(OSError, match="disk full"):
            await world.stop(StopReason.SLEEP_INTENT)
        world.storage.broken = False
        await world.start()
        assert await world.call("get") == 0


@virtual
async def test_nothing_of_a_dead_generation_is_written():
    late = []

    class Ghost(Actor):
        options = Options(sleep_grace_period=0.2, state_save_interval=0.1)
        state = {"n": 0}

        async def on_sleep(self, c):
            late.append(c)

        @action
        def set(self, c, n):
            c.state.n = n

        @action
        def get(self, c):
            return c.state.n

    async with World(Ghost) as world:
        await world.start()
        await world.call("set", 1)
        await world.restart()
        await world.call("set", 2)
        ghost = late[0]
        for write in (lambda: setattr(ghost.state, "n", 99), lambda: setattr(ghost, "state", {"n": 98})):
            with caught("actor.not_configured"):
                write()
        await ghost.save_state()
        with caught("actor.not_configured"):
            await ghost.save_state(immediate=True)
        for attempt in (
            lambda: ghost.queue.send("q", 1),
            lambda: ghost.schedule.after(1, "get"),
            lambda: ghost.kv.put("a", "b"),
        ):
            with pytest.raises(Exception) as refusal:
                await attempt()
            assert refusal.value.group in ("actor", "sqlite")
        await asyncio.sleep(1)
        assert await stored(world) == 2
        await world.restart()
        assert await world.call("get") == 2


@virtual
async def test_the_saver_writes_all_sources_and_extra_rows_in_one_batch():
    from runtime.storage.base import Put

    async with World(Saves) as world:
        task = await world.start()

        class Source:
            settled_with = []

            def collect(self):
                return [Put("conn", b"x", b"y")]

            def settled(self, ok):
                self.settled_with.append(ok)

        task.saver.add_source(Source())
        task.state.value.n = 4
        await task.saver.save_now(extra=lambda: [Put("workflow", b"w", b"z")])
        assert {op.table for op in world.storage.commits[-1]} == {"actor", "conn", "workflow"}
        assert Source.settled_with == [True]
        world.storage.broken = True
        task.state.value.n = 5
        with pytest.raises(OSError):
            await task.saver.save_now()
        assert Source.settled_with[:2] == [True, False]
        world.storage.broken = False
