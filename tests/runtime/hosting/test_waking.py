"""Reaching a live actor through its slot: a fake slot, a fake start."""

import asyncio

import pytest

from runtime.errors import ActorError, make_error
from runtime.gateway.live_actor import Live
from runtime.hosting.standalone.slot import ActorSlot, SlotEvent, SlotState
from runtime.hosting.standalone.waking import MAX_ATTEMPTS, SlotReach
from tests.runtime.hosting.virtual import run_virtual


class Task:
    """A generation that refuses with `refusal`, if that is one."""

    def __init__(self, refusal=None):
        self.refusal = refusal

    def accepting(self):
        if self.refusal is not None:
            raise make_error(self.refusal)


def slot_of(task=None, state=SlotState.RUNNING):
    slot = ActorSlot(None, None)
    slot.task, slot.state = task, state
    slot.live = Live(task, ((b"h", b"1"),)) if task is not None else None
    return slot


def reach_of(slot, *started):
    """A reach to `slot`; each start gives the next of `started`."""
    waiting = list(started)

    async def ready(slot):
        slot.task, slot.state = waiting.pop(0), SlotState.RUNNING
        slot.live = Live(slot.task)
        return slot.task

    return SlotReach({"a": slot}, ready, 30.0)


def end(slot):
    """The generation is over."""
    slot.task = slot.live = None
    slot.state = SlotState.ASLEEP
    slot.announce(SlotEvent.STOPPED)


async def name_of(awaitable):
    with pytest.raises(ActorError) as caught:
        await awaitable
    return caught.value.name


async def test_a_running_generation_is_given_as_it_stands():
    slot = slot_of(Task())
    assert await reach_of(slot).live("a") is slot.live


async def test_an_unknown_actor():
    assert await name_of(reach_of(slot_of()).live("b")) == "actor.not_found"


async def test_a_sleeping_actor_is_started():
    task = Task()
    assert (await reach_of(slot_of(state=SlotState.ASLEEP), task).live("a")).task is task


async def test_a_generation_on_its_way_out_is_followed_by_the_next_without_polling():
    slot, following = slot_of(Task("actor.stopping")), Task()
    waiting = asyncio.create_task(reach_of(slot, following).live("a"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    end(slot)
    for _ in range(4):  # turns of the loop, no time
        await asyncio.sleep(0)
    assert waiting.done()
    assert waiting.result().task is following


async def test_a_refusal_for_good_is_left_to_the_actor():
    slot = slot_of(Task("actor.destroying"))
    assert await reach_of(slot).live("a") is slot.live


async def test_whoever_skips_the_wait_gets_any_generation_there_is():
    for state in (SlotState.STARTING, SlotState.RUNNING, SlotState.STOPPING):
        slot = slot_of(Task("actor.stopping"), state)
        assert (await reach_of(slot).live("a", skip_ready_wait=True)).task is slot.task


async def test_a_generation_that_refused_is_not_given_again():
    slot, following = slot_of(Task()), Task()
    waiting = asyncio.create_task(reach_of(slot, following).live("a", refused_by=slot.live))
    await asyncio.sleep(0.01)
    end(slot)
    assert (await waiting).task is following


def test_the_wait_for_a_generation_to_go_has_a_limit():
    async def run():
        started = asyncio.get_running_loop().time()
        assert await name_of(reach_of(slot_of(Task("actor.stopping"))).live("a")) == "guard.actor_ready_timeout"
        assert asyncio.get_running_loop().time() - started == pytest.approx(30)

    run_virtual(run())


async def test_generations_that_all_refuse_come_to_an_end():
    slot, starts = slot_of(state=SlotState.ASLEEP), []

    async def ready(slot):
        starts.append(1)
        asyncio.get_running_loop().call_soon(end, slot)
        slot.task = Task("actor.stopping")
        return slot.task

    assert await name_of(SlotReach({"a": slot}, ready, 30.0).live("a")) == "guard.actor_ready_timeout"
    assert len(starts) == MAX_ATTEMPTS
