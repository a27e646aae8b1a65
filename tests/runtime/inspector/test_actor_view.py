"""What inspectors see of an actor and what they may do to it."""

import pytest

from runtime.errors import ActorError
from runtime.inspector.actor_view import ActorView
from tests.runtime.inspector.fake_actor import FakeActor, Flow, stored_history
from tests.runtime.workflow.owner import run_of


async def test_what_an_inspector_changes_counts_as_work():
    actor = FakeActor(state={"n": 1})
    view = ActorView(actor)
    await view.replace_state({"n": 2})
    assert view.state() == {"n": 2}
    assert actor.done == ["+internal_keep_awake", "flush", "saved", "-internal_keep_awake"]
    with pytest.raises(ActorError):
        await ActorView(FakeActor()).replace_state(1)


async def test_actions_are_run_by_name():
    view = ActorView(FakeActor())
    assert view.actions() == ["a", "b"]
    assert await view.run_action("a", [1]) == ["a", 1]
    with pytest.raises(ActorError, match="Action c not found"):
        await view.run_action("c", [])


async def test_the_live_history_is_newer_than_the_stored_one():
    actor = FakeActor(run=Flow().run, rows=await stored_history())
    view = ActorView(actor)
    assert view.is_workflow
    assert view.live_history is None
    assert len((await view.workflow_history()).entries) == 2
    actor.workflow = run_of()
    assert (await view.workflow_history()).entries == {}
    assert await ActorView(FakeActor()).workflow_history() is None


async def test_a_replay_is_durable_before_the_workflow_runs_again():
    actor = FakeActor(run=Flow().run, rows=await stored_history())
    view = ActorView(actor)
    entry = (await view.workflow_history()).find(("b",), "step")
    assert list((await view.replay_workflow(entry.id)).entries) == [("a",)]
    assert any(isinstance(item, int) for item in actor.done)
    actor.run.active = True
    with pytest.raises(ActorError) as flying:
        await view.replay_workflow(None)
    assert flying.value.name == "actor.workflow_in_flight"
