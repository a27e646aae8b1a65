"""The reference runtime in a process of its own, started with `conform serve`; real time."""

from __future__ import annotations

import sys
import tempfile
from typing import TYPE_CHECKING

from harness.targets.base import Endpoint, TimeMode
from harness.targets.process import TargetProcess
from harness.targets.reference import CAPABILITIES

if TYPE_CHECKING:
    from pathlib import Path


# What it is for: a fault that shows in one process only (a shared module, a loop that both sides block) shows by comparison.
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
        self._process: TargetProcess | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    @property
    def log_file(self) -> Path | None:
        """What the process prints."""
        return self._process.log_file if self._process is not None else None

    async def start(self, storage: str) -> Endpoint:
        """Spawn the server and wait for the line that says where it answers.

        Raises:
            TargetError: the process ended or stayed silent.
        """
        place = "memory"
        if storage == "sqlite":
            self._directory = tempfile.TemporaryDirectory(prefix="conform-", ignore_cleanup_errors=True)
            place = self._directory.name
        # The server picks the port and tells it in the handshake: with a port chosen here somebody else could be faster.
        command = [sys.executable, "-m", "harness.cli", "serve", "--port", "0", "--storage", place]
        # Tests ask under other names and from other pages.
        self._process = TargetProcess([*command, "--allow-origin", "*", "--allow-host", "*"])
        return await self._process.start()

    async def ended(self) -> str:
        """As `TargetProcess.ended`."""
        assert self._process is not None
        return await self._process.ended()

    async def stop(self) -> None:
        """End the process and delete its data."""
        if self._process is not None:
            await self._process.stop()
            self._process = None
        # After the process, which holds its database open until it ends.
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
