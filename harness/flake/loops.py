"""Running the same tests many times and counting, until what was asked of their failure rates can be said."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.events.verdict import Verdict
from harness.flake.sequential import ERROR, Decision, decide
from harness.flake.stats import lower_bound, upper_bound
from harness.identity import TestId
from harness.run import account
from harness.run.lanes.lane import Lane
from harness.run.runner import ready, run_lanes
from harness.run.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.run.lanes.lane import LaneOutcome
    from harness.run.request import RunRequest
    from harness.run.runner import Listener

NOTHING = "nothing ran: no test matches the selection, or the target lacks what they need"


@dataclass(slots=True)
class Tally:
    """One test over all loops.

    Skipped loops are not runs. Neither are blocked ones: what a prerequisite did says nothing of the test behind it.
    """

    id: TestId
    runs: int = 0
    failures: int = 0
    blocked: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    blames: set[str] = field(default_factory=set)

    @property
    def bound(self) -> float:
        """The upper bound of the failure rate at 95 % after a fixed number of runs; 1 when it never ran."""
        return upper_bound(self.failures, self.runs) if self.runs else 1.0

    @property
    def floor(self) -> float:
        """The lower bound of the failure rate at 95 % after a fixed number of runs; 0 when it never ran."""
        return lower_bound(self.failures, self.runs) if self.runs else 0.0


Rule = Callable[[Tally, int], Decision]
"""What the runs of one test say, given how many tests are decided side by side."""


def within(bound: float) -> Rule:
    """Decide whether a test fails in at most `bound` of its runs; wrong for any test of the loops with at most 5 %."""
    return lambda tally, tests: decide(tally.failures, tally.runs, bound, ERROR / tests)


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop.

    Attributes:
        loops: at most so many loops; exactly so many when there is no rule.
        rule: stop looping a test as soon as this has decided.
        seconds: begin no further loops after this real time.
    """

    loops: int
    rule: Rule | None = None
    seconds: float | None = None


@dataclass(slots=True)
class LoopReport:
    """What the loops found. A decision is made once: what further runs would say of a decided test changes nothing."""

    loops: int = 0
    tallies: list[Tally] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    decisions: dict[TestId, Decision] = field(default_factory=dict)

    @property
    def ran(self) -> list[Tally]:
        """The tests with at least one run."""
        return [one for one in self.tallies if one.runs]

    @property
    def flaky(self) -> list[Tally]:
        """The tests that failed in some loop, the worst first."""
        return sorted((one for one in self.tallies if one.failures), key=lambda one: (-one.failures, one.id))

    def decided(self, decision: Decision) -> list[Tally]:
        """The tests of which the loops say so; those that were only ever blocked are open."""
        return [one for one in self.tallies if (one.runs or one.blocked) and self.decisions.get(one.id, Decision.OPEN) is decision]


async def loop(
    request: RunRequest, budget: Budget, on_event: Listener, start: Iterable[Tally] = (), stop: Stop | None = None
) -> LoopReport:
    """Run the selection again and again, each time in a fresh worker, `request.jobs` workers at a time.

    With a rule, tests that are decided take no part in later loops, unless an undecided one depends on them. `start` is what earlier runs
    saw. When `stop` asks, what is known by then is reported.

    Raises:
        TargetError: something the target needs is missing, or it does not answer.
    """
    await ready(request)
    stop = stop or Stop()
    began = time.monotonic()
    report = LoopReport()
    tallies = {one.id: one for one in start}
    depends: dict[TestId, set[TestId]] = {}
    chosen = request
    while report.loops < budget.loops:
        # Without rule or time nothing is decided on the way, so the workers need not wait for each other.
        fixed = budget.rule is None and budget.seconds is None
        count = budget.loops if fixed else min(request.jobs, budget.loops - report.loops)
        numbers = range(report.loops, report.loops + count)
        # Each loop in a worker of its own with its own seed: a target that lives on would turn one accident into many failures.
        lanes = [Lane(f"loop {number + 1}", request.lane, extra=(f"--seed={request.seed + number}",)) for number in numbers]
        outcomes = await run_lanes(chosen, lanes, on_event, at_once=request.jobs, stop=stop)
        report.loops += count
        problems = add(tallies, outcomes)
        report.problems += [f"{stop.reason}: the loops that ran to their end count"] if stop.reason else problems
        depends |= prerequisites(event for outcome in outcomes for event in outcome.events)
        report.tallies = sorted(tallies.values(), key=lambda one: one.id)
        if not report.problems and not any(one.runs or one.blocked for one in report.tallies):
            report.problems.append(NOTHING)
        if report.problems or (budget.seconds is not None and time.monotonic() - began >= budget.seconds):
            break
        if budget.rule is not None:
            _settle(report, budget.rule)
            undecided = [one.id for one in report.decided(Decision.OPEN)]
            if not undecided:
                break
            # What was never selected is not looped, so that the number of tests over which the error is shared out stays what it is.
            wanted = with_prerequisites(undecided, depends) & tallies.keys()
            chosen = replace(request, only=tuple(sorted(map(str, wanted))), keyword=None)
    if budget.rule is not None:
        _settle(report, budget.rule)
    report.seconds = time.monotonic() - began
    return report


def _settle(report: LoopReport, rule: Rule) -> None:
    for tally in report.decided(Decision.OPEN):
        decision = rule(tally, len(report.tallies))
        if decision is not Decision.OPEN:
            report.decisions[tally.id] = decision


def add(tallies: dict[TestId, Tally], outcomes: Iterable[LaneOutcome]) -> list[str]:
    """Count the results of further workers; returns what went wrong."""
    problems: list[str] = []
    for outcome in outcomes:
        # Half a loop would count tests that come early in the order more often than others.
        if outcome.interrupted:
            continue
        report = account.close([outcome])
        problems += [one for one in report.problems if one not in problems]
        for result in report.results:
            tally = tallies.setdefault(result.id, Tally(result.id))
            if result.verdict in (Verdict.SKIP, Verdict.NOT_RUN):
                continue
            if result.verdict is Verdict.BLOCKED:
                tally.blocked += 1
                continue
            tally.runs += 1
            if not result.verdict.good:
                tally.failures += 1
                tally.blames.add(result.blame)
                # Counted by message: three failures with one cause are another finding than three with three.
                text = f"{result.verdict}: {result.message}"
                tally.messages[text] = tally.messages.get(text, 0) + 1
    return problems


def prerequisites(events: Iterable[Mapping[str, Any]]) -> dict[TestId, set[TestId]]:
    """Which tests each collected test depends on, in its own variant."""
    found: dict[TestId, set[TestId]] = {}
    for event in events:
        if event["event"] == "collected":
            test = TestId.parse(event["id"])
            found[test] = {replace(TestId.parse(name), variant=test.variant) for name in event.get("depends", ())}
    return found


def with_prerequisites(tests: Iterable[TestId], depends: Mapping[TestId, Iterable[TestId]]) -> set[TestId]:
    """The tests and all that they depend on, so that a failure behind a failing prerequisite is still seen to be blocked."""
    wanted: set[TestId] = set()
    left = list(tests)
    while left:
        test = left.pop()
        if test not in wanted:
            wanted.add(test)
            left += depends.get(test, ())
    return wanted
