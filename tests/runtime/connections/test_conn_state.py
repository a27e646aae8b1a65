"""The state of one connection: when changes are refused, when they are saved."""

from __future__ import annotations

import pytest

from runtime.actor.connections.connection_state import track_state
from runtime.protocol.values import UNDEFINED


class ActorState:
    """`busy`: `on_state_change` is running."""

    busy = False

    def before_change(self):
        if self.busy:
            raise RuntimeError("reentrant")

    def changed(self):
        raise AssertionError("a connection's state is none of the actor's")


def test_changes_are_saved_and_the_first_value_is_none():
    saves = []
    state = track_state({"a": []}, ActorState(), lambda: saves.append(1), initial=True)
    assert saves == []
    state["a"].append(1)
    assert (state, saves) == ({"a": [1]}, [1])
    assert track_state(UNDEFINED, ActorState(), saves.clear, initial=False) is UNDEFINED


def test_no_change_inside_the_hook_of_the_actors_state():
    actor = ActorState()
    state = track_state({}, actor, lambda: None, initial=True)
    actor.busy = True
    with pytest.raises(RuntimeError, match="reentrant"):
        state["a"] = 1
    with pytest.raises(RuntimeError, match="reentrant"):
        track_state({}, actor, lambda: None, initial=False)
    assert state == {}


def test_what_cannot_be_stored_is_refused():
    with pytest.raises(TypeError):
        track_state(object(), ActorState(), lambda: None, initial=True)
