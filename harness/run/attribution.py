"""Why a test fails now and then: it is replayed under four conditions, and what brings the failure back names the cause.

Each condition gets so many runs that, were the rate unchanged, missing the failure would have a chance of at most 5 %.
"""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.run.contention import contention
from harness.run.lane import Lane
from harness.run.loops import Tally, add
from harness.run.runner import run_lanes
from harness.stats import CONFIDENCE, lower_bound, upper_bound
from harness.verdicts import Blame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.identity import TestId
    from harness.run.request import RunRequest
    from harness.run.runner import Listener

FEWEST = 3


class Condition(StrEnum):
    """How a test is replayed."""

    RESTART = "restart"
    """Alone, every time on a freshly started target."""
    ALONE = "alone"
    """Alone, again and again on the same target."""
    CONTENTION = "contention"
    """Alone and fresh, on a machine that is busy."""
    SHUFFLED = "shuffled"
    """With its suite, in random orders."""


class Cause(StrEnum):
    """What makes a test fail now and then."""

    HARNESS = "harness"
    RACE = "race in the target"
    LOAD = "load-sensitive"
    ORDER = "order-dependent"
    UNKNOWN = "not reproduced"


@dataclass(frozen=True, slots=True)
class Observed:
    """Failures in runs under one condition."""

    failures: int
    runs: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """The cause, and what was seen."""

    id: TestId
    cause: Cause
    seen: Mapping[Condition, Observed] = field(default_factory=dict)


def runs_needed(tally: Tally, most: int) -> int:
    """How many runs make a failure at the observed rate all but certain (95 %), at most `most`."""
    rate = tally.failures / tally.runs
    if rate >= 1:
        return min(FEWEST, most)
    return max(FEWEST, min(most, math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - rate))))


def judge(tally: Tally, seen: Mapping[Condition, Observed]) -> Cause:
    """Name the cause.

    A failure that comes back alone on a fresh target, busy machine or not, needs nobody else: a race, unless it never comes back on a calm
    machine, or a busy one makes it clearly more frequent than all calm runs together. One that only comes back after other runs depends on
    order.
    """
    if tally.blames and tally.blames <= {str(Blame.HARNESS), str(Blame.ADAPTER)}:
        return Cause.HARNESS
    fresh, busy = seen[Condition.RESTART], seen[Condition.CONTENTION]
    calm = [one for condition, one in seen.items() if condition is not Condition.CONTENTION]
    failures, runs = sum(one.failures for one in calm), sum(one.runs for one in calm)
    if busy.failures and (not failures or lower_bound(busy.failures, busy.runs) > upper_bound(failures, runs)):
        return Cause.LOAD
    if fresh.failures or busy.failures:
        return Cause.RACE
    if seen[Condition.ALONE].failures or seen[Condition.SHUFFLED].failures:
        return Cause.ORDER
    # It fails in the corpus' own order, and nothing but the order differs from the runs that passed.
    missed = (1 - tally.failures / tally.runs) ** fresh.runs
    return Cause.ORDER if missed <= 1 - CONFIDENCE else Cause.UNKNOWN


async def attribute(request: RunRequest, tally: Tally, on_event: Listener, *, most: int = 40, burners: int | None = None) -> Attribution:
    """Replay one flaky test under every condition, at most `most` runs each."""
    count = runs_needed(tally, most)
    seen = {condition: await _replay(request, tally.id, condition, count, on_event, burners) for condition in Condition}
    return Attribution(tally.id, judge(tally, seen), seen)


async def _replay(request: RunRequest, test: TestId, condition: Condition, count: int, on_event: Listener, burners: int | None) -> Observed:
    alone = replace(request, only=(str(test),), keyword=None)
    whole = replace(request, suites=(test.suite,), only=(), keyword=None)
    fresh = [Lane(f"{condition} {index + 1}", extra=(f"--seed={index}",)) for index in range(count)]
    tallies: dict[TestId, Tally] = {}
    async with AsyncExitStack() as stack:
        if condition is Condition.CONTENTION:
            await stack.enter_async_context(contention(burners))
        if condition is Condition.ALONE:
            outcomes = await run_lanes(alone, [Lane("alone", extra=(f"--repeat={count}",))], on_event, at_once=1)
        elif condition is Condition.SHUFFLED:
            lanes = [Lane(f"shuffled {index + 1}", extra=(f"--shuffle={index + 1}",)) for index in range(count)]
            outcomes = await run_lanes(whole, lanes, on_event, at_once=request.jobs)
        else:
            outcomes = await run_lanes(alone, fresh, on_event, at_once=request.jobs)
    if condition is Condition.ALONE:
        # One session repeats one test, so its results are counted one by one and not as one test.
        results = [event for outcome in outcomes for event in outcome.events if event["event"] == "result"]
        ran = [event for event in results if event["verdict"] != "skip"]
        return Observed(sum(event["verdict"] != "pass" for event in ran), max(1, len(ran)))
    add(tallies, outcomes)
    tally = tallies.get(test, Tally(test))
    return Observed(tally.failures, max(1, tally.runs))
