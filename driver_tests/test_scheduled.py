"""Suite actor-schedule: one-shot schedules."""

from __future__ import annotations

import pytest

from harness import depends_on, requirement, suite, timing, untimed

pytestmark = [suite("actor-schedule"), timing]

DELAYED = "actor-schedule::test_schedule_after_a_delay(scheduleTaskAfter)"


async def ran(eventually, actor, count):
    """Wait until the schedule ran `count` times."""
    return await eventually(
        lambda: actor.action("getScheduledCount"), until=lambda n: n >= count, timeout=8, what=f"run number {count} of the schedule"
    )


@requirement("TASK-200", "TASK-201")
@pytest.mark.parametrize("action", ["scheduleTaskAfter", "scheduleTask"])
async def test_schedule_after_a_delay(conform, eventually, clock, action):
    """A delayed schedule fires no earlier than its time, once."""
    actor = conform.get_or_create("scheduled")
    due = await actor.action(action, 250)
    assert await actor.action("getScheduledCount") == 0
    assert await ran(eventually, actor, 1) == 1
    assert await actor.action("getLastRun") >= due - 5


@requirement("TASK-200", "TASK-201")
async def test_schedule_at_a_time(conform, eventually, clock):
    """An absolute schedule fires at its time."""
    actor = conform.get_or_create("scheduled")
    due = clock.now_ms() + 300
    assert await actor.action("scheduleTaskAt", due) == due
    await ran(eventually, actor, 1)
    assert await actor.action("getLastRun") >= due


@requirement("TASK-202")
async def test_schedule_in_the_past(conform, eventually, clock):
    """A past time fires as soon as possible, and once."""
    actor = conform.get_or_create("scheduled")
    started = clock.monotonic()
    await actor.action("scheduleTaskAt", clock.now_ms() - 10_000)
    assert await ran(eventually, actor, 1) == 1
    clock.took(started, conform.limit(2))
    await clock.sleep(0.5)
    assert await ran(eventually, actor, 1) == 1


@requirement("TASK-205")
@depends_on(DELAYED)
async def test_schedules_fire_in_trigger_order(conform, eventually, clock):
    """Several schedules fire in the order of their times, whatever the order of their creation."""
    actor = conform.get_or_create("scheduled")
    # Each delay counts from its own call: the times are so far apart that a slow call does not change their order.
    for task, delay in (("third", 1500), ("first", 700), ("second", 1100)):
        assert (await actor.action("scheduleTaskAfterWithId", task, delay))["taskId"] == task
    await ran(eventually, actor, 3)
    clock.in_order(await actor.action("getTaskHistory"), ["first", "second", "third"])


@requirement("TASK-204", "TASK-214")
@depends_on(DELAYED)
@untimed
async def test_arguments_reach_the_action(conform, eventually):
    """The scheduled action gets its argument, and its events reach subscribers."""
    actor = conform.get_or_create("scheduled")
    async with conform.connected(actor) as conn:
        seen = []
        conn.on("scheduledWithId", seen.append)
        await conn.action("getScheduledCount")
        await conn.action("scheduleTaskAfterWithId", "task-1", 100)
        await eventually(lambda: seen, until=bool, what="the event of the scheduled action")
        assert (seen[0]["taskId"], seen[0]["count"]) == ("task-1", 1)


@requirement("TASK-203", "TASK-213", "TASK-242")
@depends_on("actor-sleep::test_alarm_wakes_a_sleeping_actor", DELAYED)
async def test_schedule_wakes_a_sleeping_actor(conform, boundary, eventually):
    """A schedule that falls due during sleep wakes the actor and fires once."""
    actor = conform.get_or_create("scheduled")
    await actor.action("scheduleTaskAfter", 1500)
    actor_id = await boundary.sleep(actor, via="api")
    await eventually(
        lambda: boundary.record(actor_id), until=lambda record: record["connectable_ts"] is not None, timeout=8, what="the wake"
    )
    actor = conform.get_or_create("scheduled")
    await ran(eventually, actor, 1)
    assert await actor.action("getScheduledCount") == 1


@requirement("TASK-205", "TASK-242")
@depends_on(DELAYED)
async def test_overdue_schedules_all_fire_on_wake(conform, boundary, eventually, clock):
    """Several schedules overdue at a wake fire once each, in order."""
    actor = conform.get_or_create("scheduled")
    # Each delay counts from its own call: the times are so far apart that a slow call does not change their order.
    for task, delay in (("b", 1600), ("a", 1200), ("c", 2000)):
        await actor.action("scheduleTaskAfterWithId", task, delay)
    await boundary.sleep(actor, via="api")
    actor = conform.get_or_create("scheduled")
    await ran(eventually, actor, 3)
    clock.in_order(await actor.action("getTaskHistory"), ["a", "b", "c"])


@requirement("TASK-200")
@depends_on(DELAYED)
async def test_history_can_be_cleared(conform, eventually):
    """Scheduled actions change state like any others."""
    actor = conform.get_or_create("scheduled")
    await actor.action("scheduleTaskAfter", 50)
    await ran(eventually, actor, 1)
    assert await actor.action("clearHistory") is True
    assert await actor.action("getScheduledCount") == 0


@requirement("TASK-110")
@untimed
async def test_scheduled_actions_are_ordinary_actions(conform):
    """A client may call the scheduled action itself; surplus arguments are ignored."""
    actor = conform.get_or_create("scheduled")
    await actor.action("onScheduledTaskWithId", "by hand", {"kind": "at"})
    assert await actor.action("getTaskHistory") == ["by hand"]
