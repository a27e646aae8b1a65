"""A workflow history in its two shapes."""

from runtime.inspector.actor_view import ActorView
from runtime.inspector.workflow_view import history_bare, history_json
from tests.runtime.inspector.fake_actor import FakeActor, Flow, stored_history


async def test_a_history_has_two_shapes():
    view = ActorView(FakeActor(run=Flow().run, rows=await stored_history()))
    history = await view.workflow_history()
    shown = history_json(history)
    assert shown["nameRegistry"] == ["a", "b"]
    assert [entry["kind"]["val"]["output"] for entry in shown["entries"]] == ["a", "b"]
    assert history_bare(history)[:5] == b"\x02\x01a\x01b"
    assert (history_bare(None), history_json(None)) == (None, None)
