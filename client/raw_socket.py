"""A raw WebSocket to an actor, as `handle.web_socket` gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from client.web_socket import Socket


class SocketClosedError(Exception):
    """The socket was closed while a message was awaited."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"socket closed (code {code}, reason {reason!r})")
        self.code = code
        self.reason = reason


class RawSocket:
    """`await send(data)`, `await recv()`, `async for message in socket`, `await close()`, `await wait_closed()`."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def send(self, data: bytes | str) -> None:
        """Send text or bytes."""
        await self._socket.send(data)

    async def recv(self) -> bytes | str:
        """The next message; raises `SocketClosedError` at the end."""
        data = await self._socket.receive()
        if data is None:
            raise SocketClosedError(self.close_code, self.close_reason) from self._socket.failure
        return data

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        while (data := await self._socket.receive()) is not None:
            yield data

    async def wait_closed(self) -> tuple[int | None, str]:
        """Read until the socket is closed; returns code and reason."""
        # What still comes is read and dropped: unread messages would keep the close frame from being seen.
        while await self._socket.receive() is not None:
            continue
        return self.close_code, self.close_reason

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close and wait for the answer; may be repeated."""
        await self._socket.close(code, reason)

    def abort(self) -> None:
        """Drop the transport without a close frame, as a lost client does."""
        self._socket.abort()

    @property
    def close_code(self) -> int | None:
        """See `Socket.close_code`."""
        return self._socket.close_code

    @property
    def close_reason(self) -> str:
        """The reason the socket was closed with."""
        return self._socket.close_reason

    @property
    def subprotocol(self) -> str | None:
        """The negotiated sub-protocol."""
        return self._socket.subprotocol

    @property
    def response_headers(self) -> Mapping[str, str]:
        """Headers of the 101 response."""
        return self._socket.response_headers
