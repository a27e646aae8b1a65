"""One worker: a pytest process whose events come back through a pipe.

Why a process of its own per lane rather than pytest-xdist: a lane owns its loop and (for the reference runtime) its target, timing suites
need a lane alone, and the events of a lane that dies still tell which test it died in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.masking import VARIABLE, of_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from harness.run.request import RunRequest

INI = Path(__file__).parent.parent / "corpus.ini"
PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout", "pytest_rerunfailures", "harness.plugin")
LONGEST_EVENT = 32 * 1024 * 1024
TAIL = 4000
# Exit statuses of pytest that are fine: all passed, some failed, nothing collected (an empty shard).
FINE = (0, 1, 5)
USAGE = 4
USAGE_ERROR = "ERROR: "


@dataclass(frozen=True, slots=True)
class Lane:
    """One worker's share: which lane of the corpus, which shard, and a label for messages."""

    label: str
    lane: str = "all"
    shard: tuple[int, int] = (0, 1)
    extra: tuple[str, ...] = ()


@dataclass(slots=True)
class LaneOutcome:
    """The events of one worker; `problem` says why they are not complete."""

    lane: Lane
    events: list[dict[str, Any]] = field(default_factory=list)
    problem: str | None = None


async def run_lane(request: RunRequest, lane: Lane, on_event: Callable[[dict[str, Any]], None]) -> LaneOutcome:
    """Run one worker to its end, handing over each event as it comes; ends the worker when cancelled."""
    outcome = LaneOutcome(lane)
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *_command(request, lane, writing),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
            env=_environment(request.target.token),
        )
        os.close(writing)
        try:
            async for event in _events(reading):
                outcome.events.append(event)
                on_event(event)
            status = await process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        finished = bool(outcome.events) and outcome.events[-1]["event"] == "end"
        if status == USAGE:
            # Every worker says the same here, but for the time it took, so the reader sees it once.
            # What pytest writes to standard output may come before or after it.
            outcome.problem = _tail(log).rpartition(USAGE_ERROR)[2].partition("\n\n")[0]
        elif status not in FINE or not (finished or status == FINE[-1]):
            outcome.problem = f"worker {lane.label} ended with status {status}{_suspect(outcome.events)}\n{_tail(log)}"
    if outcome.problem:
        outcome.problem = of_environment(request.target.token).text(outcome.problem)
    return outcome


def _command(request: RunRequest, lane: Lane, events: int) -> list[str]:
    corpus = request.corpus
    return [
        sys.executable,
        "-m",
        "pytest",
        *(part for plugin in PLUGINS for part in ("-p", plugin)),
        f"-c={INI}",
        f"--rootdir={corpus.parent}",
        f"--confcutdir={corpus}",
        "--import-mode=importlib" if not (corpus / "__init__.py").exists() else "--import-mode=prepend",
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        *request.arguments(),
        f"--lane={lane.lane}",
        f"--shard={lane.shard[0]}/{lane.shard[1]}",
        f"--events=/dev/fd/{events}",
        *lane.extra,
        str(corpus),
    ]


def _environment(token: str | None) -> dict[str, str]:
    # What the caller's pytest habits are must not change a verdict.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") and name != VARIABLE}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **({VARIABLE: token} if token else {})}


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


def _suspect(events: list[dict[str, Any]]) -> str:
    if events and events[-1]["event"] == "started":
        return f" in {events[-1]['id']}"
    return ""


def _tail(log: Any) -> str:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - TAIL))
    text: str = log.read().decode(errors="replace")
    return text.strip()
