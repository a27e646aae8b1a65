"""Suite schedule-limits: how many schedules an actor may have, and what does and does not count."""

from __future__ import annotations

import pytest

from driver_tests.scheduling import FAR, note, pending, ran, refusal, works
from harness import any_encoding, requirement, suite
from harness.testing.interpreter import made, op, play

pytestmark = [suite("schedule-limits"), any_encoding]

LIMIT = 3
"""`maxSchedules` of the actor."""
REFUSED = (
    "schedule",
    "max_schedules_exceeded",
    f"Actor has reached its limit of {LIMIT} pending schedules.",
    {"maximum": LIMIT},
)
ONCE = op("schedule.after", ms=FAR, do=[])


def daily(name, **fields):
    """A recurring schedule that does not fire during the test."""
    return op("cron.set", name=name, expression="0 0 * * *", **(fields or {"do": []}))


def small(conform):
    """The actor with the small limit."""
    return made(conform, "interpreterSmall")


async def names(actor):
    """The recurring schedules, sorted."""
    return sorted(one["name"] for one in await play(actor, op("cron.list")))


@requirement("TASK-209")
async def test_the_limit_is_reached_and_not_passed(conform):
    """As many schedules as the limit says are made; the next is refused and leaves nothing; each room is used once."""
    actor = small(conform)
    ids = [await play(actor, ONCE) for _ in range(LIMIT)]
    for _ in range(2):
        assert await works(actor, ONCE) is False
    assert sorted(one["id"] for one in await pending(actor)) == sorted(ids)
    assert await play(actor, op("schedule.cancel", id=ids[1])) is True
    assert await play(actor, ONCE) not in ids
    assert await works(actor, ONCE) is False


@requirement("TASK-209")
@pytest.mark.parametrize("refused", [ONCE, daily("d")], ids=["once", "cron"])
async def test_the_error_of_the_limit(conform, refused):
    """What is over the limit fails with code, text and metadata, and with the limit in both."""
    actor = small(conform)
    await play(actor, *[ONCE] * LIMIT)
    assert await refusal(conform, actor, refused) == REFUSED


@requirement("TASK-209")
async def test_both_kinds_count(conform):
    """One-shot and recurring schedules share the limit; deleting one makes room for one of either kind."""
    actor = small(conform)
    await play(actor, ONCE, daily("a"), op("cron.set", name="b", interval=60_000, do=[]))
    for refused in (ONCE, daily("c"), op("cron.set", name="d", interval=60_000, do=[])):
        assert await works(actor, refused) is False
    assert await names(actor) == ["a", "b"]
    assert await play(actor, op("cron.delete", name="a")) is True
    await play(actor, ONCE)
    assert await works(actor, daily("a")) is False
    assert (len(await pending(actor)), await names(actor)) == (2, ["b"])


@requirement("TASK-209", "TASK-300")
async def test_replacing_at_the_limit(conform):
    """At the limit a recurring schedule may still be replaced, by the same cadence, by another one and by an interval."""
    actor = small(conform)
    await play(actor, *(daily(name) for name in "abc"))
    await play(actor, daily("a", action="triggerSleep", args=[]))
    await play(actor, op("cron.set", name="b", expression="1 1 * * *", do=[]), op("cron.set", name="c", interval=60_000, do=[]))
    found = {one["name"]: one for one in await play(actor, op("cron.list"))}
    assert (found["a"]["action"], found["b"]["expression"], found["c"]["interval"]) == ("triggerSleep", "1 1 * * *", 60_000)
    assert await works(actor, daily("d")) is False


@requirement("TASK-209")
async def test_a_fire_makes_room(conform, eventually):
    """A schedule that fired does not count any more, one that fires again and again does."""
    actor = small(conform)
    await play(actor, daily("a"), ONCE, op("schedule.after", ms=300, do=[note("fired")]))
    assert await works(actor, ONCE) is False
    await ran(actor, eventually, 1)
    await play(actor, ONCE)
    assert await works(actor, ONCE) is False


@requirement("TASK-209")
@pytest.mark.parametrize("held", [0, LIMIT - 1])
async def test_many_at_once(conform, held):
    """Schedules that are made at the same time do not overshoot the limit, and none is refused while there is room."""
    actor = small(conform)
    await play(actor, *[ONCE] * held)
    outcomes = await play(actor, op("all", do=[[op("try", do=[one])] for one in [ONCE] * 8]))
    assert [one["ok"] for one in outcomes].count(True) == LIMIT - held
    assert len(await pending(actor)) == LIMIT


@requirement("TASK-209")
async def test_the_count_survives_a_sleep(conform, boundary):
    """After a wake what was made before still counts."""
    actor = small(conform)
    await play(actor, ONCE, daily("a"))
    await boundary.sleep(actor)
    actor = small(conform)
    await play(actor, ONCE)
    assert await works(actor, ONCE) is False


@requirement("TASK-209")
async def test_the_default_is_no_small_number(conform):
    """Without the option an actor has room for many more."""
    actor = made(conform)
    assert len(set(await play(actor, op("repeat", times=LIMIT * 30, do=[ONCE])))) == LIMIT * 30
