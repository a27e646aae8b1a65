"""One open WebSocket, and the pings that find out whether its peer is still there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

import websockets
from websockets.asyncio.client import ClientConnection

from client.observe import Observer, SocketFrame
from runtime.errors import ActorError, make_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client.limits import Limits

_socket_numbers = itertools.count(1)


class WatchedConnection(ClientConnection):
    """Drops a peer that answers no ping. `silent` tells that it was dropped for that."""

    silent = False

    # Instead of the library's, which waits without limit for a peer that reads nothing to take the ping itself, and which drops a peer
    # whose answers this program does not read. The library starts it when the socket is open, and cancels it at the end.
    async def keepalive(self) -> None:
        """Ping at regular intervals."""
        assert self.ping_interval is not None
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await asyncio.sleep(self.ping_interval)
                waiting = self.transport.get_write_buffer_size()
                try:
                    async with asyncio.timeout(self.ping_timeout):
                        await (await self.ping())
                except TimeoutError:
                    # Reading is paused while nobody takes the messages that came: the pong waits behind them. And a peer that took some
                    # of a long message is slow, not gone.
                    if not self.transport.is_reading() or self.transport.get_write_buffer_size() < waiting:
                        continue
                    self.silent = True
                    self.transport.abort()
                    return


class Socket:
    """One open WebSocket."""

    def __init__(
        self, connection: WatchedConnection, url: str, protocols: tuple[str, ...], observer: Observer | None, limits: Limits
    ) -> None:
        self._connection = connection
        self._observer = observer
        self._limits = limits
        self._number = next(_socket_numbers)
        self._reported = False
        if observer is not None:
            observer.on_frame(SocketFrame(self._number, "open", _now(), url=url, protocols=protocols))

    async def send(self, data: bytes | str) -> None:
        """Send one message; raises `ConnectionClosed` after the end."""
        if self._observer is not None:
            self._observer.on_frame(SocketFrame(self._number, "sent", _now(), data=data))
        await self._connection.send(data)
        # Dropped while it waited for its turn, it would seem to have been sent.
        if self._connection.silent:
            raise websockets.ConnectionClosedError(None, None)

    async def receive(self) -> bytes | str | None:
        """The next message, None when the socket is closed."""
        try:
            data = await self._connection.recv()
        except websockets.ConnectionClosed:
            self._report_close()
            return None
        if self._observer is not None:
            self._observer.on_frame(SocketFrame(self._number, "received", _now(), data=data))
        return data

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close and wait for the answer, at most `Limits.close` seconds."""
        try:
            # Around all of it: the library's own limit begins only when the close frame has left, which a peer that does not read prevents.
            async with asyncio.timeout(self._limits.close):
                with contextlib.suppress(websockets.ConnectionClosed, OSError):
                    await self._connection.close(code, reason)
        except TimeoutError:
            self.abort()
            await self._connection.wait_closed()
        self._report_close()

    @property
    def failure(self) -> ActorError | None:
        """client.timed_out when the socket was dropped because its peer answered no ping."""
        if not self._connection.silent:
            return None
        return make_error("client.timed_out", awaited="the answer to a ping", seconds=self._limits.ping_timeout)

    @property
    def close_code(self) -> int | None:
        """The code the socket was closed with; 1006 when the transport broke, 1005 when there was none; None while open."""
        return self._connection.close_code

    @property
    def close_reason(self) -> str:
        """The reason the socket was closed with; `client.timed_out` when its peer answered no ping."""
        return "client.timed_out" if self._connection.silent else self._connection.close_reason or ""

    @property
    def subprotocol(self) -> str | None:
        """The negotiated sub-protocol."""
        return self._connection.subprotocol

    @property
    def response_headers(self) -> Mapping[str, str]:
        """Headers of the 101 response."""
        response = self._connection.response
        return dict(response.headers.raw_items()) if response is not None else {}

    def abort(self) -> None:
        """Drop the transport without a close frame."""
        self._connection.transport.abort()

    def _report_close(self) -> None:
        if self._observer is not None and not self._reported:
            self._reported = True
            self._observer.on_frame(SocketFrame(self._number, "closed", _now(), code=self.close_code, reason=self.close_reason))


def _now() -> float:
    return asyncio.get_running_loop().time()
