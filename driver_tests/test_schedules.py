"""Suite schedules: one-shot schedules of an awake actor: what a fire gets, in which order, once; what is told of those that wait."""

from __future__ import annotations

import uuid

import pytest

from driver_tests.scheduling import FAR, fire, note, pending, ran, runs, spread, whole
from harness import any_encoding, requirement, suite, timing, untimed
from harness.testing.interpreter import latch, later, made, op, play, ref

pytestmark = [suite("schedules"), timing, any_encoding]

VALUES = [0, False, "", None, [], {}, {"a": None}, [None], -1.5, "ä", 2**31 - 1]


@requirement("TASK-201", "TASK-204")
async def test_what_a_fire_gets(conform, eventually):
    """A fire gets its kind, id, when it was due and when it came, in milliseconds, and nothing else; it comes no earlier."""
    actor = made(conform)
    started = await play(actor, op("schedule.after", ms=150, do=[note("ran"), op("set", at="state.at", value={"$now": 0})], as_="id"),
                         op("schedule.get", id=ref("id"), as_="shown"),
                         op("return", value=[ref("shown.id"), ref("shown.runAt"), {"$now": 0}]))  # fmt: skip
    assert await ran(actor, eventually, 1) == ["ran"]
    (only,) = await runs(actor)
    fired_at = fire(only)["firedAt"]
    assert only["args"] == [{"kind": "at", "id": started[0], "scheduledAt": started[1], "firedAt": fired_at}]
    assert whole(started[1], fired_at)
    assert started[2] <= started[1] + 1 <= started[2] + 152 and started[1] <= fired_at
    assert fired_at <= await play(actor, op("value", value=ref("state.at")))


@requirement("TASK-202", "TASK-204")
@pytest.mark.parametrize("past", [0, 1, 5000])
async def test_a_time_that_is_past(conform, eventually, clock, past):
    """A time that is past fires at once, with that time as the one it was due."""
    actor = made(conform)
    begun = clock.monotonic()
    due = await play(actor, op("schedule.at", at=later(-past), do=[note("ran")]), op("return", value={"$now": -past}))
    await ran(actor, eventually, 1)
    clock.took(begun, most=conform.limit(0.9))
    (only,) = await runs(actor)
    assert due - 100 <= fire(only)["scheduledAt"] <= due
    assert fire(only)["firedAt"] - fire(only)["scheduledAt"] >= past


@requirement("TASK-202", "TASK-210")
async def test_no_delay_at_all(conform, eventually):
    """A delay of zero is no negative one: it fires as soon as possible."""
    actor = made(conform)
    assert await play(actor, op("schedule.after", ms=0, do=[note("ran")]))
    await ran(actor, eventually, 1)
    assert await pending(actor) == []


@requirement("TASK-210")
@pytest.mark.parametrize("delay", [-1, -60_000])
async def test_a_negative_delay(conform, clock, delay):
    """A negative delay is an error, and leaves nothing that could fire."""
    actor = made(conform)
    outcome = await play(actor, op("try", do=[op("schedule.after", ms=delay, do=[note("ran")])]))
    assert outcome["ok"] is False
    assert await pending(actor) == []
    await clock.sleep(0.3)
    assert await runs(actor) == []


@untimed
@requirement("TASK-200")
async def test_ids(conform):
    """Every schedule has an id of its own, a random UUID, also when many are made at once for the same time."""
    actor = made(conform, state={"at": None})
    await play(actor, op("set", at="state.at", value=later(FAR)))
    ids = await play(actor, op("all", do=[[op("schedule.at", at=ref("state.at"), do=[])] for _ in range(20)]))
    assert len(set(ids)) == 20
    assert all(str(uuid.UUID(one)) == one and uuid.UUID(one).version == 4 for one in ids)
    assert {one["id"] for one in await pending(actor)} == set(ids)


@requirement("TASK-205", "TASK-201")
async def test_trigger_order(conform, eventually, clock):
    """Schedules fire by their times, whatever the order in which they were made; those of the same time all fire, once each."""
    actor = made(conform)
    offsets = [600, 0, 800, 200, 400, 200]
    await play(actor, *spread(300, offsets, lambda offset: [note(str(offset))]))
    tags = await ran(actor, eventually, len(offsets))
    clock.in_order(tags, [str(offset) for offset in sorted(offsets)])
    seen = [fire(one) for one in await runs(actor)]
    assert len({one["id"] for one in seen}) == len(offsets)
    assert all(one["firedAt"] >= one["scheduledAt"] for one in seen)


@requirement("TASK-205", "TASK-020")
async def test_runs_are_concurrent(conform, eventually):
    """A run that takes long does not keep a later one, or one of the same time, from running."""
    actor = made(conform)
    await play(actor, op("schedule.at", at=later(100), do=[note("held"), latch("held"), note("let go")]),
               op("schedule.at", at=later(100), do=[note("beside")]), op("schedule.after", ms=200, do=[note("later")]))  # fmt: skip
    await conform.latch("held").arrived()
    assert sorted(await ran(actor, eventually, 3)) == ["beside", "held", "later"]
    await conform.latch("held").release()
    assert (await ran(actor, eventually, 4))[-1] == "let go"


@requirement("TASK-206", "TASK-208")
async def test_a_fire_is_no_longer_pending(conform, eventually):
    """When the action begins its schedule is gone: neither got, nor listed, nor cancelled, while it runs and afterwards."""
    actor = made(conform)
    looked = [
        op("schedule.get", id=ref("args.0.id"), as_="got"),
        op("schedule.list", as_="all"),
        op("schedule.cancel", id=ref("args.0.id"), as_="cancelled"),
        op("append", at="state.runs", value={"tag": "ran", "args": [ref("got"), ref("all"), ref("cancelled")]}),
    ]
    schedule_id = await play(actor, op("schedule.after", ms=50, do=looked))
    await ran(actor, eventually, 1)
    assert [one["args"] for one in await runs(actor)] == [[None, [], False]]
    assert await play(actor, op("schedule.get", id=schedule_id)) is None
    assert await play(actor, op("schedule.cancel", id=schedule_id)) is False
    assert await pending(actor) == []


@requirement("TASK-206", "TASK-034")
async def test_a_failing_run(conform, eventually, clock):
    """A run that fails is not repeated and takes nothing with it: what it changed stands, the next one fires, calls are served."""
    actor = made(conform)
    for kind in ("user", "internal"):
        await play(actor, op("schedule.after", ms=20, do=[note(kind), op("throw", kind=kind)]))
    await play(actor, op("schedule.after", ms=200, do=[note("next")]))
    assert sorted(await ran(actor, eventually, 3)) == ["internal", "next", "user"]
    await clock.sleep(2.5)
    assert len(await runs(actor)) == 3
    assert await pending(actor) == []


@requirement("TASK-207")
async def test_an_unknown_action(conform, eventually, clock):
    """An action that does not exist can be scheduled; at its time it is used up, and nothing else is harmed."""
    actor = made(conform)
    schedule_id = await play(actor, op("schedule.after", ms=400, action="noSuchAction", args=[1, 2]))
    (shown,) = await pending(actor)
    assert (shown["id"], shown["action"], shown["args"]) == (schedule_id, "noSuchAction", [1, 2])
    await eventually(lambda: pending(actor), until=lambda left: left == [], what="the end of the schedule")
    await play(actor, op("schedule.after", ms=20, do=[note("next")]))
    await ran(actor, eventually, 1)
    assert await pending(actor) == []


@untimed
@requirement("TASK-208")
async def test_what_is_told_of_those_that_wait(conform):
    """`get` and `list` give id, action, arguments and time and nothing else, by time; recurring schedules are not among them."""
    actor = made(conform)
    assert await pending(actor) == []
    assert await play(actor, op("schedule.get", id=str(uuid.uuid4()))) is None
    await play(actor, op("cron.set", name="daily", expression="0 0 * * *", action="triggerSleep"))
    ids = {}
    for offset in (3, 1, 2):
        at = 4_000_000_000_000 + offset
        ids[offset] = await play(actor, op("schedule.at", at=at, action="setProgram", args=["onSleep", offset]))
    ids[4] = await play(actor, op("schedule.at", at=4_000_000_000_004, action="triggerSleep"))
    expected = [
        {"id": ids[offset], "action": "setProgram", "args": ["onSleep", offset], "runAt": 4_000_000_000_000 + offset}
        for offset in (1, 2, 3)
    ]
    expected.append({"id": ids[4], "action": "triggerSleep", "args": [], "runAt": 4_000_000_000_004})
    assert await pending(actor) == expected
    for one in expected:
        assert await play(actor, op("schedule.get", id=one["id"])) == one


@untimed
@requirement("TASK-208", "TASK-304")
async def test_two_kinds_that_do_not_mix(conform):
    """A one-shot is nothing to the calls for recurring schedules, and a recurring one nothing to those for one-shots."""
    actor = made(conform)
    await play(actor, op("cron.set", name="daily", expression="0 0 * * *", action="triggerSleep"))
    once = await play(actor, op("schedule.after", ms=FAR, action="triggerSleep"))
    assert await play(actor, op("schedule.get", id="daily")) is None
    assert await play(actor, op("schedule.cancel", id="daily")) is False
    assert await play(actor, op("cron.get", name=once)) is None
    assert await play(actor, op("cron.delete", name=once)) is False
    assert [one["id"] for one in await pending(actor)] == [once]
    assert [one["name"] for one in await play(actor, op("cron.list"))] == ["daily"]


@requirement("TASK-208")
async def test_cancel(conform, eventually, clock):
    """A cancelled schedule never fires; it is cancelled once, and what was never there cannot be."""
    actor = made(conform)
    kept = await play(actor, op("schedule.after", ms=1500, do=[note("kept")]))
    gone = await play(actor, op("schedule.after", ms=1300, do=[note("gone")]))
    assert [await play(actor, op("schedule.cancel", id=one)) for one in (gone, gone, str(uuid.uuid4()))] == [True, False, False]
    assert await play(actor, op("schedule.get", id=gone)) is None
    assert [one["id"] for one in await pending(actor)] == [kept]
    assert await ran(actor, eventually, 1) == ["kept"]
    await clock.sleep(0.3)
    assert [one["tag"] for one in await runs(actor)] == ["kept"]


@requirement("TASK-214", "TASK-204", "TASK-208")
async def test_arguments(conform, eventually):
    """Arguments come as they were given, falsy and empty ones too, and the fire follows the last of them."""
    actor = made(conform)
    keep = [note("ran")]
    shown = await play(actor, op("schedule.after", ms=300, action="exec", args=[{"$quote": keep}, *VALUES], as_="id"),
                       op("schedule.get", id=ref("id"), as_="shown"), op("return", value=ref("shown.args")))  # fmt: skip
    assert shown == [keep, *VALUES]
    await ran(actor, eventually, 1)
    (only,) = await runs(actor)
    assert only["args"] == [*VALUES, fire(only)] and fire(only)["kind"] == "at"
    assert [type(one) for one in only["args"]][:-1] == [type(one) for one in VALUES]


@requirement("TASK-214")
@pytest.mark.parametrize("value", [0, False, "", None, [], {}], ids=repr)
async def test_a_single_falsy_argument(conform, eventually, value):
    """One falsy argument is one argument, where there is no other too."""
    actor = made(conform)
    alone = await play(actor, op("schedule.after", ms=FAR, action="triggerSleep", args=[value]))
    told = await play(actor, op("schedule.get", id=alone))
    assert told["args"] == [value] and type(told["args"][0]) is type(value)
    await play(actor, op("schedule.after", ms=50, action="exec", args=[{"$quote": [note("ran")]}, value]))
    await ran(actor, eventually, 1)
    (only,) = await runs(actor)
    assert (len(only["args"]), only["args"][0], type(only["args"][0])) == (2, value, type(value))
