"""One worker: a lane's process whose events come back through a pipe, started again behind the test it died in.

Why a process of its own per lane rather than pytest-xdist: a lane owns its loop and (for the reference runtime) its target, timing suites
need a lane alone, and the events of a lane that dies still tell which test it died in. Only that test is blamed: the lane goes on behind
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from typing import TYPE_CHECKING, Any

from harness.masking import of_environment
from harness.run.lanes.arguments import pytest_arguments
from harness.run.lanes.lane import Lane, LaneOutcome
from harness.run.lanes.launch import Lost, Order, end, launch
from harness.run.stop import Stop
from harness.targets import resolve
from harness.targets.child import how_it_ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from harness.run.lanes.launch import Process
    from harness.run.request import RunRequest

    Listener = Callable[[dict[str, Any]], None]

LONGEST_EVENT = 32 * 1024 * 1024
TAIL = 4000
FINE = (0, 1, 5)
"""Exit statuses of pytest that are fine: all passed, some failed, nothing collected (an empty shard)."""
USAGE = 4
USAGE_ERROR = "ERROR: "
MOST_DEATHS = 20
"""A worker that dies more often is not started again: then it is not the tests."""
TIDY = 10.0
"""Seconds a lane that is told to end has for its teardown, targets included, before it is killed with all it started."""


async def run_lane(request: RunRequest, lane: Lane, on_event: Listener, stop: Stop | None = None) -> LaneOutcome:
    """Run one worker to its end, handing over each event as it comes.

    A worker that dies is started again behind the test it died in. When `stop` asks, it ends as on Ctrl-C, and when this task is cancelled
    it is killed, with all it started either way.
    """
    outcome = LaneOutcome(lane)
    stop = stop or Stop()
    while not stop.reason:
        # Counted and not listed: the order of a lane is fixed, so that a number says which tests an earlier life has behind it.
        done = sum(event["event"] == "result" for event in outcome.events) + len(outcome.deaths)
        try:
            if not await _life(request, lane, done, outcome, on_event, stop) or len(outcome.deaths) >= MOST_DEATHS:
                return outcome
        except Lost as lost:
            outcome.problems.append(f"worker {lane.label}: {lost}")
            return outcome
    outcome.interrupted = True
    return outcome


async def _life(request: RunRequest, lane: Lane, done: int, outcome: LaneOutcome, on_event: Listener, stop: Stop) -> bool:
    """One process; whether another one is to go on behind the test it died in."""
    target = resolve(request.target)
    behind = (f"--behind={done}",) if done else ()
    arguments = (*behind, *pytest_arguments(request, lane))
    order = Order(arguments, getattr(target, "preload", ()), getattr(target, "fork_safe", True), request.target.token)
    reading, writing = os.pipe()
    # Of this life only, beside those of all lives: how it ended is told by its own last event.
    events: list[dict[str, Any]] = []
    told = {_said(event) for event in outcome.events} - {None}
    with tempfile.TemporaryFile() as log:
        try:
            process = await launch(order, writing, log.fileno())
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        ending = asyncio.get_running_loop().create_task(_end_when_asked(process, stop))
        try:
            async for event in _events(reading):
                events.append(event)
                # The first life announced all tests of the lane, and nobody wants to hear of them, or of what is wrong with them, twice.
                if _said(event) in told:
                    continue
                outcome.events.append(event)
                on_event(event)
            outcome.status = await process.wait()
        finally:
            ending.cancel()
            # What a lane leaves behind (a target it started) ends with it, however it ended.
            end(process, signal.SIGKILL)
            await asyncio.wait({ending})
        outcome.interrupted = bool(stop.reason)
        return not outcome.interrupted and _judge(outcome, events, of_environment(request.target.token).text(_tail(log)))


def _said(event: dict[str, Any]) -> tuple[str, str] | None:
    """What every life of a worker says alike: its tests and what is wrong with them."""
    kind = event["event"]
    return (kind, event["id"]) if kind == "collected" else (kind, event["text"]) if kind == "problem" else None


async def _end_when_asked(process: Process, stop: Stop) -> None:
    await stop.asked()
    # As Ctrl-C in its terminal would: pytest ends the test, tears down (which stops targets), and writes its footer.
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGINT)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TIDY):
            await stop.insisted()
    end(process, signal.SIGKILL)


def _judge(outcome: LaneOutcome, events: list[dict[str, Any]], log: str) -> bool:
    """What the end of one life says; whether another one is to follow."""
    label, status = outcome.lane.label, outcome.status
    if status == USAGE:
        # Every worker says the same here, but for the time it took, so the reader sees it once.
        # What pytest writes to standard output may come before or after it.
        outcome.problems.append(log.rpartition(USAGE_ERROR)[2].partition("\n\n")[0])
        return False
    if events and events[-1]["event"] == "end":
        if status not in FINE and not any(event["event"] == "problem" for event in events):
            outcome.problems.append(f"worker {label} ended with status {status}\n{log}")
        return False
    # The last word was that this test begins: it ended the process, or something that it started did. With any other last word nobody is to
    # blame, and going on would skip a test at random.
    suspect = events[-1]["id"] if events and events[-1]["event"] == "started" else None
    how = f"ended {how_it_ended(status)}"
    outcome.problems.append(f"worker {label} {how}{f' in {suspect}' if suspect else ''}\n{log}".strip())
    if suspect is None:
        return False
    outcome.deaths[suspect] = f"the worker {how} in this test"
    return True


async def _events(descriptor: int) -> AsyncIterator[dict[str, Any]]:
    reader = asyncio.StreamReader(limit=LONGEST_EVENT)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb"))
    try:
        while line := await reader.readline():
            # A worker that is killed while writing leaves half a line behind.
            if line.endswith(b"\n"):
                yield json.loads(line)
    finally:
        transport.close()


def _tail(log: Any) -> str:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - TAIL))
    text: str = log.read().decode(errors="replace")
    return text.strip()
