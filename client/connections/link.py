"""One open socket of a connection, speaking the connection protocol."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import websockets

from runtime.errors import ActorError, make_error
from runtime.protocol.connection_frames import decode_to_client, encode_to_server

if TYPE_CHECKING:
    from client.web_socket import Socket
    from runtime.protocol.encodings import Encoding
    from runtime.protocol.messages import ToClient, ToServer


class ConnectionClosedError(Exception):
    """The socket closed for a reason that is no structured error; actions in flight are not resent."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"Connection closed (code: {code}, reason: {reason})")
        self.code = code
        self.reason = reason


class Link:
    """Sends in call order without making callers wait; receives decoded messages. A context: its end closes the socket.

    Args:
        socket: The socket.
        encoding: Of its messages.
        most: Messages that may wait to be sent; None is no bound.
    """

    def __init__(self, socket: Socket, encoding: Encoding, most: int | None = None) -> None:
        self._socket = socket
        self._encoding = encoding
        self._most = most
        # Bounded by hand: what waited for the opening goes in as a whole.
        self._outgoing: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._writer = asyncio.get_running_loop().create_task(self._write())

    async def __aenter__(self) -> Link:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Awaited, too: a task that is only cancelled would still run when the loop, or the test, ends.
        self._writer.cancel()
        await asyncio.wait({self._writer})
        await self.close()

    def send(self, message: ToServer, *, bounded: bool = True) -> None:
        """Encode and send one message; as `send_frame`."""
        self.send_frame(encode_to_server(message, self._encoding), bounded=bounded)

    def send_frame(self, frame: bytes | str, *, bounded: bool = True) -> None:
        """Send what is encoded already.

        Raises:
            ActorError: client.overloaded when `most` messages wait for a peer that takes none; `bounded=False` looks not at that.
        """
        # Pending calls do not bound it: a call that its caller gave up is no longer pending, while its message still waits here.
        if bounded and self._most is not None and self._outgoing.qsize() >= self._most:
            raise make_error("client.overloaded", pending=self._most)
        self._outgoing.put_nowait(frame)

    async def _write(self) -> None:
        # The reader sees the end as well, and it knows the reason; told twice, one of the two would be lost beside the connection.
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self._socket.send(await self._outgoing.get())

    async def receive(self) -> ToClient | None:
        """The next message, None at the end.

        Raises:
            DecodeError: The server sent something undecodable.
        """
        frame = await self._socket.receive()
        return None if frame is None else decode_to_client(frame, self._encoding)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close and wait for the answer; may be repeated."""
        await self._socket.close(code, reason)

    def abort(self) -> None:
        """Drop the socket without a close frame."""
        self._socket.abort()

    def ending(self) -> ActorError | ConnectionClosedError:
        """Why the socket closed: no answer to a ping, or `group.code[#ray]` in the reason is a structured error (WIRE-540, WIRE-957)."""
        if self._socket.failure is not None:
            return self._socket.failure
        code, reason = self._socket.close_code, self._socket.close_reason
        identity = reason.partition("#")[0]
        group, dot, name = identity.partition(".")
        # By its form only: servers put plain sentences there, too, and those are no structured errors even when they hold a dot.
        if dot and group and name and " " not in identity:
            return ActorError(group, name, f"Connection closed: {reason}", public=True)
        return ConnectionClosedError(code, reason)
