"""A TCP relay that can be cut: what stands between a process of ours and its engine."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Relay:
    """Passes bytes on between its port and another one. A cut is silent, as that of a cable is: no connection is told."""

    def __init__(self, *ports: int) -> None:
        """Each connection goes to another one of the ports of this machine, or to the next that takes it."""
        self._targets = deque(ports)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Pass on nothing any more."""
        self._open.clear()

    def mend(self) -> None:
        """Pass on what was sent meanwhile, and what follows."""
        self._open.set()

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        """Drop every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await self._open.wait()
        with suppress(OSError):
            there, thence = await self._connect()
            try:
                # Until either side ends: half of a connection is of no use to a WebSocket.
                halves = [asyncio.ensure_future(one) for one in (self._pass_on(reader, thence), self._pass_on(there, writer))]
                await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
                for half in halves:
                    half.cancel()
                await asyncio.gather(*halves, return_exceptions=True)
            finally:
                thence.close()
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for last in range(len(self._targets), 0, -1):
            self._targets.rotate(1)
            try:
                return await asyncio.open_connection("127.0.0.1", self._targets[0])
            except OSError:
                if last == 1:
                    raise
        raise AssertionError

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[Relay]:
    """A relay to a port of this machine, closed at the end of the block."""
    made = Relay(port)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
