"""What one invocation of user code sees of its actor."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime import Actor
from runtime.actor.calls.context import Context
from runtime.actor.lifecycle.inbox import Inbox
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.ports import ActorIdentity
from runtime.errors import make_error
from tests.runtime.calls.fakes import Calling
from tests.runtime.parts import failing, settle, virtual


def made(**more):
    owner = Calling(Actor, **more)
    return owner, Context(owner)


@virtual
async def test_who_the_actor_is():
    owner, context = made()
    owner.identity = ActorIdentity("id", "counter", None, "default", 3, None)
    assert (context.actor_id, context.name, context.key, context.region, context.generation) == ("id", "counter", (), "default", 3)


@virtual
async def test_state_and_vars_are_the_actors():
    owner, context = made(vars=None)
    owner.state = SimpleNamespace(value={"n": 1}, replace=lambda value: owner.told.append(value))
    context.state = {"n": 2}
    context.vars = "mine"
    assert (context.state, owner.told, owner.vars, context.vars) == ({"n": 1}, [{"n": 2}], "mine", "mine")


@virtual
async def test_the_parts_of_the_actor():
    owner, context = made(kv="kv", database=SimpleNamespace(client="db"), schedules="book", queue="queue")
    owner.conns = SimpleNamespace(view={"a": 1}, broadcast=lambda name, args: owner.told.append((name, args)))
    owner.host = SimpleNamespace(client=lambda actor_id: ("client of", actor_id))
    context.broadcast("changed", 1, 2)
    assert (context.kv, context.db, context.conns, owner.told) == ("kv", "db", {"a": 1}, [("changed", (1, 2))])
    assert context.client() == ("client of", "actor1")
    assert context.queue is context.queue


@virtual
async def test_the_signal_of_a_call_fires_with_the_actors_and_lets_go_of_it():
    owner, context = made()
    signal = context.abort_signal
    assert signal is context.abort_signal
    context._close()
    owner.abort.fire()
    assert not signal.aborted
    assert context.aborted
    assert Context(owner).abort_signal.aborted


@pytest.mark.parametrize("early", [True, False])
@virtual
async def test_a_time_out_aborts_this_call_only(early):
    owner, context = made()
    signal = context.abort_signal if early else None
    context._expire()
    assert (signal or context.abort_signal).aborted
    assert context.timed_out
    assert not owner.abort.aborted


@virtual
async def test_background_work():
    owner, context = made()
    kept = context.keep_awake(asyncio.sleep(1, "done"))
    context.wait_until(asyncio.get_running_loop().create_future())
    assert (owner.work.count(WorkKind.KEEP_AWAKE), owner.work.count(WorkKind.WAIT_UNTIL)) == (1, 1)
    assert await kept == "done"
    owner.work.cancel_all()
    await owner.work.drained()
    owner.work.close()
    assert await context.keep_awake(asyncio.sleep(1, "refused")) is None


@virtual
async def test_saving():
    saves = []

    async def save_now():
        saves.append("now")

    owner, context = made(events=Inbox("lifecycle_event_inbox", 1, lambda: None, lambda *_: None))
    owner.saver = SimpleNamespace(request=lambda max_wait: saves.append(max_wait), save_now=save_now)
    owner.send_event = lambda event, apply: apply()
    await context.save_state()
    await context.save_state(max_wait=2)
    await context.save_state(immediate=True, max_wait=2)
    assert (saves, owner.flushes) == ([None, 2, "now"], ["flush"] * 3)

    def full(event, apply):
        raise make_error("actor.overloaded", channel="x", operation=event, capacity=1)

    owner.send_event = full
    await context.save_state()
    owner.events.close("actor.not_configured")
    assert await failing(context.save_state(immediate=True)) == "actor.not_configured"


@virtual
async def test_the_run_handler_is_woken_later():
    woken = []

    async def set_wake_at(at):
        woken.append(at)

    _, context = made(run=SimpleNamespace(set_wake_at=set_wake_at))
    await context.run.set_wake_at(5)
    await settle()
    assert woken == [5]


@virtual
async def test_what_is_deprecated_does_nothing():
    _, context = made()
    with pytest.warns(DeprecationWarning, match="keep_awake"):
        context.set_prevent_sleep(True)
    with pytest.warns(DeprecationWarning, match="keep_awake"):
        assert context.prevent_sleep is False
