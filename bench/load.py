"""Load generators on bare asyncio protocols: a client library would be slower than the servers it measures."""

from __future__ import annotations

import asyncio
import os
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

SWITCHING = b"HTTP/1.1 101"


class Hammer(asyncio.Protocol):
    """Keeps one request in flight on one connection; `completed` counts answers."""

    def __init__(
        self, request: bytes, complete: Callable[[bytes], int], expected: bytes, opening: bytes = b"", greeting: bool = False
    ) -> None:
        """Take the bytes to send.

        Args:
            request: What is sent again and again.
            complete: Gives the length of the first whole answer in a buffer, 0 while there is none.
            expected: What every first answer must contain, so that errors are not counted as answers.
            opening: The upgrade request of a WebSocket.
            greeting: Whether the server sends a frame of its own before it takes requests.
        """
        self.completed = 0
        self._expected = expected
        self._greeting = greeting
        self.fault: str | None = None
        self._request = request
        self._complete = complete
        self._opening = opening
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._opening or self._request)

    def data_received(self, data: bytes) -> None:
        """Count a complete answer and send the next request."""
        self._buffer += data
        if self._opening:
            if b"\r\n\r\n" not in self._buffer:
                return
            if not self._buffer.startswith(SWITCHING):
                self._fail(self._buffer)
                return
            self._buffer = self._buffer.partition(b"\r\n\r\n")[2]
            self._opening = b""
            if not self._greeting:
                self.transport.write(self._request)
        while size := self._complete(self._buffer):
            answer, self._buffer = self._buffer[:size], self._buffer[size:]
            if self._greeting:
                self._greeting = False
            elif self._expected not in answer:
                self._fail(answer)
                return
            else:
                self.completed += 1
            self.transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        """A server under load must not hang up."""
        self.fault = self.fault or f"connection lost: {error}"

    def _fail(self, answer: bytes) -> None:
        self.fault = answer[:300].decode("latin-1")
        self.transport.abort()


def http_answer(buffer: bytes) -> int:
    """The length of the first complete 200 response in the buffer."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if not buffer.startswith(b"HTTP/1.1 200"):
        raise ValueError(buffer[:300].decode("latin-1"))
    head = buffer[:end].lower()
    at = head.index(b"content-length:") + 15
    size = end + 4 + int(head[at : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None])
    return size if len(buffer) >= size else 0


def frame_answer(buffer: bytes) -> int:
    """The length of the first complete, unmasked WebSocket frame in the buffer."""
    if len(buffer) < 2:
        return 0
    if buffer[0] & 0x0F == 8:
        raise ValueError(f"closed: {buffer[2:]!r}")
    size, head = buffer[1] & 0x7F, 2
    if size == 126:
        if len(buffer) < 4:
            return 0
        size, head = struct.unpack("!H", buffer[2:4])[0], 4
    return head + size if len(buffer) >= head + size else 0


def http_request(url: str, path: str, body: bytes, method: str = "POST", headers: str = "") -> bytes:
    """One HTTP request as bytes."""
    host = urlsplit(url).netloc
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def upgrade_request(url: str, path: str) -> bytes:
    """The opening handshake of a JSON connection."""
    host = urlsplit(url).netloc
    return (
        f"GET {path} HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: rivet, rivet_encoding.json\r\n\r\n"
    ).encode()


def text_frame(payload: bytes) -> bytes:
    """One masked text frame."""
    mask = os.urandom(4)
    size = struct.pack("!B", 0x80 | len(payload)) if len(payload) < 126 else struct.pack("!BH", 0xFE, len(payload))
    return b"\x81" + size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def hammer(url: str, connections: int, seconds: float, make: Callable[[], Hammer]) -> float:
    """Answers per second over `seconds`, after a quarter of that time to warm up.

    Raises:
        RuntimeError: A connection failed.
    """
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    hammers = []
    for _ in range(connections):
        _, protocol = await loop.create_connection(make, parts.hostname or "", parts.port or 80)
        hammers.append(protocol)
    await asyncio.sleep(seconds / 4)
    before, started = sum(one.completed for one in hammers), loop.time()
    await asyncio.sleep(seconds)
    rate = (sum(one.completed for one in hammers) - before) / (loop.time() - started)
    faults = [one.fault for one in hammers if one.fault]
    for one in hammers:
        one.transport.abort()
    await asyncio.sleep(0)
    if faults:
        raise RuntimeError(f"{len(faults)} of {connections} connections failed: {faults[0]}")
    return rate
