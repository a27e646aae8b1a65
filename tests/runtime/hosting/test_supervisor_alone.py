"""The supervisor without a host: rows that only remember, generations that do what the test says."""

import asyncio

import pytest

from runtime import clock
from runtime.actor.ports import StopReason
from runtime.declaration.definition import Actor
from runtime.declaration.registry import Registry
from runtime.errors import ActorError
from runtime.hosting.standalone import supervisor as module
from runtime.hosting.standalone.namespaces import Namespace
from runtime.hosting.standalone.records import ActorRecord
from runtime.hosting.standalone.slot import ActorSlot, SlotState
from runtime.hosting.standalone.supervisor import Supervisor
from runtime.hosting.standalone.waking import Waking


class Thing(Actor):
    name = "thing"


class Task:
    """A generation; `fault` is what its start raises."""

    fault = None

    def __init__(self, definition, identity, host, storage):
        self.identity, self.stops = identity, []

    async def start(self):
        if self.fault is not None:
            raise self.fault

    async def stop(self, reason):
        self.stops.append(reason)


class Host:
    """Hosts one actor."""

    def __init__(self):
        self.registry, self.storage, self.rows, self.databases = Registry(Thing), self, self, None
        self.slot = ActorSlot(ActorRecord("a", "n", "thing", None, "p", 0), Namespace("n", "home", "", 0))
        self.slots = {"a": self.slot}
        self.alarms, self.gone = [], []

    def serves(self, namespace, pool):
        return True

    def alarm(self, slot, at_ms):
        self.alarms.append(at_ms)

    def mark(self, row):
        pass

    def write(self, row):
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def save(self, row):
        pass

    async def erase(self, actor_id):
        pass

    async def commit(self, scope, ops):
        pass


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(module, "ActorTask", Task)
    monkeypatch.setattr(Task, "fault", None)
    return Host()


@pytest.fixture
def supervisor(host):
    return Supervisor(host, host.gone.append)


@pytest.fixture
def ready(supervisor):
    return Waking(supervisor, 0.05).ready


async def test_a_generation_is_started_once_for_all_who_wait(host, ready):
    first, second = await asyncio.gather(ready(host.slot), ready(host.slot))
    assert first is second is host.slot.task
    assert (host.slot.state, host.slot.live.task) == (SlotState.RUNNING, first)
    assert host.slot.live.headers[1] == (b"x-rivet-actor-generation", b"1")


async def test_a_start_that_fails_leaves_its_text_and_sleep_behind(host, ready, monkeypatch):
    monkeypatch.setattr(Task, "fault", RuntimeError("broken"))
    with pytest.raises(ActorError) as caught:
        await ready(host.slot)
    assert caught.value.name == "guard.actor_wake_retries_exceeded"
    assert (host.slot.state, host.slot.record.error) == (SlotState.ASLEEP, {"crashed": {"message": "broken"}})


async def test_a_start_that_an_alarm_asked_for_is_tried_again_later(host, supervisor, monkeypatch):
    monkeypatch.setattr(Task, "fault", RuntimeError("broken"))
    host.slot.record.alarm = 1
    supervisor.start(host.slot)
    await host.slot.transition
    assert (len(host.alarms), host.alarms[0] > clock.now_ms()) == (1, True)


async def test_going_away_starts_again_and_destroying_does_not(host, supervisor, ready):
    first = await ready(host.slot)
    supervisor.stop(host.slot, StopReason.GOING_AWAY)
    second = await ready(host.slot)
    assert (first.stops, second is first) == ([StopReason.GOING_AWAY], False)
    await supervisor.destroy(host.slot)
    assert (second.stops, host.gone, host.slot.state) == ([StopReason.DESTROY], [host.slot], SlotState.DESTROYED)


async def test_after_its_end_it_stops_all_and_starts_nothing(host, supervisor, ready):
    task = await ready(host.slot)
    await supervisor.close()
    assert (task.stops, host.slot.state) == ([StopReason.GOING_AWAY], SlotState.ASLEEP)
    with pytest.raises(ActorError) as caught:
        await ready(host.slot)
    assert caught.value.name == "guard.service_unavailable"
