"""Somebody else on the same server: asks for `/health` while a test does its worst, and measures how long that takes.

    async with serving(tmp_path) as server:
        async with bystander(server.endpoint, server.pid) as beside:
            ...  # hostile input

The end of the block fails when an answer took longer than `LIMIT`, or when there was none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 0.1
"""Seconds that an answer may take on an idle core."""
PAUSE = 0.01
"""Seconds between an answer and the next question: few enough questions for the server's own rate limits."""
PATIENCE = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})", re.IGNORECASE)
SOMEBODY_ELSE = "127.0.0.2"
"""Where the bystander connects from, so that what is counted per address is not counted for it."""


class Bystander:
    """One caller on one connection, in a thread of its own.

    Args:
        endpoint: Where the server answers.
        pid: Its process; the one of the test if it runs in there.
    """

    def __init__(self, endpoint: str, pid: int | None = None) -> None:
        parts = urlsplit(endpoint)
        self._address = (parts.hostname or "", parts.port or 80)
        self._request = f"GET /health HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode()
        self._pid = pid or os.getpid()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.waits: list[float] = []
        """Seconds of each answer, without those in which other programs had the processor."""
        self.walls: list[float] = []
        """The same as the clock has them."""
        self.fault: str | None = None

    @property
    def worst(self) -> float:
        """The longest of `waits`, in seconds."""
        return max(self.waits, default=0.0)

    @property
    def figures(self) -> str:
        """For people."""
        median = sorted(self.waits)[len(self.waits) // 2] if self.waits else 0.0
        walls = max(self.walls, default=0.0)
        return (
            f"{len(self.waits)} bystander's answers, median {median * 1000:.1f} ms, p100 {self.worst * 1000:.1f} ms "
            f"({walls * 1000:.1f} ms with the wait for a processor)"
        )

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; returns when the answer that is awaited is there."""
        self._stop.set()
        self._thread.join(PATIENCE + 1)

    def _run(self) -> None:
        try:
            with self._connect() as connection:
                while True:
                    self._ask(connection)
                    # After the answer: the last question is one that was asked when the worst was over.
                    if self._stop.wait(PAUSE):
                        return
        except OSError as error:
            self.fault = f"the bystander got no answer: {error!r}"

    def _connect(self) -> socket.socket:
        with contextlib.suppress(OSError):  # not every system has more than one loopback address
            return socket.create_connection(self._address, PATIENCE, (SOMEBODY_ELSE, 0))
        return socket.create_connection(self._address, PATIENCE)

    def _ask(self, connection: socket.socket) -> None:
        me = threading.get_native_id()
        idle = _waited(self._pid) + _waited(me)
        started = time.perf_counter()
        connection.sendall(self._request)
        answer, size = b"", 1
        while len(answer) < size:
            data = connection.recv(65536)
            if not data:
                raise ConnectionResetError("the server hung up")
            answer += data
            # The body may come by itself, and what is left of it would be taken for the next answer.
            head, end, _ = answer.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            size = len(head) + len(end) + int(length[1] if length else 0) if end else len(answer) + 1
        wall = time.perf_counter() - started
        if not answer.startswith(b"HTTP/1.1 200"):
            raise ConnectionAbortedError(answer[:200].decode("latin-1"))
        self.walls.append(wall)
        self.waits.append(max(0.0, wall - (_waited(self._pid) + _waited(me) - idle)))


def _waited(thread: int) -> float:
    """Seconds that a thread was ready and had no processor; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{thread}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


@contextlib.asynccontextmanager
async def bystander(endpoint: str, pid: int | None = None, limit: float = LIMIT) -> AsyncIterator[Bystander]:
    """A bystander during the block.

    Args:
        endpoint: Where the server answers.
        pid: Its process; the one of the test if it runs in there, whose own work then counts, too.
        limit: Seconds an answer may take on an idle core.

    Raises:
        AssertionError: One took longer, or there was none.
    """
    beside = Bystander(endpoint, pid)
    beside.start()
    try:
        yield beside
    finally:
        # On another thread: the last answer may come from a server on this loop.
        await asyncio.to_thread(beside.stop)
    assert beside.fault is None, beside.fault
    assert beside.worst <= limit, beside.figures
