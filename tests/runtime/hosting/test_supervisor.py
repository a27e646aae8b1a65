"""The host's state machine, with generations that do what the test says."""

import asyncio

import pytest

from runtime import clock
from runtime.actor.ports import StopReason
from runtime.declaration.actor import Actor
from runtime.declaration.registry import Registry
from runtime.errors import ActorError
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.slot import SlotState
from runtime.storage.memory import MemoryStorage
from tests.runtime.hosting.fake_generation import FakeGeneration, Refused
from tests.runtime.hosting.virtual import run_virtual, until


class Thing(Actor):
    name = "thing"


class World:
    """One host on one storage, which survives a restart."""

    def __init__(self, options=None):
        self.storage = MemoryStorage()
        self.options = options
        self.host = None

    async def __aenter__(self):
        self.host = StandaloneHost(Registry(Thing), self.storage, self.options)
        await self.host.open()
        return self

    async def __aexit__(self, *_):
        await self.host.close()

    async def restart(self):
        await self.host.close()
        return await self.__aenter__()

    @property
    def namespace(self):
        return self.host.namespaces.require("default")

    async def make(self, key="k", name="thing"):
        slot, _ = await self.host.get_or_create(self.namespace, name, key, "default")
        return slot

    async def running(self, key="k"):
        slot = await self.make(key)
        await self.host.ready(slot.actor_id)
        return slot


def scenario(options=None):
    """Run the decorated coroutine function `(world, fake)` on virtual time."""

    def decorate(body):
        def test(fake):
            async def run():
                async with World(options) as world:
                    await body(world, fake)

            run_virtual(run())

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        return test

    return decorate


async def error_of(awaitable):
    with pytest.raises(ActorError) as caught:
        await awaitable
    return caught.value


def fail_starts(count=None):
    async def start(generation):
        if count is None or sum(1 for entry in FakeGeneration.log if entry[0] == "start") <= count:
            raise RuntimeError("hook failed")

    return start


@scenario()
async def test_a_created_actor_starts_without_being_asked(world, fake):
    slot = await world.make()
    assert slot.record.start_ts is None
    await until(lambda: slot.state is SlotState.RUNNING)
    assert fake.log == [("start", 1)]
    assert slot.record.start_ts == slot.record.connectable_ts


@scenario()
async def test_concurrent_get_or_create_makes_one_actor(world, fake):
    answers = await asyncio.gather(*(world.host.get_or_create(world.namespace, "thing", "k", "default") for _ in range(50)))
    assert len({slot.actor_id for slot, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1


@scenario()
async def test_a_failed_creation_leaves_no_actor_behind(world, fake):
    async def broken(scope, ops):
        raise OSError("disk full")

    commit, world.storage.commit = world.storage.commit, broken
    answers = await asyncio.gather(
        *(world.host.get_or_create(world.namespace, "thing", "k", "default") for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(answer, OSError) for answer in answers)
    world.storage.commit = commit
    assert world.host.slots == {}
    assert (await world.running()).record.generation == 1


@scenario()
async def test_requests_wait_for_the_start_and_share_it(world, fake):
    release = asyncio.Event()
    fake.plan["start"] = lambda generation: release.wait()
    slot = await world.make()
    waiting = [asyncio.create_task(world.host.ready(slot.actor_id)) for _ in range(10)]
    await asyncio.sleep(1)
    assert not any(task.done() for task in waiting)
    release.set()
    assert len({id(task) for task in await asyncio.gather(*waiting)}) == 1
    assert fake.log == [("start", 1)]


@scenario()
async def test_cancelling_one_waiter_leaves_the_others(world, fake):
    release = asyncio.Event()
    fake.plan["start"] = lambda generation: release.wait()
    slot = await world.make()
    first, second = (asyncio.create_task(world.host.ready(slot.actor_id)) for _ in range(2))
    await asyncio.sleep(0.1)
    first.cancel()
    release.set()
    assert (await second).identity.actor_id == slot.actor_id


@scenario()
async def test_waiting_for_a_start_ends_after_thirty_seconds(world, fake):
    fake.plan["start"] = lambda generation: asyncio.sleep(1000)
    slot = await world.make()
    started = clock.monotonic()
    error = await error_of(world.host.ready(slot.actor_id))
    assert (error.name, error.metadata) == ("guard.actor_ready_timeout", {"actor_id": slot.actor_id})
    assert 30 <= clock.monotonic() - started < 31


@scenario()
async def test_a_failing_start_is_retried_eight_times_for_a_request(world, fake):
    fake.plan["start"] = fail_starts()
    slot = await world.make()
    error = await error_of(world.host.ready(slot.actor_id))
    assert error.name == "guard.actor_wake_retries_exceeded"
    assert error.metadata == {"actor_id": slot.actor_id, "reason": "actor_stopped_before_ready", "wake_retries": 8}
    assert fake.log == [("start", number) for number in range(1, 10)]
    record = slot.record.to_json()
    assert (record["start_ts"], record["connectable_ts"]) == (None, None)
    assert record["sleep_ts"] is not None
    assert record["error"] == {"crashed": {"message": "hook failed"}}


@scenario()
async def test_a_request_succeeds_when_the_fault_clears_and_the_error_is_cleared(world, fake):
    fake.plan["start"] = fail_starts(4)
    slot = await world.make()
    task = await world.host.ready(slot.actor_id)
    assert task.identity.generation == 5
    assert "error" not in slot.record.to_json()


@scenario()
async def test_an_unregistered_name_fails_at_start_only(world, fake):
    slot = await world.make(name="nobody")
    error = await error_of(world.host.ready(slot.actor_id))
    assert error.name == "guard.actor_wake_retries_exceeded"
    assert "nobody" in slot.record.error["crashed"]["message"]


@scenario()
async def test_sleep_holds_requests_for_the_next_generation(world, fake):
    slot = await world.running()
    fake.plan["stop"] = lambda generation: asyncio.sleep(2)
    world.host.request_sleep(slot.actor_id, 1)
    assert slot.record.sleep_ts is not None
    assert slot.record.connectable_ts is None
    task = await world.host.ready(slot.actor_id)
    assert task.identity.generation == 2
    assert fake.log == [("start", 1), ("stop", 1, "sleep_intent"), ("start", 2)]
    assert slot.record.sleep_ts is None


@scenario()
async def test_a_wake_during_the_stop_is_remembered_after_its_request_is_gone(world, fake):
    slot = await world.running()
    fake.plan["stop"] = lambda generation: asyncio.sleep(2)
    world.host.request_sleep(slot.actor_id, 1)
    waiter = asyncio.create_task(world.host.ready(slot.actor_id))
    await asyncio.sleep(0.1)
    waiter.cancel()
    await until(lambda: slot.state is SlotState.RUNNING)
    assert slot.record.generation == 2


@scenario()
async def test_skipping_the_wait_reaches_the_stopping_generation(world, fake):
    slot = await world.running()
    fake.plan["stop"] = lambda generation: asyncio.sleep(2)
    world.host.request_sleep(slot.actor_id, 1)
    live = await world.host.reach.live(slot.actor_id, skip_ready_wait=True)
    assert live.task.identity.generation == 1


@scenario()
async def test_an_intent_of_an_older_generation_is_ignored(world, fake):
    slot = await world.running()
    world.host.reschedule(slot)
    await world.host.ready(slot.actor_id)
    world.host.request_destroy(slot.actor_id, 1)
    await asyncio.sleep(1)
    assert slot.state is SlotState.RUNNING


@scenario()
async def test_sleep_during_the_start_is_carried_out_afterwards(world, fake):
    async def start(generation):
        world.host.request_sleep(generation.identity.actor_id, generation.identity.generation)
        await asyncio.sleep(1)

    fake.plan["start"] = start
    slot = await world.make()
    await until(lambda: slot.state is SlotState.ASLEEP)
    assert fake.log == [("start", 1), ("stop", 1, "sleep_intent")]
    assert slot.record.start_ts is not None


@scenario()
async def test_destroy_of_a_running_actor_waits_for_its_end(world, fake):
    slot = await world.running()
    fake.plan["stop"] = lambda generation: asyncio.sleep(2)
    started = clock.monotonic()
    await world.host.destroy(slot)
    assert clock.monotonic() - started >= 2
    assert slot.state is SlotState.DESTROYED
    assert (await error_of(world.host.ready(slot.actor_id))).name == "actor.not_found"
    again = await world.make()
    assert again.actor_id != slot.actor_id


@scenario()
async def test_destroy_of_a_sleeping_actor_runs_nothing(world, fake):
    slot = await world.running()
    world.host.sleep(slot)
    await until(lambda: slot.state is SlotState.ASLEEP)
    fake.log.clear()
    await world.host.destroy(slot)
    assert fake.log == []
    assert slot.record.destroy_ts is not None


@scenario()
async def test_destroy_during_the_start_lets_it_finish(world, fake):
    fake.plan["start"] = lambda generation: asyncio.sleep(1)
    slot = await world.make()
    await world.host.destroy(slot)
    assert fake.log == [("start", 1), ("stop", 1, "destroy")]


@scenario()
async def test_destroy_during_a_failing_start(world, fake):
    async def start(generation):
        await asyncio.sleep(1)
        raise RuntimeError("hook failed")

    fake.plan["start"] = start
    slot = await world.make()
    await world.host.destroy(slot)
    assert fake.log == [("start", 1)]
    assert slot.state is SlotState.DESTROYED


@scenario()
async def test_destroy_during_a_sleep_stop_follows_it(world, fake):
    slot = await world.running()
    fake.plan["stop"] = lambda generation: asyncio.sleep(1)
    world.host.sleep(slot)
    await world.host.destroy(slot)
    assert fake.log == [("start", 1), ("stop", 1, "sleep_intent")]


@scenario()
async def test_requests_held_while_the_actor_is_destroyed_are_told(world, fake):
    slot = await world.running()
    fake.plan["stop"] = lambda generation: asyncio.sleep(1)
    destroyed = asyncio.create_task(world.host.destroy(slot))
    await asyncio.sleep(0)
    error = await error_of(world.host.ready(slot.actor_id))
    assert error.name == "actor.destroyed_while_waiting_for_ready"
    await destroyed


@scenario()
async def test_concurrent_destroys_all_return(world, fake):
    slot = await world.running()
    await asyncio.gather(*(world.host.destroy(slot) for _ in range(5)))
    assert [entry for entry in fake.log if entry[0] == "stop"] == [("stop", 1, "destroy")]


@scenario()
async def test_a_stop_intent_destroys_and_a_failed_one_leaves_the_actor_asleep(world, fake):
    slot = await world.running("good")
    world.host.request_destroy(slot.actor_id, 1)
    await until(lambda: slot.state is SlotState.DESTROYED)

    async def broken(generation):
        raise RuntimeError("final save failed")

    slot = await world.running("bad")
    fake.plan["stop"] = broken
    world.host.request_destroy(slot.actor_id, 1)
    await until(lambda: slot.state is SlotState.ASLEEP)
    assert slot.record.error == {"crashed": {"message": "final save failed"}}


@scenario()
async def test_reschedule_restarts_and_wakes(world, fake):
    slot = await world.running()
    world.host.reschedule(slot)
    await until(lambda: slot.record.generation == 2 and slot.state is SlotState.RUNNING)
    world.host.sleep(slot)
    await until(lambda: slot.state is SlotState.ASLEEP)
    world.host.reschedule(slot)
    await until(lambda: slot.record.generation == 3 and slot.state is SlotState.RUNNING)


@scenario()
async def test_a_due_alarm_wakes_a_sleeping_actor(world, fake):
    slot = await world.running()
    await world.host.set_alarm(slot.actor_id, slot.record.generation, clock.now_ms() + 5000)
    world.host.sleep(slot)
    await until(lambda: slot.state is SlotState.ASLEEP)
    await asyncio.sleep(4)
    assert slot.state is SlotState.ASLEEP
    await asyncio.sleep(2)
    assert slot.state is SlotState.RUNNING


@scenario()
async def test_a_due_alarm_reaches_a_running_generation(world, fake):
    slot = await world.running()
    await world.host.set_alarm(slot.actor_id, slot.record.generation, clock.now_ms() + 1000)
    await asyncio.sleep(2)
    assert slot.task.fired == 1


@scenario()
async def test_an_alarm_due_during_the_stop_restarts_at_once(world, fake):
    slot = await world.running()
    await world.host.set_alarm(slot.actor_id, slot.record.generation, clock.now_ms() + 1000)
    fake.plan["stop"] = lambda generation: asyncio.sleep(2)
    world.host.sleep(slot)
    await asyncio.sleep(3)
    assert fake.log == [("start", 1), ("stop", 1, "sleep_intent"), ("start", 2)]


@scenario()
async def test_a_failed_alarm_start_is_repeated_later_not_in_a_loop(world, fake):
    slot = await world.running()
    world.host.sleep(slot)
    await until(lambda: slot.state is SlotState.ASLEEP)
    fake.plan["start"] = fail_starts()
    fake.log.clear()
    await world.host.set_alarm(slot.actor_id, slot.record.generation, clock.now_ms() + 1000)
    await asyncio.sleep(60)
    assert 3 <= len(fake.log) <= 8
    del fake.plan["start"]
    await asyncio.sleep(600)
    assert slot.state is SlotState.RUNNING


@scenario()
async def test_an_actor_comes_back_after_a_restart_and_waits_until_needed(world, fake):
    slot = await world.running()
    await world.host.set_alarm(slot.actor_id, slot.record.generation, clock.now_ms() + 60_000)
    await world.restart()
    assert fake.log[-1] == ("stop", 1, "going_away")
    again = world.host.find(world.namespace, "thing", "k")
    assert again.actor_id == slot.actor_id
    assert again.state is SlotState.ASLEEP
    assert (await world.host.ready(slot.actor_id)).identity.generation == 2


@scenario()
async def test_alarms_are_armed_again_after_a_restart(world, fake):
    slot = await world.running()
    await world.host.set_alarm(slot.actor_id, slot.record.generation, clock.now_ms() + 60_000)
    await world.restart()
    await asyncio.sleep(61)
    assert world.host.slots[slot.actor_id].state is SlotState.RUNNING


@scenario()
async def test_a_destroyed_actor_stays_destroyed_after_a_restart(world, fake):
    slot = await world.running()
    await world.host.destroy(slot)
    await world.restart()
    assert world.host.slots == {}
    assert (await error_of(world.host.ready(slot.actor_id))).name == "actor.not_found"


@scenario()
async def test_a_crash_between_destroy_and_erasure_is_made_up_for(world, fake):
    from runtime.storage.base import Put

    slot = await world.running()
    await world.storage.commit(slot.actor_id, [Put("kv", b"a", b"1")])
    erase, world.storage.erase = world.storage.erase, None

    async def crashed(scope):
        raise OSError("power cut")

    world.storage.erase = crashed
    await world.host.destroy(slot)
    await asyncio.sleep(0.1)
    world.storage.erase = erase
    assert await world.storage.get(slot.actor_id, "kv", b"a") == b"1"
    await world.restart()
    assert await world.storage.get(slot.actor_id, "kv", b"a") is None


@scenario()
async def test_shutdown_waits_for_every_actor_and_refuses_requests(world, fake):
    slots = [await world.running(str(number)) for number in range(5)]
    fake.plan["stop"] = lambda generation: asyncio.sleep(1)
    closing = asyncio.create_task(world.host.close())
    await asyncio.sleep(0.5)
    assert (await error_of(world.host.ready(slots[0].actor_id))).name == "guard.service_unavailable"
    await closing
    assert fake.live == {}
    assert sorted(entry for entry in fake.log if entry[0] == "stop") == [("stop", 1, "going_away")] * 5


@scenario()
async def test_a_generation_that_ends_by_itself(world, fake):
    slot = await world.running("crashed")
    slot.task.on_ended(RuntimeError("panicked"))
    await until(lambda: slot.state is SlotState.ASLEEP)
    assert fake.log == [("start", 1), ("stop", 1, "lost")]
    assert slot.record.error == {"crashed": {"message": "panicked"}}
    assert (await world.host.ready(slot.actor_id)).identity.generation == 2


@scenario(HostOptions(pool="mine"))
async def test_actors_of_a_pool_that_nobody_serves_wait(world, fake):
    from runtime.hosting.standalone.pools import NORMAL_POOL

    world.namespace.pools["other"] = NORMAL_POOL
    slot, _ = await world.host.get_or_create(world.namespace, "thing", "k", "other")
    error = await error_of(world.host.ready(slot.actor_id))
    assert error.name == "guard.actor_ready_timeout"
    assert slot.record.error == "no_envoys"
    assert fake.log == []


@scenario(HostOptions(pool="mine"))
async def test_only_actors_that_waited_for_a_pool_are_looked_at_when_it_comes(world, fake):
    from runtime.hosting.standalone.pools import NORMAL_POOL

    host, space = world.host, world.namespace
    space.pools["mine"] = NORMAL_POOL
    slots = [(await host.get_or_create(space, "thing", key, "mine"))[0] for key in ("waits", "destroyed", "sleeps")]
    for slot in slots:
        await host.ready(slot.actor_id)
        host.sleep(slot)
    await until(lambda: {slot.state for slot in slots} == {SlotState.ASLEEP})
    del space.pools["mine"]
    for slot in slots[:2]:
        assert (await error_of(host.ready(slot.actor_id))).name == "guard.actor_ready_timeout"
    await host.destroy(slots[1])
    space.pools["mine"] = NORMAL_POOL
    host.slots = None
    for _ in range(2):
        host.pool_configured(space, "mine")
    host.slots = host._directory.slots
    await until(lambda: slots[0].state is SlotState.RUNNING)
    assert [slot.state for slot in slots] == [SlotState.RUNNING, SlotState.DESTROYED, SlotState.ASLEEP]


@scenario()
async def test_a_sleeping_slot_keeps_only_its_record(world, fake):
    slot = await world.running()
    world.host.sleep(slot)
    await until(lambda: slot.state is SlotState.ASLEEP)
    held = {name: getattr(slot, name) for name in slot.__slots__}
    assert held.pop("record") is not None
    assert held.pop("namespace") is world.namespace
    assert held.pop("state") is SlotState.ASLEEP
    assert not any(held.values())
    assert StopReason.SLEEP_INTENT.kind == "sleep"


@scenario()
async def test_a_stop_that_was_refused_is_no_stop(world, fake):
    refusals = [Refused(), Refused()]

    async def stop(generation):
        if refusals:
            raise refusals.pop()

    fake.plan["stop"] = stop
    slot = await world.running()
    world.host._supervisor.stop(slot, StopReason.GOING_AWAY)
    # The fake asserts that no generation begins beside a living one.
    await until(lambda: slot.state is SlotState.RUNNING and slot.record.generation == 2)
    assert fake.log == [("start", 1), *[("stop", 1, str(StopReason.GOING_AWAY))] * 3, ("start", 2)]
    assert slot.record.error is None


@scenario()
async def test_a_text_that_cannot_be_stored_stops_no_other_actor(world, fake):
    """As exceptions about files with odd names have it."""

    async def start(generation):
        if generation.identity.key == ("bad",):
            raise ValueError("cannot read caf\udce9.csv")

    fake.plan["start"] = start
    slot = await world.make("bad")
    assert (await error_of(world.host.ready(slot.actor_id))).code == "actor_wake_retries_exceeded"
    assert slot.record.error == {"crashed": {"message": "cannot read caf?.csv"}}
    await world.running("good")
    await world.host.set_alarm(slot.actor_id, slot.record.generation, clock.now_ms() + 10_000_000)
    await world.restart()
    assert sorted(found.record.key for found in world.host.slots.values()) == ["bad", "good"]


@scenario()
async def test_data_that_cannot_be_removed_keeps_no_host_from_opening(world, fake):
    slot = await world.make()
    erase = world.storage.erase

    async def broken(scope):
        raise OSError("not permitted")

    world.storage.erase = broken
    await world.host.destroy(slot)
    await world.restart()
    await world.running("other")
    world.storage.erase = erase
    await world.restart()
    assert await world.storage.scan("", "actors_erasing") == []
