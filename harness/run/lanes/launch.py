"""Starting the process of a lane: a fork of a warm server, or a process of its own where forking isn't safe.

Both end in the same state (a process group of its own, the same arguments, environment and directory), so a verdict does not depend on
which it was; `tests/harness/test_lanes.py` holds that id by id.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from harness.masking import VARIABLE
from harness.run.lanes.forkserver import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVER = "harness.run.lanes.forkserver"
MODE = "CONFORM_LANES"
"""Environment variable: `spawn` starts every lane in a process of its own, `fork` forks also where it is off by default."""
LAST = 5.0
"""Seconds a server that has no more orders has to end."""
TAIL = 2000


@dataclass(frozen=True, slots=True)
class Order:
    """What a lane's process is to be.

    Attributes:
        arguments: of pytest, without where events go.
        preload: modules a fork server imports before it forks.
        fork: whether the target allows forking.
        token: the operator token of the target.
    """

    arguments: tuple[str, ...]
    preload: tuple[str, ...] = ()
    fork: bool = True
    token: str | None = None


class Process(Protocol):
    """A running lane."""

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        ...

    async def wait(self) -> int:
        """Its exit status; negative when a signal ended it."""
        ...


class Lost(Exception):
    """The fork server ended, and with it every word of what its forks came to."""


async def launch(order: Order, events: int, output: int) -> Process:
    """Start a lane that writes its events and its output to these descriptors."""
    if order.fork and _forking():
        # Either way comes to the same lane, so a refusal is no error: it costs the second that spawning takes.
        fork = await _fork(order, events, output)
        if fork is not None:
            return fork
    return await _spawn(order, events, output)


def end(process: Process, sign: int) -> None:
    """Send a signal to a lane and all it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, sign)


def _forking() -> bool:
    mode = os.environ.get(MODE)
    # A fork of a process that ever loaded Apple's frameworks may crash in them.
    return mode != "spawn" and hasattr(os, "fork") and (mode == "fork" or sys.platform != "darwin")


def _environment(token: str | None) -> dict[str, str]:
    # What the caller's pytest habits are must not change a verdict. A token is no argument: everybody sees those.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") and name != VARIABLE}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **({VARIABLE: token} if token else {})}


async def _spawn(order: Order, events: int, output: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", *order.arguments, f"--events=/dev/fd/{events}",
        stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=(events,),
        env=_environment(order.token), start_new_session=True,
    )  # fmt: skip


async def _fork(order: Order, events: int, output: int) -> Process | None:
    """A fork, or None when the server found that it must not fork."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        about = {"arguments": order.arguments, "environment": _environment(order.token), "directory": os.getcwd(), "preload": order.preload}  # noqa: PTH109 -- text
        json.dump(about, file)
        file.flush()
        file.seek(0)
        try:
            server = _server()
            server.order([file.fileno(), events, output, writing])
        finally:
            os.close(writing)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb"))
    said = (await reader.readline()).decode().strip()
    if said == UNSAFE:
        transport.close()
        return None
    if not said:
        transport.close()
        raise Lost(server.epitaph())
    return _Fork(int(said), reader, transport, server)


class _Fork:
    """A lane that is a child of the server, which says how it ended."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, transport: asyncio.BaseTransport, server: _Server) -> None:
        self.pid = pid
        self._server = server
        self._reader = reader
        self._transport = transport
        self._status: int | None = None

    async def wait(self) -> int:
        if self._status is None:
            said = (await self._reader.readline()).decode().strip()
            self._transport.close()
            if not said:
                raise Lost(self._server.epitaph())
            self._status = int(said)
        return self._status


class _Server:
    """The fork server of this process: started for its first lane, gone with this process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log: Any = tempfile.TemporaryFile()  # noqa: SIM115 -- open as long as the server
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", SERVER, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=(theirs.fileno(),), start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            )  # fmt: skip
        self._orders = ours
        atexit.register(self.close)

    def order(self, descriptors: Sequence[int]) -> None:
        """Order a lane.

        Raises:
            Lost: nobody takes orders.
        """
        try:
            socket.send_fds(self._orders, [b"."], descriptors)
        except OSError as error:
            raise Lost(self.epitaph()) from error

    def close(self) -> int | None:
        """Let it end; its exit status, if it has one by then."""
        self._orders.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST)
        return self._process.returncode

    def epitaph(self) -> str:
        """What is known of a server that ended; the next lane gets another."""
        _server.cache_clear()
        status = self.close()
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()[-TAIL:]
        return f"the server that lanes are forked from ended with status {status}\n{text}".strip()


@functools.cache
def _server() -> _Server:
    return _Server()
