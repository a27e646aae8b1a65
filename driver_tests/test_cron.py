"""Suite cron: recurring schedules: what is told of them, how they are replaced and deleted, when they run next, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from driver_tests.scheduling import given, refusal, whole, works
from harness import any_encoding, requirement, suite
from harness.testing.interpreter import made, op, play, ref

pytestmark = [suite("cron"), any_encoding]

MINUTE = 60_000
BERLIN = ZoneInfo("Europe/Berlin")


def job(name="job", **fields):
    """A recurring schedule; every minute and without effect unless told otherwise."""
    cadence = {} if "interval" in fields or "expression" in fields else {"expression": "* * * * *"}
    return op("cron.set", name=name, **{"action": "exec", "args": [[]], **cadence, **fields})


async def shown(actor, name="job"):
    """What is told of one."""
    return await play(actor, op("cron.get", name=name))


async def set_at(actor, step):
    """Set a job; what is told of it, and the times of the target before and after."""
    program = [op("value", value={"$now": 0}, as_="before"), step, op("cron.get", name=step["name"], as_="job")]
    before, told, after = await play(actor, *program, op("return", value=[ref("before"), ref("job"), {"$now": 0}]))
    return given(told), before, after


@requirement("TASK-304", "TASK-301", "TASK-306")
async def test_what_is_told_of_an_expression(conform):
    """A job with an expression has these members and no other; without a zone it is that of UTC, its history holds 100."""
    actor = made(conform)
    told, before, after = await set_at(actor, job(expression="*/5 * * * *", action="triggerSleep", args=[0, None, "", {"a": []}]))
    assert told == {
        "name": "job",
        "action": "triggerSleep",
        "args": [0, None, "", {"a": []}],
        "nextRunAt": told["nextRunAt"],
        "maxHistory": 100,
        "kind": "cron",
        "expression": "*/5 * * * *",
        "timezone": "UTC",
    }
    assert told["nextRunAt"] in {(now // (5 * MINUTE) + 1) * 5 * MINUTE for now in (before, after)}
    assert whole(told["nextRunAt"], told["maxHistory"])


@requirement("TASK-304", "TASK-302")
async def test_what_is_told_of_an_interval(conform):
    """A job with an interval, in milliseconds, has these members and no other; it runs first when the interval is over."""
    actor = made(conform)
    told, before, after = await set_at(actor, job(interval=7001, action="triggerSleep", args=[], maxHistory=7))
    assert told == {
        "name": "job",
        "action": "triggerSleep",
        "args": [],
        "nextRunAt": told["nextRunAt"],
        "maxHistory": 7,
        "kind": "every",
        "interval": 7001,
    }
    assert before + 7001 <= told["nextRunAt"] <= after + 7001
    assert whole(told["nextRunAt"], told["interval"])


@requirement("TASK-304", "TASK-300")
async def test_list(conform):
    """The list holds each name once, as `get` gives it, after a wake too; an unknown name is none."""
    actor = made(conform)
    assert await play(actor, op("cron.list")) == []
    assert await shown(actor) is None
    await play(actor, job("b", interval=60_000), job("a", timezone="Asia/Tokyo"), job("c", maxHistory=0), job("a", timezone="Asia/Tokyo"))
    listed = await play(actor, op("cron.list"))
    assert sorted(one["name"] for one in listed) == ["a", "b", "c"]
    assert [await shown(actor, one["name"]) for one in listed] == listed
    assert await shown(actor, "A") is None


@requirement("TASK-304", "TASK-300", "TASK-213")
async def test_jobs_survive_a_sleep(conform, boundary):
    """After a wake a job is what it was, its next run included."""
    actor = made(conform)
    await play(actor, job("a", expression="1 2 3 4 *", timezone="America/New_York", args=[[], False]), job("b", interval=3_600_000))
    before = [await shown(actor, name) for name in "ab"]
    await boundary.sleep(actor)
    actor = made(conform)
    assert [await shown(actor, name) for name in "ab"] == before


@requirement("TASK-304")
async def test_delete(conform):
    """A job is deleted once, an unknown one never; the others stay."""
    actor = made(conform)
    await play(actor, job("a"), job("b"))
    assert [await play(actor, op("cron.delete", name=name)) for name in ("a", "a", "never")] == [True, False, False]
    assert await shown(actor, "a") is None
    assert [one["name"] for one in await play(actor, op("cron.list"))] == ["b"]


@requirement("TASK-300")
@pytest.mark.parametrize("cadence", [{"interval": 600_000}, {"expression": "0 12 1 * *", "timezone": "Asia/Tokyo"}], ids=["every", "cron"])
async def test_the_same_cadence_keeps_the_next_run(conform, clock, cadence):
    """Setting a job again with its cadence changes action, arguments and history at once, but not when it runs next."""
    actor = made(conform)
    before, _, _ = await set_at(actor, job(**cadence, maxHistory=5))
    await clock.sleep(0.05)
    after, _, _ = await set_at(actor, job(**cadence, action="triggerSleep", args=[None, 0], maxHistory=6))
    assert after == {**before, "action": "triggerSleep", "args": [None, 0], "maxHistory": 6}
    assert len(await play(actor, op("cron.list"))) == 1


@requirement("TASK-300")
async def test_another_cadence_starts_from_now(conform, clock):
    """Another interval, expression, zone or kind sets the next run anew, from now."""
    actor = made(conform)
    await play(actor, job(interval=600_000))
    await clock.sleep(0.05)
    told, before, after = await set_at(actor, job(interval=500_000))
    assert before + 500_000 <= told["nextRunAt"] <= after + 500_000
    noon, _, _ = await set_at(actor, job(expression="0 12 * * *"))
    tokyo, _, _ = await set_at(actor, job(expression="0 12 * * *", timezone="Asia/Tokyo"))
    one, _, _ = await set_at(actor, job(expression="0 13 * * *", timezone="Asia/Tokyo"))
    hours = [datetime.fromtimestamp(job["nextRunAt"] / 1000, UTC).hour for job in (noon, tokyo, one)]
    assert hours == [12, 3, 4]
    told, before, after = await set_at(actor, job(interval=500_000))
    assert before + 500_000 <= told["nextRunAt"] <= after + 500_000
    assert len(await play(actor, op("cron.list"))) == 1


EXPRESSIONS = {
    "5 4 * * *": lambda at: (at.minute, at.hour) == (5, 4),
    "0 22 * * 1-5": lambda at: (at.minute, at.hour) == (0, 22) and at.isoweekday() <= 5,
    "15,45 8-10 * * *": lambda at: at.minute in (15, 45) and 8 <= at.hour <= 10,
    "7 0-22/2 * * *": lambda at: at.minute == 7 and at.hour % 2 == 0,
    "0 0 * * 0": lambda at: (at.minute, at.hour, at.isoweekday()) == (0, 0, 7),
    "*/20 6 * * *": lambda at: at.minute % 20 == 0 and at.hour == 6,
}


@requirement("TASK-301")
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
async def test_the_next_run_of_an_expression(conform, zone):
    """The next run is the first full minute from now on for which the expression holds on the clocks of the zone."""
    actor = made(conform)
    for expression, holds in EXPRESSIONS.items():
        told, before, after = await set_at(actor, job(expression, expression=expression, timezone=zone))
        assert (told["expression"], told["timezone"]) == (expression, zone)
        expected = set()
        for now in {before // MINUTE, after // MINUTE}:
            at = datetime.fromtimestamp((now + 1) * 60, UTC)
            while not holds(at.astimezone(ZoneInfo(zone))):
                at += timedelta(minutes=1)
            expected.add(round(at.timestamp() * 1000))
        assert told["nextRunAt"] in expected, expression


def change_of_clocks(clock, shift):
    """The next day in Berlin on which half past two in the morning does not exist (`shift` 1) or exists twice (-1)."""
    day = datetime.fromtimestamp(clock.wall(), BERLIN).replace(hour=12, minute=0) + timedelta(days=2)
    while True:
        early, late = (datetime(day.year, day.month, day.day, hour, tzinfo=BERLIN).utcoffset() for hour in (0, 12))
        if late - early == timedelta(hours=shift):
            return day
        day += timedelta(days=1)


@requirement("TASK-301")
async def test_a_time_that_does_not_exist(conform, clock):
    """On the day the clocks go forward the time that is left out is skipped: the job runs when that date has it again."""
    day = change_of_clocks(clock, 1)
    told, _, _ = await set_at(made(conform), job(expression=f"30 2 {day.day} {day.month} *", timezone="Europe/Berlin"))
    at = datetime.fromtimestamp(told["nextRunAt"] / 1000, BERLIN)
    assert (at.month, at.day, at.hour, at.minute) == (day.month, day.day, 2, 30)
    assert at.year == day.year + 1


@requirement("TASK-301")
async def test_a_time_that_exists_twice(conform, clock):
    """On the day the clocks go back the first of two equal times counts."""
    day = change_of_clocks(clock, -1)
    told, _, _ = await set_at(made(conform), job(expression=f"30 2 {day.day} {day.month} *", timezone="Europe/Berlin"))
    first = datetime(day.year, day.month, day.day, 2, 30, tzinfo=BERLIN, fold=0)
    # Times that exist twice equal nothing in another zone, so they are compared as numbers.
    assert told["nextRunAt"] == round(first.timestamp() * 1000)


NAME = "Schedule name is invalid: "
FIELDS = "expected exactly five fields"
BAD = {
    "no name": (job(""), "invalid_name", NAME + "must not be empty", {"reason": "must not be empty"}),
    "129 bytes": (job("x" * 129), "invalid_name", NAME + "must be at most 128 UTF-8 bytes", {"reason": "must be at most 128 UTF-8 bytes"}),
    "65 letters of 2 bytes": (
        job("ä" * 65), "invalid_name", NAME + "must be at most 128 UTF-8 bytes", {"reason": "must be at most 128 UTF-8 bytes"},
    ),
    "4 fields": (job(expression="* * * *"), "invalid_cron_expression", f"Cron expression is invalid: {FIELDS}", {"reason": FIELDS}),
    "6 fields": (job(expression="0 * * * * *"), "invalid_cron_expression", f"Cron expression is invalid: {FIELDS}", {"reason": FIELDS}),
    "no fields": (job(expression=""), "invalid_cron_expression", f"Cron expression is invalid: {FIELDS}", {"reason": FIELDS}),
    "zone": (job(timezone="Mars/X"), "invalid_timezone", "Schedule timezone 'Mars/X' is invalid.", {"timezone": "Mars/X"}),
    **{
        f"interval {n}": (
            job(interval=n), "invalid_interval", f"Schedule interval must be at least 5000 ms; received {n} ms.",
            {"interval_ms": n, "minimum_ms": 5000},
        )
        for n in (4999, 0, 1)
    },
    "maxHistory 1001": (
        job(maxHistory=1001), "invalid_max_history", "Schedule maxHistory must be between 0 and 1000; received 1001.",
        {"max_history": 1001, "maximum": 1000},
    ),
    **{
        f"limit {n}": (
            op("cron.history", name="job", limit=n), "invalid_max_history",
            f"Schedule maxHistory must be between 0 and 1000; received {n}.", {"max_history": n, "maximum": 1000},
        )
        for n in (0, 1001)
    },
}  # fmt: skip


@requirement("TASK-300", "TASK-301", "TASK-302", "TASK-306")
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_bad_input(conform, bad):
    """Bad input fails with the code, text and metadata of what is wrong."""
    step, code, message, metadata = bad
    assert await refusal(conform, made(conform), step) == ("schedule", code, message, metadata)


@requirement("TASK-300", "TASK-301", "TASK-302", "TASK-306")
async def test_what_bad_input_leaves(conform):
    """Bad input leaves no job behind, nor changes one that is there."""
    actor = made(conform)
    for name, (step, *_) in BAD.items():
        assert await works(actor, step) is False, name
    assert await play(actor, op("cron.list")) == []
    await play(actor, job("kept", interval=60_000), job(interval=60_000))
    before = await play(actor, op("cron.list"))
    for name, (step, *_) in BAD.items():
        assert await works(actor, step) is False, name
    assert await play(actor, op("cron.list")) == before


@requirement("TASK-301")
async def test_expressions_that_mean_nothing(conform):
    """Five fields that are no times are refused, and leave no job behind."""
    actor = made(conform)
    for expression in ("60 * * * *", "* 24 * * *", "* * 32 * *", "* * * 13 *", "a b c d e"):
        assert await works(actor, job(expression=expression)) is False, expression
    assert await play(actor, op("cron.list")) == []


@requirement("TASK-301")
async def test_the_reason_of_an_expression(conform):
    """Five fields that are no times are refused with the reason in text and metadata."""
    group, code, message, metadata = await refusal(conform, made(conform), job(expression="60 * * * *"))
    assert (group, code) == ("schedule", "invalid_cron_expression")
    assert list(metadata) == ["reason"] and metadata["reason"]
    assert message == f"Cron expression is invalid: {metadata['reason']}"


@requirement("TASK-306")
@pytest.mark.parametrize("bad", [-1, 1001])
async def test_history_sizes_out_of_range(conform, bad):
    """A negative size is no size, and neither is one over 1000."""
    actor = made(conform)
    assert await works(actor, job(maxHistory=bad)) is False
    assert await play(actor, op("cron.list")) == []


@requirement("TASK-300", "TASK-302", "TASK-306")
async def test_input_at_its_limits(conform):
    """Names of 1 and of 128 bytes, intervals of 5000 ms, histories of 0 and 1000 and limits of 1 and 1000 are good."""
    actor = made(conform)
    names = ["x", "x" * 128, "ä" * 64, " "]
    await play(actor, *(job(name, interval=5000 if name == "x" else 60_000) for name in names))
    await play(actor, job("none", maxHistory=0), job("most", maxHistory=1000))
    found = {one["name"]: one["maxHistory"] for one in await play(actor, op("cron.list"))}
    assert found == {**dict.fromkeys(names, 100), "none": 0, "most": 1000}
    assert await play(actor, op("cron.history", name="x", limit=1), op("cron.history", name="x", limit=1000)) == []
