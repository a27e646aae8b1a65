"""Suite state-hook: when `onStateChange` is called, how often, what it sees, what it may not do, and whom its errors reach."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from harness import any_encoding, capability, encodings, requirement, suite
from harness.frames import decoded
from harness.testing.codecs import ActionResponse, ErrorFrame, Event
from harness.testing.interpreter import made, op, play, put, ref

pytestmark = [suite("state-hook"), any_encoding]

SEEN = op("append", at="vars.seen", value=ref("state.x"))
"""The hook keeps what it sees of `state.x`, one entry per call."""
MASKED = "An internal error occurred"
REENTRANT = {"group": "actor", "code": "state_mutation_reentrant", "message": "State mutations are not allowed inside onStateChange."}


def change(value, at="state.x"):
    """Set a part of state."""
    return op("set", at=at, value=value)


async def seen(actor):
    """What the hook saw, call by call."""
    return await play(actor, op("value", value=ref("vars.seen"))) or []


async def answered(conform, actor, *steps):
    """Status and meaning of the answer to a program over HTTP."""
    response = await conform.post_action(actor, "exec", list(steps), encoding="json")
    return response.status_code, decoded(response)


def error_of(answer):
    """What an error says: group, code, message, metadata."""
    return answer.group, answer.code, answer.message, answer.metadata


@requirement("RUN-120", "RUN-121", "RUN-122")
async def test_a_call_per_turn(conform):
    """Changes without a pause between them are one call, which sees the last of them; after a pause the next ones are another."""
    actor = made(conform, onStateChange=[SEEN])
    await play(actor, change(1), change(2), change(0, "state.y"), change(3))
    assert await seen(actor) == [3]
    await play(actor, change(4), op("wait", ms=5), op("wait", ms=5), change(5), change(6))
    assert await seen(actor) == [3, 4, 6]


@requirement("RUN-121", "RUN-101")
@pytest.mark.parametrize("value", [0, False, "", None], ids=repr)
async def test_an_equal_value_is_no_change(conform, value):
    """A falsy value is a change when it is new, and none when it is there already."""
    await changed_once(made(conform, onStateChange=[SEEN]), value)


@requirement("RUN-121", "RUN-101")
@pytest.mark.parametrize("value", [[], {}, [[0]], {"a": {"b": [None]}}], ids=repr)
async def test_an_equal_container_is_no_change(conform, value):
    """A list or an object is no change when what is there already equals it at every depth."""
    await changed_once(made(conform, onStateChange=[SEEN]), value)


async def changed_once(actor, value):
    """Set a value three times, and see one change."""
    await play(actor, change("first"))
    await play(actor, change(value))
    assert await seen(actor) == ["first", value]
    for _ in range(2):
        await play(actor, change(value))
    assert await seen(actor) == ["first", value]


@requirement("RUN-101", "RUN-121")
@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (False, 0), (None, False), ("1", 1), ([], {}), ([1], [True]), ("", None)])
async def test_values_that_only_look_equal(conform, old, new):
    """Values of different types are different values, nested ones too."""
    actor = made(conform, onStateChange=[op("incr", at="vars.calls")], state={"x": old})
    await play(actor, change(new))
    kept, calls = await play(actor, op("value", value=[ref("state.x"), ref("vars.calls")]))
    assert (kept, type(kept), calls) == (new, type(new), 1)
    if isinstance(new, list) and new:
        assert type(kept[0]) is type(new[0])


CHANGES = {
    "nested member": ([change(2, "state.x.a.b")], {"a": {"b": 2, "c": [1]}}),
    "new member": ([change(None, "state.x.a.new")], {"a": {"b": 1, "c": [1], "new": None}}),
    "removed member": ([op("remove", at="state.x.a.b")], {"a": {"c": [1]}}),
    "member of a list": ([op("append", at="state.x.a.c", value=0)], {"a": {"b": 1, "c": [1, 0]}}),
    "place of a list": ([change(False, "state.x.a.c.0")], {"a": {"b": 1, "c": [False]}}),
    "counter": ([op("incr", at="state.x.a.b", by=-1)], {"a": {"b": 0, "c": [1]}}),
    "falsy in a list": ([op("append", at="state.x.a.c", value=None)], {"a": {"b": 1, "c": [1, None]}}),
}


@requirement("RUN-101", "RUN-121", "RUN-146")
@pytest.mark.parametrize(("steps", "expected"), CHANGES.values(), ids=CHANGES)
async def test_deep_changes(conform, boundary, steps, expected):
    """A change at any depth is one call and is kept over a sleep."""
    actor = made(conform, onStateChange=[SEEN], state={"x": {"a": {"b": 1, "c": [1]}}})
    await play(actor, *steps)
    assert await seen(actor) == [expected]
    await boundary.sleep(actor)
    assert await play(made(conform), op("value", value=ref("state.x"))) == expected


@requirement("RUN-101", "RUN-102", "RUN-146")
async def test_what_was_put_in_is_tracked_too(conform, boundary):
    """Objects that came into state by an assignment, an append or a new root are state: changing them is a change and is kept."""
    actor = made(conform, onStateChange=[SEEN])
    await play(actor, change({"list": [{"n": 0}]}))
    await play(actor, change(1, "state.x.list.0.n"))
    await play(actor, op("append", at="state.x.list", value={"m": [{}]}))
    await play(actor, change(2, "state.x.list.1.m.0.deep"))
    await play(actor, op("set", at="state", value={"programs": ref("state.programs"), "x": {"root": {}}}))
    await play(actor, change(3, "state.x.root.deep"))
    assert await seen(actor) == [
        {"list": [{"n": 0}]},
        {"list": [{"n": 1}]},
        {"list": [{"n": 1}, {"m": [{}]}]},
        {"list": [{"n": 1}, {"m": [{"deep": 2}]}]},
        {"root": {}},
        {"root": {"deep": 3}},
    ]
    await boundary.sleep(actor)
    assert await play(made(conform), op("value", value=ref("state.x"))) == {"root": {"deep": 3}}


@requirement("RUN-121", "RUN-129", "CONN-056")
async def test_what_is_no_change(conform):
    """Reads, removals of what is not there, changes of vars and of connection state, connections: none of them is a call."""
    actor = made(conform, onStateChange=[SEEN], state={"x": 1, "list": [0]})
    await play(actor, op("value", value=ref("state")), op("remove", at="state.never"), change(1, "vars.x"), op("save"))
    await play(actor, change(0, "state.list.0"), change([0], "vars.list"), change(1, "vars.list.0"))
    async with conform.connected(actor) as connection:
        await play(connection, change(1, "conn.state.x"), op("incr", at="conn.state.x"))
    assert await seen(actor) == []
    await play(actor, change(2))
    assert await seen(actor) == [2]


@requirement("RUN-103", "RUN-120")
async def test_changes_beside_a_call(conform, eventually, boundary):
    """A change by work that outlived its call is a call of its own, and is kept."""
    actor = made(conform, onStateChange=[SEEN])
    await play(actor, op("waitUntil", do=[op("wait", ms=100), change("late")]))
    assert await seen(actor) == []
    await eventually(lambda: seen(actor), until=lambda found: found == ["late"], what="the late change")
    await boundary.sleep(actor)
    assert await play(made(conform), op("value", value=ref("state.x"))) == "late"


@encodings("json", "cbor", "bare")
@requirement("RUN-120", "TASK-114", "RUN-123")
async def test_the_hook_runs_before_the_answer(conform):
    """What the hook broadcasts comes before the answer to the action whose change it is about, once."""
    actor = made(conform, onStateChange=[op("broadcast", event="event", args=[ref("state.x")])])
    async with conform.frames(actor) as socket:
        await socket.subscribe("event")
        for number, value in enumerate([1, 0, None]):
            await socket.request(number, "exec", [change("passing"), change(value)])
            await socket.exactly(Event("event", [value]), ActionResponse(number, value))
        await socket.request(7, "exec", [op("value", value=7)])
        await socket.exactly(ActionResponse(7, 7))


WRITES = {
    "member": change(99),
    "new member": change(99, "state.other"),
    "nested": change(99, "state.deep.a"),
    "list": op("append", at="state.list", value=99),
    "removal": op("remove", at="state.deep"),
    "root": op("set", at="state", value={"programs": {}, "x": 99}),
    "equal value": change(1, "state.deep.a"),
}


@requirement("RUN-123", "RUN-124", "RUN-128")
@capability("reentrancy")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_write_in_the_hook(conform, write):
    """A write to state in the hook is refused with the exact error and changes nothing; when that is caught nothing else follows."""
    hook = [op("try", do=[write], as_="tried"), op("append", at="vars.seen", value=[ref("state.x"), ref("tried")])]
    actor = made(conform, onStateChange=hook, state={"x": 0, "deep": {"a": 1}, "list": []})
    for value in (1, 2):
        assert await play(actor, change(value)) == value
    assert await seen(actor) == [[value, {"ok": False, "error": REENTRANT}] for value in (1, 2)]
    kept = await play(actor, op("value", value=ref("state")))
    assert {name: value for name, value in kept.items() if name != "programs"} == {"x": 2, "deep": {"a": 1}, "list": []}
    assert list(kept["programs"]) == ["onStateChange"]


@encodings("json", "cbor", "bare")
@requirement("RUN-125", "TASK-071")
@capability("reentrancy")
async def test_a_write_that_escapes(conform):
    """When the refusal escapes, the action fails with it, masked and with status 500, on HTTP and on connections; the change stands."""
    actor = made(conform, onStateChange=[change(99, "state.other")])
    response = await conform.post_action(actor, "exec", [change(1)])
    assert (response.status_code, error_of(decoded(response))[:3]) == (500, ("actor", "state_mutation_reentrant", MASKED))
    async with conform.frames(actor) as socket:
        await socket.request(5, "exec", [change(2)])
        (refused,) = await socket.exactly(ErrorFrame)
        assert (refused.action_id, *error_of(refused.error)[:3]) == (5, "actor", "state_mutation_reentrant", MASKED)
    await put(actor, "onStateChange")
    assert await play(actor, op("value", value=[ref("state.x"), ref("state.other")])) == [2, UNDEFINED]


@requirement("RUN-126", "RUN-128")
@pytest.mark.parametrize(
    ("thrown", "expected"),
    [
        (op("throw", kind="user", code="bad", message="told", metadata={"a": 0}), ("user", "bad", "told", {"a": 0})),
        (op("throw", kind="internal", message="secret"), ("rivetkit", "internal_error", MASKED)),
    ],
    ids=["user", "internal"],
)
async def test_an_error_of_the_hook(conform, thrown, expected):
    """Another error of the hook fails the action whose change it is about, and no other: the change stands, later ones work."""
    actor = made(conform, onStateChange=[SEEN, op("if", value=ref("state.x"), is_="bad", then=[thrown])])
    for _ in range(2):
        status, error = await answered(conform, actor, change("bad"))
        assert (status, error_of(error)[: len(expected)]) == (500, expected)
        assert await answered(conform, actor, op("value", value=ref("state.x"))) == (200, "bad")
        assert await answered(conform, actor, change("good")) == (200, "good")
    assert await seen(actor) == ["bad", "good"] * 2


@requirement("RUN-127", "RUN-128")
@capability("reentrancy")
async def test_an_error_in_the_middle_of_an_action(conform):
    """An error of the hook while the action still goes on does not fail it, and the hook is called for the next change."""
    actor = made(conform, onStateChange=[SEEN, op("if", value=ref("state.x"), is_="bad", then=[op("throw", kind="user")])])
    assert await answered(conform, actor, change("bad"), op("wait", ms=20), op("value", value="done")) == (200, "done")
    assert await seen(actor) == ["bad"]
    assert await answered(conform, actor, change("bad"), op("wait", ms=20), change("good")) == (200, "good")
    assert await seen(actor) == ["bad", "good"]


@requirement("RUN-120", "TASK-114")
async def test_an_action_that_fails_after_its_change(conform):
    """The change of an action that fails is told to the hook like any other, and its error is that of the action."""
    actor = made(conform, onStateChange=[SEEN])
    status, error = await answered(conform, actor, change(1), op("throw", code="mine", message="no"))
    assert (status, *error_of(error)[:3]) == (500, "user", "mine", "no")
    assert await seen(actor) == [1]


REFUSED = {
    "member": op("set", at="state.x", value={"$function": 1}),
    "nested": op("set", at="state.x", value={"a": [{"b": {"$function": 1}}]}),
    "new member": op("set", at="state.new", value={"$function": 1}),
    "in a list": op("append", at="state.list", value={"$function": 1}),
    "root": op("set", at="state", value={"programs": {}, "x": {"$function": 1}}),
}


@requirement("RUN-105", "RUN-121")
@pytest.mark.parametrize("write", REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_state(conform, boundary, write):
    """A function is refused where it is assigned, at any depth: state stays as it was and is no change; vars may hold one."""
    actor = made(conform, onStateChange=[SEEN], state={"x": 0, "list": [0]})
    outcome = await play(actor, op("set", at="vars.x", value={"$function": 1}), op("try", do=[write]))
    assert outcome["ok"] is False
    read = op("value", value=[ref("state.x"), ref("state.list"), ref("state.new")])
    assert await play(actor, read) == [0, [0], UNDEFINED]
    status, error = await answered(conform, actor, write)
    assert (status, error_of(error)[:3]) == (500, ("rivetkit", "internal_error", MASKED))
    assert await seen(actor) == []
    await boundary.sleep(actor)
    assert await play(made(conform), read) == [0, [0], UNDEFINED]
