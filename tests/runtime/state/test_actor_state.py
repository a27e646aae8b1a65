"""The state by itself. What actions and hooks see of it is in tests/runtime/actor/test_state.py."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime.actor.lifecycle.inbox import Inbox
from runtime.actor.observer import Part
from runtime.actor.state.actor_state import ActorState
from runtime.actor.state.tracking import plain
from runtime.errors import ActorError
from runtime.protocol import cbor
from tests.runtime.parts import Owner, failing


def build(hook=None, *, capacity=10, value=None):
    owner = Owner(observer=None, sent=[], saver=SimpleNamespace(request="save"))
    hooks = {} if hook is None else {"on_state_change": SimpleNamespace(function=hook)}
    owner.definition = SimpleNamespace(has_state=True, state={"n": 0}, hooks=hooks)
    owner.events = Inbox("lifecycle_event_inbox", capacity, lambda: None, lambda *what: None)
    owner.send_event = lambda event, apply: owner.sent.append((event, apply))
    state = ActorState(owner)
    state.install({"n": 0} if value is None else value)
    return state, owner


async def test_one_event_per_save_however_many_changes():
    state, owner = build()
    state.value["n"] = 1
    state.value["n"] = 2
    assert owner.sent == [("state_mutated", "save")]
    [row] = state.collect()
    assert (row.table, row.key) == ("actor", b"state")
    assert state.collect() == []
    state.value["n"] = 3
    assert len(owner.sent) == 2


async def test_a_failed_save_leaves_it_unsaved():
    state, _ = build()
    state.value["n"] = 1
    state.collect()
    state.settled(ok=False)
    assert len(state.collect()) == 1
    state.settled(ok=True)
    assert state.collect() == []


async def test_the_hook_is_called_once_per_turn_and_cannot_write():
    errors = []

    def hook(context, value):
        errors.append((context, value["n"]))
        value["n"] = 5

    state, owner = build(hook)
    state.value["n"] = 1
    state.value["n"] = 2
    await asyncio.sleep(0)
    assert errors == [("context", 2)]
    assert [text for _, text, _ in owner.log.records] == ["onStateChange failed"]
    assert state.value["n"] == 2


async def test_a_flush_raises_what_the_hook_raises_and_once_only():
    def hook(context, value):
        raise ValueError("on purpose")

    state, owner = build(hook)
    state.value["n"] = 1
    with pytest.raises(ValueError, match="on purpose"):
        state.flush()
    state.flush()
    state.value["n"] = 2
    state.flush_quietly()
    await asyncio.sleep(0)
    assert len(owner.log.records) == 1


async def test_a_full_event_inbox_refuses_the_first_change_only():
    state, owner = build(capacity=1)
    owner.events.try_send("x", lambda: None)

    async def change():
        state.value["n"] = 1

    assert await failing(change()) == "actor.overloaded"
    assert state.value["n"] == 0
    owner.events.take()
    await change()
    owner.events.try_send("x", lambda: None)
    state.value["n"] = 2


async def test_an_observer_hears_of_changes_and_of_their_save():
    told = []
    state, owner = build()
    owner.observer = SimpleNamespace(changed=told.append)
    state.value["n"] = 1
    state.collect()
    state.settled(ok=True)
    state.settled(ok=True)
    assert told == [Part.STATE, Part.SAVED]


async def test_what_is_stored_comes_back():
    state, _ = build(value={"deep": [1, {"x": None}], "set": {1, 2}})
    other, _ = build()
    other.load(state.put().value)
    assert other.value == {"deep": [1, {"x": None}], "set": {1, 2}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [(lambda state: state.replace({"n": 7}), "user_set_state"), (lambda state: state.value.update(n=7), "user_mutate_state")],
    ids=["replaced", "changed"],
)
async def test_each_change_is_counted_under_its_own_reason(change, reason):
    state, owner = build()
    change(state)
    others = {"user_set_state", "user_mutate_state"} - {reason}
    assert (owner.metrics.mutations[reason], [owner.metrics.mutations[other] for other in others]) == (1, [0])
    full, owner = build(capacity=0)
    with pytest.raises(ActorError, match="overloaded"):
        change(full)
    assert {name: count for name, count in owner.metrics.mutation_overloads.items() if count} == {reason: 1}


async def test_a_closed_inbox_is_no_overload():
    state, owner = build()
    owner.events.close("actor.not_configured")
    with pytest.raises(ActorError, match="not_configured"):
        state.value["n"] = 1
    assert not any(owner.metrics.mutation_overloads.values())


async def test_a_hook_that_turns_out_to_be_asynchronous_is_refused():
    async def hook(context, value):
        raise AssertionError

    state, _ = build(lambda context, value: hook(context, value))
    state.value["n"] = 1
    with pytest.raises(TypeError, match="asynchronous"):
        state.flush()


async def test_what_was_stored_once_is_loaded_whatever_is_refused_today():
    value = {}
    for _ in range(150):
        value = {"a": value}
    state, _ = build()
    state.load(cbor.dumps_exact(value))
    assert plain(state.value) == value
    with pytest.raises(TypeError):
        state.replace(value)
