"""The outgoing half of a client WebSocket: an ordered queue, and the task that writes it.

The queue is bounded by bytes: `MAX_QUEUED_BYTES` may wait for a slow client; what would exceed that closes the socket with 1011
`guard.websocket_pending_limit_reached`, because events must neither block the actor nor be dropped silently.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import structlog

from runtime import clock
from runtime.actor.connections.sockets import byte_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.gateway.asgi import Message, Send

MAX_QUEUED_BYTES = 64 * 1024 * 1024
FLUSH_TIMEOUT = 30.0

log = structlog.get_logger("runtime.gateway")


class WebSocketTransport:
    """Writes one socket; `on_overflow` is called when the client reads too slowly.

    `send` and `close` never block: they are called by actor code in the middle of a turn.
    """

    def __init__(self, send: Send) -> None:
        self.on_overflow: Callable[[], None] = lambda: None
        self._send = send
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._wanted = asyncio.Event()
        self._done = asyncio.Event()
        self._closing = False
        self._deadline: asyncio.TimerHandle | None = None
        self._writer = asyncio.create_task(self._write())

    def send(self, data: str | bytes) -> None:
        """Queue one message; dropped once closing."""
        if self._closing:
            return
        size = byte_size(data)
        # One message alone may be larger than the bound: messages have a limit of their own, and an empty queue must take any of them.
        if self._queue and self._queued_bytes + size > MAX_QUEUED_BYTES:
            # What waited goes: the close frame shall be the next thing a client sees that reads again.
            self._queue.clear()
            self.on_overflow()
            return
        self._queued_bytes += size
        self._queue.append({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})
        self._wanted.set()

    def close(self, code: int, reason: str) -> None:
        """Queue the close frame; only the first call counts."""
        if not self._closing:
            self._closing = True
            self._queue.append({"type": "websocket.close", "code": code, "reason": reason})
            self._wanted.set()
            # A client that stopped reading would hold its socket for ever.
            self._deadline = clock.call_later(FLUSH_TIMEOUT, self._done.set)

    def lost(self) -> None:
        """The client is gone: nothing can be written any more."""
        self._closing = True
        self._queue.clear()
        self._done.set()

    async def finished(self) -> None:
        """Return when the close frame is out, the client is gone, or a closing client did not read for `FLUSH_TIMEOUT` seconds."""
        await self._done.wait()

    async def stop(self) -> None:
        """Cancel the writer."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)

    async def _write(self) -> None:
        queue, send, wanted = self._queue, self._send, self._wanted
        try:
            while True:
                await wanted.wait()
                wanted.clear()
                while queue:
                    message = queue.popleft()
                    await send(message)
                    if message["type"] == "websocket.close":
                        self._done.set()
                        return
                    self._queued_bytes -= byte_size(message.get("text") or message.get("bytes") or b"")
        except Exception as exc:
            # Servers report a lost client by errors of their own; why it was lost is what the reader gets to know.
            log.debug("client socket is gone", error=str(exc))
            if self._closing:
                self._done.set()
            else:
                self._closing = True
                self._deadline = clock.call_later(FLUSH_TIMEOUT, self._done.set)
