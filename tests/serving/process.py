"""A serving process that tests can kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ROOT = Path(__file__).parents[2]


class Serving:
    """One `conform serve` process. `endpoint` is where it answers."""

    def __init__(self, process: asyncio.subprocess.Process, endpoint: str) -> None:
        self._process = process
        self.endpoint = endpoint

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    async def kill(self) -> None:
        """SIGKILL: nothing gets to run any more."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


class Forker:
    """A warm process that serves ledgers, one server after another: `tests/serving/ledger_actor.py`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @asynccontextmanager
    async def serving(self, storage: Path, *, ahead: float = 0) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """A server whose clock is `ahead` by some seconds: its endpoint, and what kills it; killed at the end of the block."""
        ready = await self._ask(f"{ahead} {storage}\n")
        dead = False

        async def kill() -> None:
            nonlocal dead
            if not dead:
                dead = True
                os.kill(ready["pid"], signal.SIGKILL)
                assert await self._ask("") == {"ended": -signal.SIGKILL}

        try:
            yield ready["endpoint"], kill
        finally:
            await kill()

    async def _ask(self, order: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order.encode())
        found: dict[str, Any] = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 20))
        return found


@asynccontextmanager
async def forker() -> AsyncIterator[Forker]:
    """A process that forks; ended with the block."""
    command = (sys.executable, "-m", "tests.serving.ledger_actor")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT
    )
    try:
        yield Forker(process)
    finally:
        process.kill()
        await process.wait()


FIXTURES = ("-m", "harness.cli", "serve", "--host", "127.0.0.1", "--port", "0", "--storage")


@asynccontextmanager
async def serving(storage: Path, command: tuple[str, ...] = FIXTURES) -> AsyncIterator[Serving]:
    """Serve the standard fixtures, or what `command` serves, from a data directory; killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, str(storage), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    running = Serving(process, json.loads(line)["endpoint"])
    try:
        yield running
    finally:
        await running.kill()
