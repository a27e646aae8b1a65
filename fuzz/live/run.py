"""A server under fire from several connections, with a bystander beside it; what became of it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fuzz.grammars.live import exchange
from fuzz.live.attempt import attempt
from tests.serving.bystander import LIMIT, Bystander
from tests.serving.memory import resident

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

MOST_HELD = 0.05
"""CPU seconds for which one input may hold the loop."""
MOST_MEMORY = 128 * 2**20
"""Bytes by which the server may grow from the first hundredth of the inputs to its peak."""
STOP_SECONDS = 30
KEPT = 20
SUSPECTS = 60


@dataclass(slots=True)
class Outcome:
    """What became of a server. CPU and waits in seconds, memory in bytes."""

    inputs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    examples: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    held: float = 0.0
    memory: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    bystander: str = ""
    suspects: list[int] = field(default_factory=list)
    """Inputs that were at work while the loop was held for longer than one of them may hold it."""

    def fault(self, text: str) -> None:
        """Keep what is wrong, unless there is enough."""
        if len(self.faults) < KEPT:
            self.faults.append(text)


@dataclass(slots=True)
class _Server:
    process: asyncio.subprocess.Process
    host: str
    port: int
    report: Path
    log: Path

    def memory(self) -> int:
        """Bytes of its resident memory."""
        return resident(self.process.pid)

    def holds(self) -> list[dict[str, float]]:
        """Of its loop, longest first; none when it did not come to its end."""
        return list(json.loads(self.report.read_text(encoding="utf-8"))) if self.report.exists() else []

    def cpu(self) -> float:
        """Seconds of CPU of all its threads."""
        return time.clock_gettime(~self.process.pid << 3 | 2)


@asynccontextmanager
async def _serving() -> AsyncIterator[_Server]:
    """A server, killed at the end of the block if it has not been stopped."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        report, log = Path(place, "report.json"), Path(place, "log")
        arguments = ("-m", "fuzz.live.serving", str(report), str(log), str(Path(place, "data")))
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("the server does not start")
        parts = urlsplit(json.loads(line)["endpoint"])
        try:
            yield _Server(process, parts.hostname or "", parts.port or 0, report, log)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _stop(server: _Server, outcome: Outcome) -> None:
    """Stop it as an operator does, and look at its end and at its log."""
    if server.process.returncode is None:
        outcome.cpu = server.cpu()
        server.process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            status = await server.process.wait()
    except TimeoutError:
        server.process.kill()
        await server.process.wait()
        outcome.fault(f"the server does not stop in {STOP_SECONDS} s")
        return
    if status:
        outcome.fault(f"the server ends with {status}")
    text = server.log.read_text(encoding="utf-8", errors="replace")
    # Ours are one line each, with the error at its end; those of libraries are many, and the error is the first that is not indented.
    kinds = Counter(
        next((after for after in lines[at + 1 :] if not after.startswith((" ", "\t"))), "") if line.startswith("Traceback") else last(line)
        for lines in [text.splitlines()]
        for at, line in enumerate(lines)
        if "Traceback" in line
    )
    for kind, count in kinds.most_common(10):
        at = text.index(kind)
        outcome.fault(f"{count} times in the log: {kind[:300]}\n{text[max(0, at - 2500) : at]}")


def last(line: str) -> str:
    """The last line of a traceback that was written as one."""
    return line.rstrip('"').rpartition("\\n")[2]


async def fire(seed: int, numbers: Iterable[int], connections: int, progress: Callable[[int], None] = lambda _: None) -> Outcome:
    """Try these inputs on one server.

    Args:
        seed: Of the inputs.
        numbers: Which of them.
        connections: How many at a time.
        progress: Is called with 1 after each.
    """
    outcome, todo, flown = Outcome(), list(numbers), list[tuple[int, float, float]]()
    queue = iter(todo)
    started = time.monotonic()
    async with _serving() as server:
        beside = Bystander(f"http://{server.host}:{server.port}", server.process.pid)
        beside.start()
        first = 0

        async def attacker() -> None:
            nonlocal first
            for number in queue:
                input_, begun = exchange(seed, number), time.monotonic()
                try:
                    end, wrong = await attempt(server.host, server.port, input_)
                except OSError as error:
                    end, wrong = "refused", f"no connection: {error}"
                flown.append((number, begun, time.monotonic()))
                outcome.ends[name := f"{input_.kind}: {end}"] += 1
                outcome.examples.setdefault(name, number)
                outcome.inputs += 1
                if wrong:
                    outcome.fault(f"#{number} ({input_.kind}): {wrong}")
                if server.process.returncode is not None:
                    return
                if outcome.inputs % 200 == 0:
                    size = server.memory()
                    # What is there once everything has been used once is no growth.
                    first = size if outcome.inputs <= max(1000, len(todo) // 100) else first
                    outcome.memory = max(outcome.memory, size - first) if first else 0
                progress(1)

        await asyncio.gather(*(attacker() for _ in range(connections)))
        await asyncio.to_thread(beside.stop)
        outcome.bystander = beside.figures
        if beside.fault:
            outcome.fault(beside.fault)
        elif beside.worst > LIMIT:
            outcome.fault(f"a bystander waits: {beside.figures}")
        await _stop(server, outcome)
        holds = server.holds()
    outcome.seconds = time.monotonic() - started
    if outcome.memory > MOST_MEMORY:
        outcome.fault(f"the server grows by {outcome.memory / 2**20:.0f} MiB")
    outcome.held = holds[0]["cpu"] if holds else 0.0
    for hold in holds:
        if hold["cpu"] > MOST_HELD:
            outcome.suspects += [number for number, begun, ended in flown if begun <= hold["until"] and ended >= hold["since"]]
    outcome.suspects = sorted(set(outcome.suspects))[:SUSPECTS]
    return outcome


async def alone(seed: int, numbers: Iterable[int]) -> dict[int, Outcome]:
    """Each input on a server of its own, after a few others that pay for what is used for the first time: what it holds, it holds alone."""
    return {number: await fire(seed, [*range(6), number, number, number], 1) for number in numbers}
