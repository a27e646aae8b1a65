"""What the host answers is durable, and what it could not write leaves a slot that takes the next call."""

import asyncio

import pytest

from runtime import Actor, ActorError, Options, Registry, action, clock
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.pools import NORMAL_POOL
from runtime.hosting.standalone.slot import SlotState
from tests.runtime.failing_storage import FailingStorage
from tests.runtime.hosting.virtual import run_virtual, until

LIVE, GONE = "actors", "actors_destroyed"


class Thing(Actor):
    name = "thing"


class Timer(Actor):
    name = "timer"
    options = Options(sleep_timeout=0.3)
    state = {"fired": 0}
    vars = None

    async def on_wake(self, c):
        await asyncio.sleep(self.waking)

    waking = 0.0

    @action
    async def arm(self, c, seconds):
        return await c.schedule.after(seconds, "fire")

    @action
    async def end(self, c):
        c.destroy()

    @action
    async def fire(self, c, fire):
        c.state.fired += 1
        await c.save_state(immediate=True)

    @action
    def fired(self, c):
        return c.state.fired


class World:
    """One host on one failing storage."""

    def __init__(self, storage=None, options=None):
        self.storage = storage or FailingStorage()
        self.host = StandaloneHost(Registry(Thing, Timer), self.storage, options)

    async def __aenter__(self):
        await self.host.open()
        return self

    async def __aexit__(self, *_):
        self.storage.heal()
        await self.host.close()

    @property
    def space(self):
        return self.host.namespaces.require("default")

    async def make(self, name="thing", key="k", pool="default"):
        return (await self.host.get_or_create(self.space, name, key, pool))[0]

    async def running(self, name="thing", key="k"):
        slot = await self.make(name, key)
        await self.host.ready(slot.actor_id)
        return slot

    async def asleep(self, slot):
        await until(lambda: slot.state is SlotState.ASLEEP)

    async def call(self, slot, name, *args):
        task = await self.host.ready(slot.actor_id)
        return await task.actions.call_action(name, list(args), None, None)

    def killed(self):
        """The next process, after a kill of this one at this moment."""
        return World(self.storage.as_killed())


def scenario(body):
    """Run `async def test(world, ...)` on virtual time."""
    return scenario_with()(body)


def scenario_with(options=None):
    def decorate(body):
        async def run(*args):
            async with World(options=options) as world:
                await body(world, *args)

        if "fake" in body.__code__.co_varnames[: body.__code__.co_argcount]:

            def test(fake):
                run_virtual(run(fake))
        else:

            def test():
                run_virtual(run())

        test.__name__, test.__doc__ = body.__name__, body.__doc__
        return test

    return decorate


async def name_of(awaitable):
    with pytest.raises(ActorError) as caught:
        await awaitable
    return caught.value.name


# Alarms: on record until the actor that they wake has told the next one.


@scenario
async def test_an_alarm_outlives_a_kill_in_the_wake_that_serves_it(world):
    """TASK-203, TASK-213: the hook of the wake takes its time, and the process is killed meanwhile; nothing fires twice either."""
    slot = await world.make("timer")
    await world.call(slot, "arm", 60)
    await world.asleep(slot)
    Timer.waking = 3.0
    try:
        await until(lambda: slot.state is SlotState.STARTING)
        for seconds in (1, 1.9, 3):
            await asyncio.sleep(seconds)
            async with world.killed() as following:
                again = following.host.slots[slot.actor_id]
                await asyncio.sleep(10)
                assert await following.call(again, "fired") == 1
                assert again.record.alarm is None
    finally:
        Timer.waking = 0.0


@scenario
async def test_wherever_a_one_shot_is_cut_off_it_fires_at_most_once_and_never_not_at_all(world):
    """TASK-206: behind each commit of the life of one schedule a kill; an acknowledged one whose action did not begin is there."""
    slot = await world.make("timer")
    worlds = []

    def note(commit):
        worlds.append((commit.number, commit, world.storage.as_killed()))
        return False

    await world.call(slot, "arm", 5)
    await world.asleep(slot)
    world.storage.fails = note
    await asyncio.sleep(10)
    assert len(worlds) > 4
    claimed = next(number for number, commit, _ in worlds if commit.deletes("schedule"))
    for number, _, storage in worlds:
        async with World(storage) as following:
            await asyncio.sleep(10)
            fired = await following.call(following.host.slots[slot.actor_id], "fired")
            assert fired == 1 if number <= claimed else fired in (0, 1), number


@scenario
async def test_an_alarm_that_falls_due_in_a_start_that_fails_comes_back(world, fake):
    """Nobody asked for that start because of an alarm, and nobody may ever ask again."""
    slot = await world.running()
    world.host.sleep(slot)
    await world.asleep(slot)
    await world.host.set_alarm(slot.actor_id, 1, clock.now_ms() + 500)

    async def start(generation):
        await asyncio.sleep(1)
        raise RuntimeError("not yet")

    fake.plan["start"] = start
    world.host.reschedule(slot)
    await world.asleep(slot)
    del fake.plan["start"]
    await asyncio.sleep(5)
    assert slot.state is SlotState.RUNNING


@scenario
async def test_an_alarm_is_acknowledged_when_it_is_durable_also_the_second_time(world, fake):
    slot = await world.running()
    world.storage.fail_next(2)
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            await world.host.set_alarm(slot.actor_id, 1, 10**13)
    await world.host.set_alarm(slot.actor_id, 1, 10**13)
    async with world.killed() as following:
        assert following.host.slots[slot.actor_id].record.alarm == 10**13


@scenario
async def test_a_dead_generation_changes_no_alarm(world, fake):
    slot = await world.running()
    await world.host.set_alarm(slot.actor_id, 1, 10**13)
    world.host.reschedule(slot)
    await until(lambda: slot.record.generation == 2)
    await world.host.set_alarm(slot.actor_id, 1, None)
    assert slot.record.alarm == 10**13


# Destroys: answered when they are durable; otherwise the actor is as it was.


@pytest.mark.parametrize("state", ["running", "asleep", "starting", "stopping", "failing"])
def test_a_destroy_that_cannot_be_recorded_is_an_error_and_the_next_one_works(fake, state):
    """WIRE-100: whatever the actor was doing, it takes the next call and the next DELETE, and its data is there."""

    async def run():
        async with World() as world:
            slot = await world.running()
            await world.storage.commit(slot.actor_id, [Put("kv", b"a", b"1")])
            if state != "running":
                world.host.sleep(slot)
                await asyncio.sleep(0 if state == "stopping" else 1)
            if state in ("starting", "failing"):

                async def start(generation):
                    await asyncio.sleep(1)
                    if state == "failing" and generation.identity.generation == 2:
                        raise RuntimeError("not yet")

                fake.plan["start"] = start
                world.host.reschedule(slot)
            world.storage.fail_table(GONE)
            assert await name_of(world.host.destroy(slot)) == "core.internal_error"
            assert await world.storage.get(slot.actor_id, "kv", b"a") == b"1"
            assert (slot.state, slot.record.destroy_ts) == (SlotState.ASLEEP, None)
            await world.host.ready(slot.actor_id)
            world.storage.heal()
            async with world.killed() as following:
                assert await following.storage.get(slot.actor_id, "kv", b"a") == b"1"
                assert following.host.slots[slot.actor_id].state is SlotState.ASLEEP
            await world.host.destroy(slot)
            assert await name_of(world.host.ready(slot.actor_id)) == "actor.not_found"
            async with world.killed() as following:
                assert (following.host.slots, await following.storage.get(slot.actor_id, "kv", b"a")) == ({}, None)

    from runtime.storage.base import Put

    run_virtual(run())


@scenario
async def test_an_end_is_not_told_before_it_is_recorded(world, fake):
    slot = await world.running()
    world.host.sleep(slot)
    await world.asleep(slot)
    world.storage.held = asyncio.Event()
    deleting = asyncio.ensure_future(world.host.destroy(slot))
    await asyncio.sleep(1)
    assert (slot.record.to_json()["destroy_ts"], deleting.done()) == (None, False)
    world.storage.held.set()
    await deleting
    assert slot.record.to_json()["destroy_ts"] is not None
    found = await world.host.destroyed.find(slot.actor_id)
    assert found.to_json() == slot.record.to_json()


@scenario
async def test_a_generation_that_cannot_go_on_before_its_start_has_ended_ends_behind_it(world, fake):
    async def start(generation):
        if generation.identity.generation == 1:
            generation.on_ended(RuntimeError("the database broke"))

    fake.plan["start"] = start
    slot = await world.make()
    await until(lambda: ("stop", 1, "lost") in fake.log)
    await world.asleep(slot)
    assert (await world.host.ready(slot.actor_id)).identity.generation == 2


@scenario
async def test_the_alarm_of_an_actor_that_was_not_destroyed_still_comes(world, fake):
    slot = await world.running()
    world.host.sleep(slot)
    await world.asleep(slot)
    await world.host.set_alarm(slot.actor_id, 1, clock.now_ms() + 5000)
    world.storage.fail_table(GONE)
    assert await name_of(world.host.destroy(slot)) == "core.internal_error"
    world.storage.heal()
    await asyncio.sleep(6)
    assert slot.state is SlotState.RUNNING


@scenario
async def test_an_actor_that_destroyed_itself_is_gone_as_soon_as_that_can_be_recorded(world):
    """DESTROY-002: nobody waits for it, so it is tried again; who calls meanwhile is told that it is being destroyed (DESTROY-046)."""
    slot = await world.running("timer")
    world.storage.fail_table(GONE)
    await world.call(slot, "end")
    await until(lambda: slot.state is SlotState.STOPPING)
    assert await name_of(world.host.ready(slot.actor_id)) == "actor.destroying"
    assert await name_of(world.host.destroy(slot)) == "core.internal_error"
    await asyncio.sleep(60)
    assert slot.state is SlotState.STOPPING
    async with world.killed() as following:
        assert await following.call(following.host.slots[slot.actor_id], "fired") == 0
    world.storage.heal()
    await until(lambda: slot.state is SlotState.DESTROYED)
    assert await name_of(world.host.ready(slot.actor_id)) == "actor.not_found"


@scenario
async def test_a_host_that_closes_does_not_wait_for_a_disk(world):
    slot = await world.running("timer")
    world.storage.fail_table(GONE)
    await world.call(slot, "end")
    await asyncio.sleep(5)
    async with asyncio.timeout(10):
        await world.host.close()
    assert slot.state is SlotState.ASLEEP


# Creations.


@scenario
async def test_a_creation_whose_caller_is_gone_is_carried_out(world, fake):
    """What is being written must not turn up after a restart beside another actor of the same key."""
    world.storage.held = asyncio.Event()
    creating = asyncio.ensure_future(world.make())
    await asyncio.sleep(0.01)
    creating.cancel()
    others = [asyncio.ensure_future(world.make()) for _ in range(2)]
    await asyncio.sleep(0.01)
    world.storage.held.set()
    first, second = await asyncio.gather(*others)
    await world.host.ready(first.actor_id)
    assert (first, creating.cancelled()) == (second, True)
    async with world.killed() as following:
        assert list(following.host.slots) == [first.actor_id]


@scenario
async def test_a_creation_that_cannot_be_recorded_leaves_nothing_behind(world, fake):
    world.storage.fail_table(LIVE)
    deleting = []
    for _ in range(3):
        creating = asyncio.ensure_future(world.make())
        await asyncio.sleep(0)
        [slot] = world.host.slots.values()
        deleting.append(asyncio.ensure_future(world.host.destroy(slot)))
        with pytest.raises(OSError, match="disk full"):
            await creating
    await asyncio.gather(*deleting)
    assert (world.host.slots, world.host.find(world.space, "thing", "k"), list(world.space.names)) == ({}, None, [])
    world.storage.heal()
    await asyncio.sleep(60)
    async with world.killed() as following:
        assert following.host.slots == {}
    await world.running()


@scenario_with(HostOptions(pool="mine"))
async def test_a_delete_that_raced_a_creation_for_nobody_ends(world, fake):
    world.space.pools["other"] = NORMAL_POOL
    world.storage.held = asyncio.Event()
    creating = asyncio.ensure_future(world.make(pool="other"))
    await asyncio.sleep(0.01)
    [slot] = world.host.slots.values()
    deleting = [asyncio.ensure_future(world.host.destroy(slot)) for _ in range(2)]
    await asyncio.sleep(0.01)
    world.storage.held.set()
    async with asyncio.timeout(1):
        await asyncio.gather(creating, *deleting)
    assert (slot.state, world.host.slots) == (SlotState.DESTROYED, {})


# Whatever leaves a start or a stop.


class Odd(BaseException):
    pass


@pytest.mark.parametrize("error", [Odd(), SystemExit(3), GeneratorExit(), asyncio.CancelledError()])
@pytest.mark.parametrize("step", ["start", "stop"])
def test_a_slot_goes_on_whatever_a_generation_ends_with(fake, step, error):
    async def run():
        async with World() as world:

            async def planned(generation):
                if generation.identity.generation == 1:
                    raise error

            fake.plan[step] = planned
            slot = await world.make()
            await asyncio.sleep(1)
            if step == "stop":
                world.host.sleep(slot)
                await world.asleep(slot)
            async with asyncio.timeout(5):
                assert (await world.host.ready(slot.actor_id)).identity.generation == 2
                await world.host.destroy(slot)

    run_virtual(run())
