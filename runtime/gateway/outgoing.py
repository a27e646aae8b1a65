"""The outgoing half of a client WebSocket: straight to the server while the client reads, else an ordered queue and a task that writes it.

What waits is bounded in bytes (`runtime.gateway.room`); what would exceed that closes the socket with 1011
`guard.websocket_pending_limit_reached`, because events must neither block the actor nor be dropped silently.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import structlog

from runtime import clock
from runtime.actor.connections.sockets import byte_size
from runtime.gateway.close_reasons import sendable_reason
from runtime.gateway.room import DEFAULT_ROOM, Backlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.gateway.asgi import Message, Send
    from runtime.gateway.room import DirectWire

FLUSH_TIMEOUT = 30.0

log = structlog.get_logger("runtime.gateway")


class WebSocketTransport:
    """Writes one socket; `on_overflow` is called when the client reads too slowly.

    `send` and `close` never block: they are called by actor code in the middle of a turn.

    Args:
        send: The server's.
        wire: A shorter way, where the server has one.
    """

    def __init__(self, send: Send, wire: DirectWire | None = None) -> None:
        self.on_overflow: Callable[[], None] = lambda: None
        self._send = send
        self._write_now = None if wire is None else wire.write
        self._backlog = Backlog(DEFAULT_ROOM) if wire is None else wire.backlog
        self._backlog.on_overflow = self._overflow
        # Each message with its size; the one being written stays in front until it is.
        self._queue: deque[tuple[Message, int]] = deque()
        self._done = asyncio.Event()
        self._closing = False
        self._deadline: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None

    def send(self, data: str | bytes) -> None:
        """Send one message, at once if nothing waits; dropped once closing."""
        if self._closing:
            return
        if not self._queue and self._write_now is not None and self._write_now(data):
            return
        size = byte_size(data)
        if not self._backlog.has_room(size):
            self._overflow()
            return
        self._put({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data}, size)
        self._backlog.add(size)

    def close(self, code: int, reason: str) -> None:
        """Queue the close frame; only the first call counts. A reason that no frame can hold is cut, and its lone surrogates replaced."""
        if not self._closing:
            self._closing = True
            self._put({"type": "websocket.close", "code": code, "reason": sendable_reason(reason)}, 0)
            # A client that stopped reading would hold its socket for ever.
            self._deadline = clock.call_later(FLUSH_TIMEOUT, self._done.set)

    def lost(self) -> None:
        """The client is gone: nothing can be written any more."""
        self._closing = True
        self._clear()
        self._done.set()

    async def finished(self) -> None:
        """Return when the close frame is out, the client is gone, or a closing client did not read for `FLUSH_TIMEOUT` seconds."""
        await self._done.wait()

    async def stop(self) -> None:
        """Cancel the writer."""
        self._clear()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    def _put(self, message: Message, size: int) -> None:
        self._queue.append((message, size))
        # A task that ends with the queue: most sockets never need one.
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    def _overflow(self) -> None:
        # What waited goes: the close frame shall be the next thing a client sees that reads again.
        self._clear()
        if self._closing:
            self._done.set()
        else:
            self.on_overflow()

    def _clear(self) -> None:
        for _, size in self._queue:
            self._backlog.remove(size)
        self._queue.clear()

    async def _write(self) -> None:
        queue, send = self._queue, self._send
        try:
            while queue:
                message, size = item = queue[0]
                await send(message)
                if message["type"] == "websocket.close":
                    self._done.set()
                    return
                # An overflow may have emptied the queue meanwhile, and the close frame may be in front.
                if queue and queue[0] is item:
                    queue.popleft()
                    self._backlog.remove(size)
        except Exception as exc:
            # Servers report a lost client by errors of their own; why it was lost is what the reader gets to know.
            log.debug("client socket is gone", error=str(exc))
            if self._closing:
                self._done.set()
            else:
                self._closing = True
                self._deadline = clock.call_later(FLUSH_TIMEOUT, self._done.set)
