"""From a request to a report: plan the lanes, run them, put their events together."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.identity import TestId
from harness.run.results import RunReport, TestResult
from harness.run.worker import Lane, LaneOutcome, run_lane
from harness.settings import time_mode
from harness.targets import TimeMode, prepare, resolve
from harness.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.run.request import RunRequest

    Listener = Callable[[dict[str, Any]], None]


def plan(request: RunRequest) -> list[list[Lane]]:
    """The stages of a run; the lanes of one stage run side by side.

    Timing suites have one worker. In real time it also runs alone, after the others: load would move what it measures. Virtual time is not
    moved by load.
    """
    if request.jobs == 1 or request.lane == "timing":
        return [[Lane(request.lane, request.lane)]]
    parallel = [Lane(f"parallel {index}", "parallel", (index, request.jobs)) for index in range(request.jobs)]
    if request.lane == "parallel":
        return [parallel]
    timing = Lane("timing", "timing")
    mode = time_mode(resolve(request.target), request.time)
    return [[timing, *parallel]] if mode is TimeMode.VIRTUAL else [parallel, [timing]]


async def run(request: RunRequest, on_event: Listener = lambda _: None) -> RunReport:
    """Run the corpus once.

    Raises:
        UsageError: the target or its time mode makes no sense.
        TargetError: something the target needs is missing.
    """
    prepare(resolve(request.target))
    began = time.monotonic()
    outcomes: list[LaneOutcome] = []
    for stage in plan(request):
        outcomes += await run_lanes(request, stage, on_event, at_once=max(1, request.jobs))
    report = merge(outcomes)
    if report.session:
        report.session = {**report.session, "shard": f"{request.part[0]}/{request.part[1]}"}
    if not report.results and not report.problems:
        report.problems.append("nothing was collected: no test matches the selection")
    report.seconds = time.monotonic() - began
    return report


async def collect(request: RunRequest) -> list[dict[str, Any]]:
    """The `collected` events of a request, without running anything, and the problems as events of kind `problem`."""
    outcome = await run_lane(request, Lane("collection", extra=("--collect-only", "-qq")), lambda _: None)
    found = [event for event in outcome.events if event["event"] == "collected"]
    return [*found, {"event": "problem", "text": outcome.problem}] if outcome.problem else found


async def run_lanes(request: RunRequest, lanes: Sequence[Lane], on_event: Listener, *, at_once: int) -> list[LaneOutcome]:
    """Run lanes, `at_once` of them at a time; the outcomes come in the order of the lanes."""
    gate = asyncio.Semaphore(at_once)

    async def one(lane: Lane) -> LaneOutcome:
        async with gate:
            return await run_lane(request, lane, on_event)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(lane)) for lane in lanes]
    return [task.result() for task in tasks]


def merge(outcomes: Sequence[LaneOutcome]) -> RunReport:
    """One report of several workers; a test that was collected and has no result is an error, with the reason."""
    report = RunReport()
    for outcome in outcomes:
        if outcome.problem and outcome.problem not in report.problems:
            report.problems.append(outcome.problem)
        collected = {event["id"]: event for event in outcome.events if event["event"] == "collected"}
        results = {event["id"]: event for event in outcome.events if event["event"] == "result"}
        for event in outcome.events[:1]:
            report.session = report.session or event
        for name, about in collected.items():
            lost = {"verdict": Verdict.ERROR, "message": f"not run to its end: worker {outcome.lane.label} died", "blame": "harness"}
            report.results.append(_result(name, about, results.get(name, lost)))
    report.results.sort(key=lambda result: result.id)
    depends = {event["id"]: event.get("depends", ()) for outcome in outcomes for event in outcome.events if event["event"] == "collected"}
    report.results = _blocked(report.results, depends)
    return report


def _blocked(results: list[TestResult], depends: Mapping[str, Sequence[str]]) -> list[TestResult]:
    """A bad test with a bad prerequisite is blocked by the first cause behind it.

    Every test has run: what is blocked depends on neither the order nor the workers, and a test that passes all the same shows that it does
    not need its prerequisite.
    """
    bad = {str(result.id): result for result in results if not result.verdict.good}

    def cause(result: TestResult, seen: frozenset[str]) -> str:
        for test in depends.get(str(result.id), ()):
            suite, _, plain = test.partition("::")
            name = str(TestId(suite, plain, result.id.variant))
            if name in bad and name not in seen:
                return cause(bad[name], seen | {name}) or name
        return ""

    def judged(result: TestResult) -> TestResult:
        root = cause(result, frozenset({str(result.id)})) if str(result.id) in bad else ""
        if not root:
            return result
        reason = f"blocked by {root}; {result.verdict}: {result.message}"
        return replace(result, verdict=Verdict.BLOCKED, blocked_by=root, message=reason)

    return [judged(result) for result in results]


def _result(name: str, about: dict[str, Any], found: dict[str, Any]) -> TestResult:
    return TestResult(
        id=TestId.parse(name),
        verdict=Verdict(found["verdict"]),
        message=found.get("message", ""),
        detail=found.get("detail", ""),
        seconds=found.get("seconds", 0.0),
        attempts=found.get("attempts", 1),
        requirements=tuple(about["requirements"]),
        doc=about["doc"],
        timing=about["timing"],
        witnesses=found.get("witnesses", {}),
        blame=found.get("blame", ""),
        bundle=found.get("bundle", ""),
        stall=found.get("stall", 0.0),
        timeline=tuple(found.get("timeline", ())),
    )
