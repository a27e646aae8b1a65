"""A target in a process of its own, started by a command that says where it answers.

The handshake: the command prints one line on standard output, a JSON object with `endpoint` and optionally `namespace`, `pool` and `token`.
What it prints besides goes to the target's log. A command that cannot do that names its port instead: `{port}` in it is replaced by a free
port, and the target is up when `GET /health` answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TargetError
from harness.targets.base import Endpoint, TimeMode
from harness.targets.child import answers, end, how_it_ended
from harness.targets.mortal import mortal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY = 60.0
"""Seconds until the process must have said where it answers."""
STOP = 10.0
"""Seconds from the request to end to the end by force."""
LOG_TAIL = 2000


# Built on asyncio's subprocesses and not on threads: start, end and log are awaited on the loop of the tests, as `Target` promises.
class TargetProcess:
    """One running target process and its log."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        dies_with_us: bool = False,
    ) -> None:
        """Nothing is started.

        Args:
            command: What is run.
            cwd: Where it runs.
            environment: Beside ours.
            log: What it prints is appended here and stays; without, a file is made for it, and goes with it.
            dies_with_us: Whether it ends with this process, however that ends (`mortal`).
        """
        self._command = list(command)
        self._cwd = cwd
        # The whole environment goes on: a runtime finds its toolchain by it.
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._draining: asyncio.Task[None] | None = None
        self._log: Any = None
        self._own_log = log is None
        self._dies_with_us = dies_with_us
        self.log_file: Path | None = log

    async def start(self, ready: float = READY) -> Endpoint:
        """Spawn it and wait for the handshake.

        Raises:
            TargetError: it could not be started, ended, stayed silent or said something else; with the end of its log.
        """
        # Someone else may take the port in between; then the command ends, says so in its log, and is not started a second time on the
        # quiet.
        port = _free_port() if any("{port}" in part for part in self._command) else None
        command = [part.replace("{port}", str(port)) for part in self._command]
        # A file and no pipe: evidence reads it from where the test began, and a target that prints much is never slowed by its reader.
        if self.log_file is None:
            self.log_file = log_file()
        # Appended: several processes may write into one.
        self._log = self.log_file.open("ab")
        started = mortal(command, os.getpid()) if self._dies_with_us else command
        try:
            self._process = await asyncio.create_subprocess_exec(
                *started, cwd=self._cwd, env=self._environment, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=self._log,
            )  # fmt: skip
        except OSError as error:
            raise TargetError(f"{shlex.join(command)} could not be started: {error}") from error
        endpoint = await self._handshake(command, ready) if port is None else await self._by_port(command, port, ready)
        self._draining = asyncio.get_running_loop().create_task(self._drain())
        return endpoint

    async def ended(self) -> str:
        """Wait until the process ends without having been told to; how it ended, and the end of its log."""
        assert self._process is not None
        how = how_it_ended(await self._process.wait())
        # The first line of a message is what tables and lists show of it.
        last = self._log_text().rpartition("\n")[2]
        return f"it ended {how}{f' ({last})' if last else ''}{self._tail()}"

    async def _handshake(self, command: list[str], ready: float) -> Endpoint:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(ready):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise TargetError(f"{shlex.join(command)} printed no endpoint within {ready:g} s{self._tail()}") from None
        # End of output before the first line: the process has ended, or closed its output, which comes to the same for a handshake.
        if not line:
            status = await self._process.wait()
            raise TargetError(f"{shlex.join(command)} ended {how_it_ended(status)} before it was ready{self._tail()}")
        try:
            said = json.loads(line)
            known = {name: said[name] for name in ("namespace", "pool", "token") if said.get(name) is not None}
            return Endpoint(str(said["endpoint"]).rstrip("/"), **known)
        except (ValueError, KeyError, TypeError, AttributeError):
            shown = line.decode(errors="replace").strip()
            raise TargetError(f"{shlex.join(command)}: the first line on standard output is no handshake: {shown!r}") from None

    async def _by_port(self, command: list[str], port: int, ready: float) -> Endpoint:
        assert self._process is not None
        url = f"http://127.0.0.1:{port}"
        try:
            await answers(self._process, url, ready)
        except TargetError as error:
            raise TargetError(f"{shlex.join(command)}: {error}{self._tail()}") from error
        return Endpoint(url)

    async def stop(self) -> None:
        """End it, by force when it does not want to; its log is deleted."""
        process, self._process = self._process, None
        if process is not None:
            # Asked first: a runtime that is killed leaves its own children, such as an engine, behind.
            await end(process, signal.SIGTERM, STOP)
        # After the process: what it still says while it ends belongs into the log, and nobody else reads the pipe.
        if self._draining is not None:
            await self._draining
            self._draining = None
        if self._log is not None:
            self._log.close()
        if self.log_file is not None and self._own_log:
            self.log_file.unlink(missing_ok=True)

    async def _drain(self) -> None:
        # A full pipe would block the target.
        assert self._process is not None
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(65536):
            self._log.write(chunk)
            self._log.flush()

    def _log_text(self) -> str:
        assert self.log_file is not None
        return self.log_file.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:].strip()

    def _tail(self) -> str:
        text = self._log_text()
        return f"; its log ends with:\n{text}" if text else ""


@dataclass(slots=True)
class CommandTarget:
    """Somebody else's runtime, started by a command; real time."""

    command: tuple[str, ...]
    name: str = "command"
    capabilities: frozenset[str] = frozenset()
    profile: str = "peer-2.3"
    time_scale: float = 2.0
    time_modes: tuple[TimeMode, ...] = (TimeMode.REAL,)
    storages: tuple[str, ...] = ("external",)
    cwd: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    ready: float = READY
    _process: TargetProcess | None = None

    @property
    def log_file(self) -> Path | None:
        """What the process prints."""
        return self._process.log_file if self._process is not None else None

    async def start(self, storage: str) -> Endpoint:
        """Start the command.

        Raises:
            TargetError: it did not come up.
        """
        self._process = TargetProcess(self.command, cwd=self.cwd, environment={"CONFORM_STORAGE": storage, **self.environment})
        return await self._process.start(self.ready)

    async def ended(self) -> str:
        """As `TargetProcess.ended`."""
        assert self._process is not None
        return await self._process.ended()

    async def stop(self) -> None:
        """End it."""
        if self._process is not None:
            await self._process.stop()
            self._process = None


def log_file() -> Path:
    """A new empty file for what a target prints."""
    descriptor, name = tempfile.mkstemp(prefix="conform-target-", suffix=".log")
    os.close(descriptor)
    return Path(name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
