"""Running the same tests many times and counting."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.run.runner import merge, run_lanes
from harness.run.worker import Lane
from harness.stats import upper_bound
from harness.verdicts import Verdict

if TYPE_CHECKING:
    from harness.identity import TestId
    from harness.run.request import RunRequest
    from harness.run.runner import Listener


@dataclass(slots=True)
class Tally:
    """One test over all loops; skipped loops are not runs."""

    id: TestId
    runs: int = 0
    failures: int = 0
    messages: dict[str, int] = field(default_factory=dict)

    @property
    def bound(self) -> float:
        """The upper bound of the failure rate at 95 %; 1 when it never ran."""
        return upper_bound(self.failures, self.runs) if self.runs else 1.0


@dataclass(slots=True)
class LoopReport:
    """What the loops found."""

    loops: int
    tallies: list[Tally]
    problems: list[str]
    seconds: float

    @property
    def flaky(self) -> list[Tally]:
        """The tests that failed in some loop, the worst first."""
        return sorted((one for one in self.tallies if one.failures), key=lambda one: (-one.failures, one.id))


async def loop(request: RunRequest, loops: int, on_event: Listener) -> LoopReport:
    """Run the selection `loops` times, each time in a fresh worker, `request.jobs` workers at a time."""
    began = time.monotonic()
    lanes = [Lane(f"loop {index + 1}") for index in range(loops)]
    outcomes = await run_lanes(request, lanes, on_event, at_once=request.jobs)
    tallies: dict[TestId, Tally] = {}
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
                text = f"{result.verdict}: {result.message}"
                tally.messages[text] = tally.messages.get(text, 0) + 1
    return LoopReport(loops, sorted(tallies.values(), key=lambda one: one.id), problems, time.monotonic() - began)
