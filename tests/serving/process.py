"""A serving process that tests can kill."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
