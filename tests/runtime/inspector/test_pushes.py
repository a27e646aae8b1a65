"""What open sockets are told unasked."""

import asyncio

from runtime.actor.observer import Part
from runtime.inspector import messages as m
from runtime.inspector.actor_view import ActorView
from runtime.inspector.pushes import STATE_INTERVAL, Pushes
from tests.runtime.inspector.fake_actor import FakeActor


async def test_changes_of_one_turn_are_one_push_and_state_has_a_pace():
    actor, told = FakeActor(state=0), []
    view = ActorView(actor)
    pushes = Pushes.of(view)
    pushes.add(told.append)
    assert Pushes.of(view) is actor.observer is pushes
    for part in (Part.QUEUE, Part.QUEUE, Part.SCHEDULES, Part.STATE, Part.STATE):
        pushes.changed(part)
    await asyncio.sleep(STATE_INTERVAL / 5)
    assert {type(message) for message in told} == {m.StateUpdated, m.QueueUpdated, m.SchedulesUpdated}
    assert len(told) == 3
    pushes.changed(Part.STATE)
    await asyncio.sleep(STATE_INTERVAL / 5)
    assert len(told) == 3
    pushes.changed(Part.SAVED)
    await asyncio.sleep(0.001)
    assert len(told) == 4
    pushes.remove(told.append)
    assert actor.observer is None
