"""Processes of ours behind an engine, to be killed, paused and replaced."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

import httpx

from harness.testing.eventually import Eventually
from runtime.hosting.engine.setup import set_up

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
NAMESPACE = "default"
POOL = "default"
EVENTUALLY = Eventually()


class Envoy:
    """One process that hosts the actors of `tests.engine.journal_actor`."""

    def __init__(self, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def said(self) -> str:
        """What it wrote to standard error so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end of the process; its exit code."""
        return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL: nothing gets to run any more. A paused process is killed, too."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def envoy(
    engine: str, *, version: int = 1, key: str | None = None, listed: bool = True, ask: str | None = None
) -> AsyncIterator[Envoy]:
    """A process that the engine at `engine` has in its list; killed at the end of the block.

    Args:
        engine: What the process connects to.
        version: The deployment that it belongs to (ENGINE-036).
        key: The name of the process at the engine; without one it makes its own.
        listed: Whether to wait until the engine lists a process that it did not before.
        ask: The address of the engine for other questions, when `engine` is something in between.
    """
    ask = ask or engine
    before = await _listed(ask)
    names = {"RIVET_NAMESPACE": NAMESPACE, "RIVET_POOL_NAME": POOL, "RIVET_ENVOY_VERSION": str(version)}
    command = (sys.executable, "-m", "tests.engine.journal_actor", engine, *((key,) if key else ()))
    with TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | names, stderr=log)
        running = Envoy(process, log)
        try:
            if listed:
                await EVENTUALLY(lambda: _more(ask, before, process), timeout=20, what="the process is listed as an envoy")
            yield running
        finally:
            await running.kill()


@asynccontextmanager
async def envoys(engine: str, count: int, *, version: int = 1) -> AsyncIterator[list[Envoy]]:
    """Several of them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(envoy(engine, version=version)) for _ in range(count)]


async def prepare(engine: str) -> None:
    """Make the namespace and the pool of these tests."""
    await set_up(engine, NAMESPACE, POOL)


async def _listed(engine: str) -> set[str]:
    async with httpx.AsyncClient() as http:
        reply = await http.get(f"{engine}/envoys", params={"namespace": NAMESPACE, "name": POOL})
    return {one["envoy_key"] for one in reply.json()["envoys"]}


async def _more(engine: str, before: set[str], process: asyncio.subprocess.Process) -> bool:
    assert process.returncode is None, f"the process ended with {process.returncode}"
    return bool(await _listed(engine) - before)
