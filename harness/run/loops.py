"""Running the same tests many times and counting, until a bound of the failure rate can be stated or rejected."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.run.runner import merge, run_lanes
from harness.run.worker import Lane
from harness.stats import lower_bound, upper_bound
from harness.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.identity import TestId
    from harness.run.request import RunRequest
    from harness.run.runner import Listener
    from harness.run.worker import LaneOutcome


class Decision(StrEnum):
    """What the loops say of a bound."""

    BELOW = "below"
    ABOVE = "above"
    OPEN = "open"


@dataclass(slots=True)
class Tally:
    """One test over all loops; skipped loops are not runs."""

    id: TestId
    runs: int = 0
    failures: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    blames: set[str] = field(default_factory=set)

    @property
    def bound(self) -> float:
        """The upper bound of the failure rate at 95 %; 1 when it never ran."""
        return upper_bound(self.failures, self.runs) if self.runs else 1.0

    @property
    def floor(self) -> float:
        """The lower bound of the failure rate at 95 %; 0 when it never ran."""
        return lower_bound(self.failures, self.runs) if self.runs else 0.0

    def decide(self, bound: float) -> Decision:
        """Whether the rate is below or above `bound` at 95 %."""
        if self.runs and self.bound <= bound:
            return Decision.BELOW
        return Decision.ABOVE if self.runs and self.floor > bound else Decision.OPEN


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop.

    Attributes:
        loops: at most so many loops; exactly so many when there is no bound.
        bound: stop looping a test as soon as its failure rate is known to be below or above this, at 95 %.
        seconds: begin no further loops after this real time.
    """

    loops: int
    bound: float | None = None
    seconds: float | None = None


@dataclass(slots=True)
class LoopReport:
    """What the loops found."""

    loops: int
    tallies: list[Tally]
    problems: list[str]
    seconds: float
    bound: float | None = None

    @property
    def flaky(self) -> list[Tally]:
        """The tests that failed in some loop, the worst first."""
        return sorted((one for one in self.tallies if one.failures), key=lambda one: (-one.failures, one.id))

    def decided(self, decision: Decision) -> list[Tally]:
        """The tests of which the loops say so; none without a bound."""
        return [one for one in self.tallies if one.runs and self.bound is not None and one.decide(self.bound) is decision]


async def loop(request: RunRequest, budget: Budget, on_event: Listener) -> LoopReport:
    """Run the selection again and again, each time in a fresh worker, `request.jobs` workers at a time.

    With a bound, tests that are decided take no part in later loops.
    """
    began = time.monotonic()
    tallies: dict[TestId, Tally] = {}
    problems: list[str] = []
    done = 0
    chosen = request
    while done < budget.loops:
        # Without bound or time nothing is decided on the way, so the workers need not wait for each other.
        fixed = budget.bound is None and budget.seconds is None
        count = budget.loops if fixed else min(request.jobs, budget.loops - done)
        lanes = [Lane(f"loop {done + index + 1}", request.lane, extra=(f"--seed={request.seed + done + index}",)) for index in range(count)]
        outcomes = await run_lanes(chosen, lanes, on_event, at_once=request.jobs)
        done += count
        problems += add(tallies, outcomes)
        if problems or (budget.seconds is not None and time.monotonic() - began >= budget.seconds):
            break
        if budget.bound is not None:
            undecided = [one for one in tallies.values() if one.runs and one.decide(budget.bound) is Decision.OPEN]
            if not undecided:
                break
            chosen = replace(request, only=tuple(sorted(str(one.id) for one in undecided)))
    return LoopReport(done, sorted(tallies.values(), key=lambda one: one.id), problems, time.monotonic() - began, budget.bound)


def add(tallies: dict[TestId, Tally], outcomes: Iterable[LaneOutcome]) -> list[str]:
    """Count the results of further workers; returns what went wrong."""
    problems: list[str] = []
    for outcome in outcomes:
        report = merge([outcome])
        problems += report.problems
        for result in report.results:
            tally = tallies.setdefault(result.id, Tally(result.id))
            if result.verdict is Verdict.SKIP:
                continue
            tally.runs += 1
            if not result.verdict.good:
                tally.failures += 1
                tally.blames.add(result.blame)
                text = f"{result.verdict}: {result.message}"
                tally.messages[text] = tally.messages.get(text, 0) + 1
    return problems
