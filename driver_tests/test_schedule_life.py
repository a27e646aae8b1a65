"""Suite schedule-life: one-shot schedules over sleep and wake, in starts and in grace, and the alarm of a sleeping actor."""

from __future__ import annotations

from driver_tests.scheduling import FAR, fire, given, note, pending, ran, runs, spread
from harness import any_encoding, requirement, suite, timing
from harness.testing.interpreter import labels, latch, made, op, play, put, ref, trace, traced

pytestmark = [suite("schedule-life"), timing, any_encoding]

WOKEN = [trace("wake")]


async def told(conform, eventually, expected, timeout=8):
    """Wait for these labels in the trace, and no other; nobody calls the actor meanwhile. The records."""
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) >= len(expected), timeout=timeout, what=f"the trace {expected}")
    seen = await traced(conform)
    assert [one["label"] for one in seen] == expected
    return seen


@requirement("TASK-203", "TASK-213", "TASK-200", "TASK-240")
async def test_a_due_schedule_wakes_the_actor(conform, boundary, eventually):
    """A sleeping actor wakes by itself when a schedule is due; the action runs once, with the fire it was promised, after the start."""
    actor = made(conform, onWake=WOKEN)
    schedule_id = await play(actor, op("schedule.after", ms=1200, do=[trace("fired", ref("args"))]))
    due = (await pending(actor))[0]["runAt"]
    await boundary.sleep(actor)
    seen = await told(conform, eventually, ["wake", "wake", "fired"])
    assert [one["start"] for one in seen] == [1, 2, 2]
    (fired,) = seen[2]["value"]
    assert given(fired) == {"kind": "at", "id": schedule_id, "scheduledAt": due, "firedAt": fired["firedAt"]}
    assert fired["firedAt"] >= due
    assert await pending(made(conform)) == []


@requirement("TASK-203", "TASK-242")
async def test_a_fire_waits_for_the_start(conform, boundary, clock, eventually):
    """The action does not run while the start that its schedule caused goes on, however long it is overdue."""
    actor = made(conform, onWake=WOKEN)
    await play(actor, op("schedule.after", ms=800, do=[note("fired"), trace("fired")]),
               op("setProgram", place="onWake", program=[latch("in start"), trace("wake")]))  # fmt: skip
    await boundary.sleep(actor)
    await conform.latch("in start").arrived()
    await clock.sleep(0.7)
    assert await labels(conform) == ["wake"]
    await conform.latch("in start").release()
    await told(conform, eventually, ["wake", "wake", "fired"])
    assert [one["tag"] for one in await runs(made(conform))] == ["fired"]


@requirement("TASK-205", "TASK-242", "TASK-206")
async def test_overdue_ones_fire_in_order(conform, boundary, clock, eventually):
    """Schedules that fell due before the actor was ready begin in the order of their times, each once; a later wake repeats none."""
    actor = made(conform)
    offsets = [5, 1, 8, 3, 2, 7, 4, 6]
    await put(actor, "onWake", latch("in start"))
    await play(actor, *spread(1500, offsets, lambda offset: [note(str(offset))]))
    await boundary.sleep(actor)
    await conform.latch("in start").arrived()
    # The first of them woke the actor; before the start is over all of them are due.
    await clock.sleep(0.1)
    await conform.latch("in start").release()
    actor = made(conform)
    assert await ran(actor, eventually, len(offsets)) == [str(offset) for offset in sorted(offsets)]
    assert all(fire(one)["firedAt"] - fire(one)["scheduledAt"] >= 0 for one in await runs(actor))
    await boundary.sleep(actor)
    assert len(await runs(made(conform))) == len(offsets)


@requirement("TASK-208", "TASK-213")
async def test_what_is_told_after_a_wake(conform, boundary):
    """After a wake the schedules that wait are listed as before: ids, actions, arguments, times, order."""
    actor = made(conform)
    for offset, args in ((3, []), (1, [0, None, "", False]), (2, [{"a": []}])):
        await play(actor, op("schedule.at", at=4_000_000_000_000 + offset, action="triggerSleep", args=args))
    before = await pending(actor)
    assert [one["args"] for one in before] == [[0, None, "", False], [{"a": []}], []]
    await boundary.sleep(actor)
    actor = made(conform)
    assert await pending(actor) == before
    assert await play(actor, op("schedule.cancel", id=before[0]["id"])) is True
    assert await pending(actor) == before[1:]


@requirement("TASK-208", "TASK-241", "TASK-203")
async def test_a_cancelled_schedule_wakes_nobody(conform, boundary, clock):
    """When the last schedule was cancelled the alarm is off: the actor sleeps on, and a later wake fires nothing."""
    actor = made(conform, onWake=WOKEN)
    schedule_id = await play(actor, op("schedule.after", ms=900, do=[note("fired"), trace("fired")]))
    assert await play(actor, op("schedule.cancel", id=schedule_id)) is True
    actor_id = await boundary.sleep(actor)
    await clock.sleep(1.8)
    assert await boundary.is_asleep(actor_id)
    assert await runs(made(conform)) == []
    assert await labels(conform) == ["wake", "wake"]


@requirement("TASK-240", "TASK-203")
async def test_the_alarm_is_the_earliest(conform, boundary, eventually):
    """The earliest schedule wakes the actor, made first or last; the next one is the alarm of the next sleep."""
    actor = made(conform)
    ids = await play(
        actor,
        op("schedule.after", ms=FAR, do=[], as_="far"),
        op("schedule.after", ms=900, do=[trace("first"), op("sleep")]),
        op("schedule.after", ms=2500, do=[trace("second")]),
        op("return", value=[ref("far")]),
    )
    await boundary.sleep(actor)
    seen = await told(conform, eventually, ["first", "second"])
    assert [one["start"] for one in seen] == [1, 2]
    assert [one["id"] for one in await pending(made(conform))] == ids


@requirement("TASK-203", "TASK-240")
async def test_cancelling_the_earliest_moves_the_alarm(conform, boundary, clock, eventually):
    """Without the earliest schedule the actor sleeps until the next one."""
    actor = made(conform, onWake=WOKEN)
    early = await play(actor, op("schedule.after", ms=900, do=[trace("early")], as_="early"),
                       op("schedule.after", ms=2200, do=[trace("late")]), op("return", value=ref("early")))  # fmt: skip
    assert await play(actor, op("schedule.cancel", id=early)) is True
    actor_id = await boundary.sleep(actor)
    await clock.sleep(1.2)
    assert await boundary.is_asleep(actor_id)
    await told(conform, eventually, ["wake", "wake", "late"])


@requirement("TASK-203", "SLEEP-001")
async def test_what_waits_does_not_keep_awake(conform, boundary):
    """An actor with schedules in the future goes to sleep when it is idle, and keeps them."""
    actor = made(conform, "interpreterSleepy")
    schedule_id = await play(actor, op("schedule.after", ms=FAR, do=[]))
    await play(actor, op("cron.set", name="daily", expression="0 0 * * *", do=[]))
    await boundary.sleep(actor, via="idle")
    assert [one["id"] for one in await pending(made(conform, "interpreterSleepy"))] == [schedule_id]


@requirement("TASK-211")
async def test_a_run_keeps_the_actor_awake(conform, boundary, clock):
    """While a scheduled action runs, idle time does not count; afterwards the actor sleeps."""
    actor = made(conform, "interpreterSleepy")
    await play(actor, op("schedule.after", ms=50, do=[latch("in run"), note("done")]))
    actor_id = await actor.resolve()
    await conform.latch("in run").arrived()
    await clock.sleep(1.0)
    assert not await boundary.is_asleep(actor_id)
    await conform.latch("in run").release()
    await boundary.sleep(actor, via="idle")
    assert [one["tag"] for one in await runs(made(conform, "interpreterSleepy"))] == ["done"]


@requirement("TASK-211", "SLEEP-040", "SLEEP-030")
async def test_grace_waits_for_a_run(conform, boundary, clock, eventually):
    """A scheduled action that runs at a sleep may finish: the next generation begins after it and sees what it did."""
    actor = made(conform, onWake=WOKEN, onSleep=[trace("slept")])
    await play(actor, op("schedule.after", ms=50, do=[latch("in run"), note("done"), trace("done")]))
    await conform.latch("in run").arrived()
    await conform.rest.sleep_actor(await actor.resolve())
    await told(conform, eventually, ["wake", "slept"])
    call = conform.spawn(runs(made(conform)))
    await clock.sleep(0.5)
    assert await labels(conform) == ["wake", "slept"] and not call.done()
    await conform.latch("in run").release()
    assert [one["tag"] for one in await call] == ["done"]
    assert await labels(conform) == ["wake", "slept", "done", "wake"]


@requirement("TASK-212", "TASK-244", "TASK-213")
async def test_a_schedule_made_in_grace(conform, clock, eventually):
    """What is scheduled in grace and falls due there fires in the next generation, which starts by itself as soon as the stop is over."""
    sleeping = [op("schedule.after", ms=100, do=[trace("fired", ref("args.0.kind"))]), latch("in grace"), trace("slept")]
    actor = made(conform, onWake=WOKEN, onSleep=sleeping)
    await play(actor)
    await conform.rest.sleep_actor(await actor.resolve())
    await conform.latch("in grace").arrived()
    await clock.sleep(0.6)
    assert await labels(conform) == ["wake"]
    begun = clock.monotonic()
    await conform.latch("in grace").release()
    seen = await told(conform, eventually, ["wake", "slept", "wake", "fired"])
    clock.took(begun, most=conform.limit(3.0))
    assert [(one["start"], one["value"]) for one in seen] == [(1, None), (1, None), (2, None), (2, "at")]


@requirement("TASK-212", "TASK-240")
async def test_a_schedule_of_grace_is_the_alarm(conform, boundary, eventually):
    """What is scheduled in grace for later wakes the actor at its time."""
    actor = made(conform, onWake=WOKEN, onSleep=[op("schedule.after", ms=1500, do=[trace("fired")])])
    await play(actor)
    await boundary.sleep(actor)
    seen = await told(conform, eventually, ["wake", "wake", "fired"])
    assert [one["start"] for one in seen] == [1, 2, 2]


@requirement("TASK-212")
async def test_a_schedule_that_falls_due_in_grace(conform, clock, eventually):
    """What was scheduled before a stop and falls due in grace does not run in the stopping generation."""
    actor = made(conform, onWake=WOKEN, onSleep=[latch("in grace"), trace("slept")])
    await play(actor, op("schedule.after", ms=600, do=[trace("fired")]))
    await conform.rest.sleep_actor(await actor.resolve())
    await conform.latch("in grace").arrived()
    await clock.sleep(1.0)
    assert await labels(conform) == ["wake"]
    await conform.latch("in grace").release()
    seen = await told(conform, eventually, ["wake", "slept", "wake", "fired"])
    assert [one["start"] for one in seen] == [1, 1, 2, 2]


@requirement("TASK-242")
async def test_overdue_ones_come_before_idleness(conform, boundary, eventually):
    """What is overdue fires before the actor could go to sleep again, in the generation that it woke."""
    actor = made(conform, "interpreterSleepy", onWake=WOKEN)
    await play(actor, op("schedule.after", ms=900, do=[trace("fired")]))
    await boundary.sleep(actor)
    seen = await told(conform, eventually, ["wake", "wake", "fired"])
    assert [one["start"] for one in seen] == [1, 2, 2]


@requirement("TASK-213", "DESTROY-041")
async def test_a_destroyed_actor_fires_nothing(conform, boundary, clock):
    """The schedules of a destroyed actor are gone: neither it nor the new actor of its key runs them."""
    actor = made(conform)
    await play(actor, op("schedule.after", ms=900, do=[trace("fired")]))
    await boundary.destroy(actor)
    actor = made(conform)
    assert await pending(actor) == []
    await clock.sleep(1.3)
    assert await labels(conform) == []
