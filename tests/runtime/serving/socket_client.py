"""A WebSocket client that keeps no rule: bytes on a real TCP connection, and what comes back as frames."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: rivet\r\n\r\n"
)
PATIENCE = 5.0


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, first: int | None = None) -> bytes:
    """A frame of a client; `first` replaces its first byte."""
    head = bytes([(0x80 if fin else 0) | opcode if first is None else first])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 0x10000:
        head += b"\xfe" + struct.pack("!H", size)
    else:
        head += b"\xff" + struct.pack("!Q", size)
    mask = os.urandom(4)
    stream = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return head + mask + mixed.to_bytes(size, "big")


async def lifespan(receive: Any, send: Any) -> None:
    """What an application that neither begins nor ends anything says of both."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


class RawClient:
    """One connection, its handshake done."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, path: str = "/", *, receive_buffer: int | None = None) -> Self:
        """Connect and upgrade."""
        connection = socket.socket()
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        client = cls(*await asyncio.open_connection(sock=connection, limit=2**16))
        client.writer.write(HANDSHAKE.format(path=path).encode())
        async with asyncio.timeout(PATIENCE):
            head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return client

    async def send(self, data: bytes) -> None:
        """Send bytes, however long the server takes them."""
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                await self.writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its opcode and payload."""
        async with asyncio.timeout(PATIENCE):
            first, size = await self.reader.readexactly(2)
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            return first & 15, await self.reader.readexactly(size)

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close frame, whatever comes before it; then the connection has to end."""
        while True:
            opcode, payload = await self.frame()
            if opcode == 8:
                break
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    async def ended(self) -> None:
        """Return when the server has ended the connection."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(2**16):
                    pass

    def reset(self) -> None:
        """RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.transport.abort()


class Recorder:
    """An application that accepts, and notes what it is told; `taking` can be cleared to take nothing for a while."""

    def __init__(self, *, echo: bool = False) -> None:
        self.events: list[dict[str, Any]] = []
        self.taking = asyncio.Event()
        self.taking.set()
        self.ended = asyncio.Event()
        self.send: Any = None
        self.extensions: dict[str, Any] = {}
        self._echo = echo

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await receive()
        self.extensions = scope["extensions"]
        await send({"type": "websocket.accept", "subprotocol": "rivet"})
        self.send = send
        try:
            while True:
                await self.taking.wait()
                event = await receive()
                self.events.append(event)
                if event["type"] == "websocket.oversized":
                    await send({"type": "websocket.close", "code": 1011, "reason": "too long"})
                elif event["type"] == "websocket.disconnect":
                    return
                elif self._echo:
                    await send({"type": "websocket.send", **{key: event[key] for key in ("text", "bytes") if key in event}})
        finally:
            self.ended.set()

    async def end(self) -> tuple[int, str]:
        """Code and reason that the application was told."""
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()
        (end,) = [event for event in self.events if event["type"] == "websocket.disconnect"]
        return end["code"], end["reason"]

    @property
    def messages(self) -> list[str | bytes]:
        """What it got."""
        return [event.get("text", event.get("bytes")) for event in self.events if event["type"] == "websocket.receive"]


@contextlib.asynccontextmanager
async def longest_turn() -> AsyncIterator[list[float]]:
    """CPU seconds of the longest turns of the loop during the block, by a callback that is due in each."""
    import time

    loop = asyncio.get_running_loop()
    turns = [0.0]
    running = True
    last = time.process_time()

    def tick() -> None:
        nonlocal last
        now = time.process_time()
        turns.append(now - last)
        last = now
        if running:
            loop.call_soon(tick)

    loop.call_soon(tick)
    try:
        yield turns
    finally:
        running = False
