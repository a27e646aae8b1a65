"""Why a test fails now and then: it is replayed under four conditions, until what brings the failure back names the cause.

What is named, and when, is in `harness.flake.causes`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.events.verdict import Verdict
from harness.flake.causes import Cause, Condition, Observed, judge
from harness.flake.contention import contention
from harness.flake.loops import Tally, add
from harness.flake.stats import CONFIDENCE
from harness.run.lanes.lane import Lane
from harness.run.runner import run_lanes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.identity import TestId
    from harness.run.request import RunRequest
    from harness.run.runner import Listener

# Even a test that always fails is seen thrice under each condition: once says nothing of the other conditions.
FEWEST = 3
MOST = 80
"""Replays per condition; with so many, flakes of one in twenty runs are named nine times of ten (`docs/explanation/attribution.md`)."""

Replay = Callable[[Condition, range], Awaitable[Observed]]
"""Replays a test under a condition; the numbers make each replay another one."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The cause, and what was seen."""

    id: TestId
    cause: Cause
    seen: Mapping[Condition, Observed] = field(default_factory=dict)


async def attribute(request: RunRequest, tally: Tally, on_event: Listener, *, most: int = MOST, burners: int | None = None) -> Attribution:
    """Replay one flaky test under every condition, at most `most` runs each; `burners` processors are kept busy (default: all)."""

    async def replay(condition: Condition, numbers: range) -> Observed:
        return await _replay(request, tally.id, condition, numbers, on_event, burners)

    return await settle(tally, replay, most)


async def settle(tally: Tally, replay: Replay, most: int = MOST) -> Attribution:
    """Replay in rounds, each as long as a failure at the observed rate needs to show, until there is a cause to name."""
    seen = dict.fromkeys(Condition, Observed())
    cause, done, count = judge(tally.blames, seen), 0, runs_needed(tally, most)
    while cause is Cause.UNKNOWN and done < most:
        numbers = range(done, min(done + count, most))
        for condition in Condition:
            # Condition by condition in every round, and not one after the other to its end: a failing cause is named after few replays.
            seen[condition] += await replay(condition, numbers)
        cause, done = judge(tally.blames, seen), numbers.stop
    return Attribution(tally.id, cause, seen)


def runs_needed(tally: Tally, most: int) -> int:
    """How many runs make a failure at the observed rate all but certain (95 %), at most `most`."""
    rate = tally.failures / tally.runs
    # The logarithm below has no value there.
    if rate >= 1:
        return min(FEWEST, most)
    return max(FEWEST, min(most, math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - rate))))


async def _replay(
    request: RunRequest, test: TestId, condition: Condition, numbers: range, on_event: Listener, burners: int | None
) -> Observed:
    alone = replace(request, only=(str(test),), keyword=None)
    whole = replace(request, suites=(test.suite,), only=(), keyword=None)
    async with AsyncExitStack() as stack:
        if condition is Condition.CONTENTION:
            await stack.enter_async_context(contention(burners))
        if condition is Condition.ALONE:
            outcomes = await run_lanes(alone, [Lane("alone", extra=(f"--repeat={len(numbers)}",))], on_event, at_once=1)
        elif condition is Condition.SHUFFLED:
            # A lane per order: each needs a fresh target, or the order before would be part of it.
            lanes = [Lane(f"shuffled {number + 1}", extra=(f"--shuffle={number + 1}",)) for number in numbers]
            outcomes = await run_lanes(whole, lanes, on_event, at_once=request.jobs)
        else:
            lanes = [Lane(f"{condition} {number + 1}", extra=(f"--seed={number}",)) for number in numbers]
            outcomes = await run_lanes(alone, lanes, on_event, at_once=request.jobs)
    if condition is Condition.ALONE:
        # One session repeats one test, so its results are counted one by one and not as one test.
        verdicts = [Verdict(event["verdict"]) for outcome in outcomes for event in outcome.events if event["event"] == "result"]
        ran = [one for one in verdicts if one not in (Verdict.SKIP, Verdict.BLOCKED, Verdict.NOT_RUN)]
        return Observed(sum(one is not Verdict.PASS for one in ran), len(ran))
    tallies: dict[TestId, Tally] = {}
    add(tallies, outcomes)
    tally = tallies.get(test, Tally(test))
    return Observed(tally.failures, tally.runs)
