"""One connection: frames between a WebSocket and the conversation."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from runtime.hosting.engine.link.boottime import boottime
from runtime.hosting.engine.link.handshake import Address, Farewell

if TYPE_CHECKING:
    from runtime.hosting.engine.link.conversation import Conversation

WRITE_LIMIT = 1024 * 1024
"""Bytes that are on their way before a pong."""
CLOSE_TIMEOUT = 2.0


class Session:
    """One connection, from the handshake to its end.

    Args:
        socket: The open WebSocket.
        conversation: What is said over it.
    """

    def __init__(self, socket: ClientConnection, conversation: Conversation) -> None:
        self._socket = socket
        self._conversation = conversation
        self._output = asyncio.Event()
        self._cut: str | None = None
        self._written = asyncio.Event()

    @classmethod
    async def open(cls, address: Address, conversation: Conversation, timeout: float) -> Session:
        """Connect within `timeout` seconds.

        Raises:
            OSError, WebSocketException: It was not possible.
        """
        socket = await connect(
            address.uri,
            subprotocols=[Subprotocol(one) for one in address.protocols],
            # The largest answer that was seen had 50 MB (ENGINE-036), and pings are of this protocol's own kind (ENGINE-037).
            max_size=None,
            ping_interval=None,
            compression=None,
            open_timeout=timeout,
            close_timeout=CLOSE_TIMEOUT,
            write_limit=WRITE_LIMIT,
            proxy=None,
        )
        return cls(socket, conversation)

    async def drained(self) -> None:
        """Wait until everything that is queued was written."""
        while not (self._conversation.idle and self._written.is_set()):
            self._written.clear()
            self._output.set()
            await self._written.wait()

    async def run(self) -> Farewell:
        """Carry frames until the connection ends; how it did."""
        self._conversation.on_output = self._output.set
        self._conversation.connected(boottime())
        writer = asyncio.get_running_loop().create_task(self._write())
        try:
            await self._read()
        except ConnectionClosed:
            pass
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            # When it ended by a fault of ours, the other side does not know yet.
            self._socket.transport.abort()
            await self._socket.wait_closed()
        if self._cut is not None:
            return Farewell(None, self._cut)
        return Farewell(self._socket.close_code, self._socket.close_reason or "")

    def cut(self, reason: str) -> None:
        """End it without a word: the other side does not answer."""
        self._cut = reason
        self._socket.transport.abort()

    async def close(self) -> None:
        """Say goodbye."""
        with contextlib.suppress(OSError, WebSocketException):
            await self._socket.close(1000, "envoy.shutdown")

    async def _read(self) -> None:
        # Texts are no messages (ENGINE-035).
        async for frame in self._socket:
            now = boottime()
            # After a pause of this process: requests in the socket's buffer are for generations that live elsewhere by now.
            if self._conversation.silent(now):
                self.cut("no ping for too long")
                return
            if isinstance(frame, bytes):
                self._conversation.receive(frame, now)

    async def _write(self) -> None:
        while True:
            while (frame := self._conversation.next_frame()) is not None:
                await self._socket.send(frame)
            self._written.set()
            self._output.clear()
            await self._output.wait()
