"""From a request to a report: plan the lanes, run them, close the account."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from harness.run import account
from harness.run.lanes.lane import Lane, LaneOutcome
from harness.run.lanes.worker import run_lane
from harness.run.stop import Stop
from harness.session.settings import time_mode
from harness.targets import TimeMode, preflight, prepare, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.events.results import RunReport
    from harness.run.request import RunRequest

    Listener = Callable[[dict[str, Any]], None]


def plan(request: RunRequest) -> list[list[Lane]]:
    """The stages of a run; the lanes of one stage run side by side.

    In real time load would move what timing suites measure: they have one worker, which runs alone, after the others. Virtual time is not
    moved by load, so there they are shared out like all others.
    """
    # One worker for both kinds: its order is the corpus' own, which is what somebody who looks for a flake repeats.
    if request.jobs == 1:
        return [[Lane(request.lane, request.lane)]]
    virtual = time_mode(resolve(request.target), request.time) is TimeMode.VIRTUAL
    shared = request.lane if virtual else "parallel"
    lanes = [Lane(f"{shared} {index}", shared, (index, request.jobs)) for index in range(request.jobs)]
    if virtual or request.lane == "parallel":
        return [lanes]
    timing = [Lane("timing", "timing")]
    return [timing] if request.lane == "timing" else [lanes, timing]


async def run(request: RunRequest, on_event: Listener = lambda _: None, stop: Stop | None = None) -> RunReport:
    """Run the corpus once. When `stop` asks, what is known by then is reported, and the rest is not run.

    Raises:
        UsageError: the target or its time mode makes no sense.
        TargetError: something the target needs is missing, or it does not answer.
    """
    # Before the first worker: of a target that is not there each of them would say the same, after its whole patience.
    await ready(request)
    began = time.monotonic()
    stop = stop or Stop()
    outcomes: list[LaneOutcome] = []
    for stage in plan(request):
        outcomes += await run_lanes(request, stage, on_event, at_once=max(1, request.jobs), stop=stop)
    report = account.close(outcomes, reason=stop.reason)
    if report.session:
        # A worker's own share means nothing outside the run; here it becomes the share of suites, by which runs are merged.
        report.session = {**report.session, "shard": f"{request.part[0]}/{request.part[1]}"}
    report.seconds = time.monotonic() - began
    return report


async def ready(request: RunRequest) -> None:
    """See to it that workers find a target: whatever is wrong with it is said once, before any of them starts.

    Raises:
        UsageError: there is no such target.
        TargetError: something it needs is missing, or it does not answer.
    """
    target = resolve(request.target)
    prepare(target)
    await preflight(target)


async def collect(request: RunRequest) -> list[dict[str, Any]]:
    """The `collected` events of a request, without running anything, and the problems as events of kind `problem`."""
    outcome = await run_lane(request, Lane("collection", extra=("--collect-only", "-qq")), lambda _: None)
    found = [event for event in outcome.events if event["event"] == "collected"]
    problems = [event for event in outcome.events if event["event"] == "problem"]
    return [*found, *problems, *({"event": "problem", "text": text} for text in outcome.problems)]


async def run_lanes(
    request: RunRequest, lanes: Sequence[Lane], on_event: Listener, *, at_once: int, stop: Stop | None = None
) -> list[LaneOutcome]:
    """Run lanes, `at_once` of them at a time; the outcomes come in the order of the lanes."""
    gate = asyncio.Semaphore(at_once)

    async def one(lane: Lane) -> LaneOutcome:
        async with gate:
            return await run_lane(request, lane, on_event, stop)

    # Cancelled together: whoever cancels the run kills the lanes, and with them what they started.
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(lane)) for lane in lanes]
    return [task.result() for task in tasks]
