"""Suite lifecycle-schedules: a fire that was cut off, the limit of pending schedules, delays that are refused."""

from __future__ import annotations

import asyncio

import pytest

from client import ActorError
from harness import requirement, suite, timing, untimed

pytestmark = [suite("lifecycle-schedules"), timing]

LIMIT = 1000
FAR = 3_600_000


async def rows(conform, name):
    """The events of the actor's log."""
    return [row["event"] for row in await conform.get_or_create(name).action("getLogEntries")]


@requirement("TASK-206", "SLEEP-050")
@pytest.mark.timeout(120)
async def test_interrupted_fire_is_not_repeated(conform, eventually, boundary, clock):
    """A scheduled action that the grace deadline cut off is lost: the next generation does not run it again."""
    name = "sleepWithSlowScheduledDb"
    actor = conform.get_or_create(name)
    await actor.action("scheduleSlowAlarm", 50, 60_000)
    await eventually(lambda: rows(conform, name), until=lambda seen: "slow-alarm-start" in seen, what="the slow action")
    await conform.rest.sleep_actor(await actor.resolve())
    counts = await conform.get_or_create(name).action("getCounts")
    assert counts == {"startCount": 2, "sleepCount": 1}
    await clock.sleep(0.5)
    assert await rows(conform, name) == ["wake", "slow-alarm-start", "sleep", "wake"]
    await boundary.sleep(conform.get_or_create(name), via="idle")
    assert (await rows(conform, name)).count("slow-alarm-start") == 1


@requirement("TASK-209")
@pytest.mark.timeout(120)
async def test_limit_of_pending_schedules(conform, boundary, eventually):
    """Creates at the limit are refused, concurrent ones do not overshoot it, and a fire makes room again."""
    actor = conform.get_or_create("sleep")
    async with conform.connected(actor) as conn:

        async def create(delay):
            try:
                return await conn.action("setAlarm", delay)
            except ActorError as error:
                return error

        for _ in range(LIMIT // 50 - 1):
            assert not [found for found in await asyncio.gather(*(create(FAR) for _ in range(50))) if isinstance(found, ActorError)]
        assert not isinstance(await create(8000), ActorError)
        refused = [found for found in await asyncio.gather(*(create(FAR) for _ in range(60))) if isinstance(found, ActorError)]
        assert len(refused) == 11
        error = await create(FAR)
        assert isinstance(error, ActorError)
        assert error.name == "schedule.max_schedules_exceeded"
        assert error.message == f"Actor has reached its limit of {LIMIT} pending schedules."
        assert error.metadata == {"maximum": LIMIT}
        response = await conform.post_action(actor, "setAlarm", FAR, encoding="json")
        assert (response.status_code, response.json()["code"]) == (500, "max_schedules_exceeded")
        await eventually(lambda: create(FAR), until=lambda found: not isinstance(found, ActorError), timeout=15, what="room after the fire")
        assert isinstance(await create(FAR), ActorError)
    await boundary.destroy(actor, via="api")


@requirement("TASK-210")
@untimed
async def test_negative_delay_is_refused(conform, expect_error, eventually):
    """A negative delay fails and nothing is scheduled; the next one works."""
    actor = conform.get_or_create("sleepWithDb")
    for delay in (-1, -60_000):
        async with expect_error("schedule", "invalid_delay"):
            await actor.action("setAlarm", delay)
    await actor.action("setAlarm", 300)
    seen = await eventually(lambda: rows(conform, "sleepWithDb"), until=lambda found: "alarm" in found, what="the only alarm")
    assert seen.count("alarm") == 1
