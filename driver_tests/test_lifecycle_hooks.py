"""Suite lifecycle-hooks: which hooks a start runs, in which order, what they are given, and what they may ask for."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from harness import any_encoding, requirement, suite, timing, untimed
from harness.testing.interpreter import labels, latch, made, op, play, put, ref, trace, traced

pytestmark = [suite("lifecycle-hooks"), timing, any_encoding]

NOTHING = op("value", value={})
"""The result of a hook whose result would become state or vars."""
FIRST = op("value", value=ref("actor.migrations"))


def told(place, value=None):
    """A program that tells when it begins and when it has ended."""
    return [trace(f"{place} begins", value), op("wait", ms=30), trace(f"{place} has ended"), NOTHING]


def both(*places):
    """What `told` of these places traces when each ends before the next begins."""
    return [f"{place} {what}" for place in places for what in ("begins", "has ended")]


def ended(count):
    """Whether so many records are there."""
    return lambda seen: len(seen) >= count


async def values(conform):
    """What was traced, as label and value."""
    return [(record["label"], record["value"]) for record in await traced(conform)]


@untimed
@requirement("START-010", "START-013", "START-020", "RUN-001")
async def test_hooks_of_the_first_start(conform, eventually):
    """A creation alone runs every startup hook once, in order, each when the one before has ended, and then the run handler."""
    hooks = ("createState", "onCreate", "createVars", "onWake")
    await made(conform, **{place: told(place) for place in (*hooks, "run", "onSleep", "onDestroy")}).resolve()
    expected = both(*hooks, "run")
    assert await eventually(lambda: labels(conform), until=ended(len(expected)), what="the start") == expected


@requirement("START-011", "START-013", "RUN-001", "RUN-005", "SLEEP-092")
async def test_hooks_of_a_later_start(conform, boundary, eventually):
    """A wake creates nothing: vars, onWake, run handler, once each, after the one onSleep of the sleep."""
    actor = made(conform)
    for place in ("createState", "onCreate", "createVars", "onWake", "run", "onSleep", "onDestroy"):
        await put(actor, place, *told(place))
    for turn in range(2):
        await boundary.sleep(actor, via="api")
        actor = made(conform)
        await play(actor, op("value", value=1))
        expected = both("onSleep", "createVars", "onWake", "run") * (turn + 1)
        assert await eventually(lambda: labels(conform), until=ended(len(expected)), what="the start") == expected
    assert [record["start"] for record in await traced(conform) if record["label"] == "onWake begins"] == [2, 3]


@requirement("START-010", "START-011", "START-012")
async def test_migration_comes_first_and_knows_whether_the_actor_is_new(conform, boundary):
    """onMigrate ran before createState, and has its `isNew` true then, and false at every later start."""
    actor = made(
        conform,
        createState=[trace("createState", ref("actor.migrations")), NOTHING],
        createVars=[trace("createVars", ref("actor.migrations")), NOTHING],
        onMigrate=[trace("onMigrate", ref("isNew"))],
    )
    assert await play(actor, FIRST) == [True]
    for _ in range(2):
        await boundary.sleep(actor, via="api")
        actor = made(conform)
        await play(actor, FIRST)
    assert await values(conform) == [
        ("createState", [True]), ("createVars", [True]),
        ("onMigrate", False), ("createVars", [True, False]),
        ("onMigrate", False), ("createVars", [True, False, False]),
    ]  # fmt: skip


@requirement("START-013")
@pytest.mark.parametrize("place", ["createState", "onCreate", "createVars", "onWake"])
async def test_later_hooks_wait_for_one_that_is_held(conform, clock, place):
    """While a hook goes on no later one has begun, and neither has the run handler."""
    hooks = ["createState", "onCreate", "createVars", "onWake", "run"]
    programs = {name: [trace(name), *([latch("in hook")] if name == place else []), NOTHING] for name in hooks}
    await made(conform, **programs).resolve()
    await conform.latch("in hook").arrived()
    await clock.sleep(1)
    assert await labels(conform) == hooks[: hooks.index(place) + 1]
    await conform.latch("in hook").release()
    await play(made(conform), NOTHING)
    assert await labels(conform) == hooks


@requirement("START-013", "RUN-001", "RUN-009")
async def test_run_handler_has_begun_when_the_first_call_is_served(conform):
    """What the run handler does before it waits is done before the first call; its end is not waited for."""
    actor = made(conform, run=[op("set", at="vars.begun", value=True), latch("in run"), op("set", at="vars.ended", value=True)])
    response = await conform.post_action(actor, "exec", [op("value", value=[ref("vars.begun"), ref("vars.ended")])], encoding="json")
    assert response.json()["output"][0] is True
    assert response.json()["output"][1:] in ([None], [["$Undefined", 0]])
    await conform.latch("in run").arrived()


@untimed
@requirement("START-016")
async def test_creator_of_state_sees_neither_state_nor_vars(conform):
    """In createState of a first create there is no state and there are no vars yet."""
    look = [op("try", do=[op("value", value=ref(name))]) for name in ("state.programs", "vars.start")]
    seen = [{**step, "as": name} for step, name in zip(look, ("state", "vars"), strict=True)]
    actor = made(conform, createState=[*seen, op("value", value={"seen": [ref("state.value"), ref("vars.value")]})])
    assert [value for value in await play(actor, op("value", value=ref("state.seen"))) if value] == []


@requirement("START-025", "START-027")
@pytest.mark.parametrize("given", [0, False, "", [], {"a": [None]}], ids=repr)
async def test_input_reaches_the_two_creating_hooks(conform, boundary, given):
    """createState and onCreate get the input as it was given, and nobody else; that of a later handle is ignored, after a wake too."""
    look = {place: [trace(place, ref("input")), NOTHING] for place in ("createState", "onCreate", "createVars", "onWake")}
    actor = made(conform, given=given, **look)
    await play(actor, NOTHING)
    await play(made(conform, given="another", **look), NOTHING)
    await boundary.sleep(actor, via="api")
    await play(made(conform, given="another", **look), NOTHING)
    seen = [(label, value) for label, value in await values(conform) if value not in (None, UNDEFINED)]
    assert seen == [("createState", given), ("onCreate", given)]
    assert [type(value) for _, value in seen] == [type(given)] * 2
    assert (await labels(conform)) == ["createState", "onCreate", "createVars", "onWake", "createVars", "onWake"]


@untimed
@requirement("START-025", "WIRE-171")
@pytest.mark.parametrize("given", [0, False, "", [], {}, None], ids=repr)
async def test_input_that_is_empty_is_an_input(conform, boundary, given):
    """An input that is falsy or null reaches both hooks as it is, and is not taken for an absent one."""
    actor = conform.get_or_create("inputActor", input=given)
    inputs = await actor.action("getInputs")
    assert inputs == {"initialInput": given, "onCreateInput": given}
    assert [type(value) for value in inputs.values()] == [type(given)] * 2


@requirement("START-015", "RUN-120")
async def test_changes_of_hooks_are_changes(conform, boundary, eventually):
    """What onCreate, createVars and onWake write goes through onStateChange and is kept; what createState returns does not."""
    change = [op("value", value=ref("state.by"), as_="by"), op("waitUntil", do=[trace("changed", ref("by"))])]
    writing = {place: [op("wait", ms=20), op("set", at="state.by", value=place), NOTHING] for place in ("onCreate", "createVars", "onWake")}
    actor = made(conform, createState=[op("value", value={"by": "createState"})], onStateChange=change, **writing)
    assert await play(actor, op("value", value=ref("state.by"))) == "onWake"
    seen = await eventually(lambda: values(conform), until=ended(3), what="the changes")
    # The records are made beside each other, in no order.
    assert sorted(seen) == sorted(("changed", place) for place in ("onCreate", "createVars", "onWake"))
    await put(actor, "createVars")
    await put(actor, "onWake")
    await boundary.sleep(actor, via="api")
    assert await play(made(conform), op("value", value=ref("state.by"))) == "onWake"


ASKING = ["createState", "onCreate", "createVars", "onWake"]


@requirement("START-034", "START-050")
@pytest.mark.parametrize("place", ASKING)
async def test_sleep_asked_for_in_a_startup_hook(conform, boundary, eventually, place):
    """It is no error, the start goes on to its end, and then the actor sleeps; the next start sleeps no more."""
    programs = {"onWake": [trace("onWake")], "run": [trace("run")], "onSleep": [trace("onSleep")]}
    asks = [op("if", value=ref("actor.migrations"), is_=[True], then=[op("sleep"), trace("asked")])]
    programs[place] = [*asks, *programs.get(place, []), NOTHING]
    actor_id = await made(conform, **programs).resolve()
    expected = ["asked", "onWake", "run", "onSleep"]
    assert await eventually(lambda: labels(conform), until=lambda seen: len(seen) >= 4, what="the sleep") == expected
    record = await boundary.wait_asleep(actor_id)
    assert record["start_ts"] is not None and record["connectable_ts"] is None and record["destroy_ts"] is None
    assert "error" not in record
    assert await play(made(conform), op("value", value=ref("actor.id"))) == actor_id
    assert (await labels(conform))[4:] == ["onWake", "run"]


@requirement("START-034", "START-050", "START-051")
@pytest.mark.parametrize("place", ASKING)
async def test_destruction_asked_for_in_a_startup_hook(conform, boundary, eventually, place):
    """It is no error, the start goes on to its end, and then the actor is destroyed, with onDestroy and nothing else."""
    programs = {"onWake": [trace("onWake")], "run": [trace("run")], "onSleep": [trace("onSleep")], "onDestroy": [trace("onDestroy")]}
    programs[place] = [op("destroy"), trace("asked"), *programs.get(place, []), NOTHING]
    actor_id = await made(conform, **programs).resolve()
    record = await boundary.wait_destroyed(actor_id)
    assert record["start_ts"] is not None
    assert await eventually(lambda: labels(conform), until=lambda seen: len(seen) >= 4, what="the hook") == [
        "asked", "onWake", "run", "onDestroy",
    ]  # fmt: skip


@requirement("START-050", "START-051", "DESTROY-009", "START-034")
@pytest.mark.parametrize("place", ASKING)
@pytest.mark.parametrize("kind", ["sleep", "destroy", "sleep, destroy", "destroy, sleep"])
async def test_stop_ordered_during_a_start(conform, boundary, eventually, clock, place, kind):
    """An order that comes while a hook is held waits for the end of the start and is then carried out; a destroy outranks a sleep."""
    programs = {name: [trace(name), *([latch("in hook")] if name == place else []), NOTHING] for name in [*ASKING, "run"]}
    actor_id = await made(conform, onSleep=[trace("onSleep")], onDestroy=[trace("onDestroy")], **programs).resolve()
    await conform.latch("in hook").arrived()
    for order in kind.split(", "):
        if order == "sleep":
            await conform.rest.sleep_actor(actor_id)
        else:
            # It answers when the actor is destroyed.
            conform.spawn(conform.rest.destroy_actor(actor_id))
            await clock.sleep(0.1)
    await clock.sleep(1)
    assert await labels(conform) == ASKING[: ASKING.index(place) + 1]
    await conform.latch("in hook").release()
    if kind == "sleep":
        await boundary.wait_asleep(actor_id)
    else:
        await boundary.wait_destroyed(actor_id)
    seen = await eventually(lambda: labels(conform), until=lambda seen: len(seen) >= 6, what="the cleanup hook")
    assert seen[:5] == [*ASKING, "run"]
    cleanup = {"sleep": [["onSleep"]], "destroy": [["onDestroy"]]}
    assert seen[5:] in cleanup.get(kind, [["onDestroy"], ["onSleep"]])
