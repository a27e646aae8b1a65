"""The reference runtime in a process of its own, started with `conform serve`; real time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile

from harness.errors import TargetError
from harness.targets.base import Endpoint, TimeMode
from harness.targets.reference import CAPABILITIES

READY = 30.0
"""Seconds until the process must have printed its endpoint."""


class ReferenceProcessTarget:
    """Like `reference`, but nothing is shared with the tests but the wire."""

    name = "reference-process"
    capabilities = CAPABILITIES
    profile = "seed"
    time_modes = (TimeMode.REAL,)
    storages = ("sqlite", "memory")
    time_scale = 1.5

    def __init__(self) -> None:
        """Nothing is started."""
        self._process: asyncio.subprocess.Process | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    async def start(self, storage: str) -> Endpoint:
        """Spawn the server and wait for the line that says where it answers.

        Raises:
            TargetError: the process ended or stayed silent.
        """
        place = "memory"
        if storage == "sqlite":
            self._directory = tempfile.TemporaryDirectory(prefix="conform-", ignore_cleanup_errors=True)
            place = self._directory.name
        command = [sys.executable, "-m", "harness.cli", "serve", "--port", "0", "--storage", place]
        self._process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise TargetError(f"{' '.join(command)} printed no endpoint within {READY:g} s") from None
        if not line:
            raise TargetError(f"{' '.join(command)} ended with status {await self._process.wait()} before it was ready")
        return Endpoint(json.loads(line)["endpoint"])

    async def stop(self) -> None:
        """End the process and delete its data."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(10):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
