"""HTTP and WebSocket transport of one client, with its observer."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import websockets
from websockets.asyncio.client import ClientConnection, connect

from client.header_text import as_latin1, as_utf8, quoted_url
from client.observe import Exchange, Observer, SocketFrame
from runtime.errors import ActorError, from_wire_error, make_error
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.encodings import Encoding
from runtime.protocol.http import decode_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

USER_AGENT = "RivetKit/0.1.0 (actor-conformance)"
# A pool with a limit would let a long poll of one actor hold up the calls to all others.
_UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=None)
_socket_numbers = itertools.count(1)
T = TypeVar("T")


@functools.cache
def certificates() -> ssl.SSLContext:
    """The trusted certificates, loaded once per process: that takes 25 ms, which every client would pay."""
    return httpx.create_ssl_context(trust_env=False)


class HttpFailureError(Exception):
    """An HTTP error whose body is not a structured error (WIRE-907), or a success that cannot be decoded.

    Attributes:
        status, ray, text: Status, ray id and body of the response.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.ray = response.headers.get("x-rivet-ray-id")
        self.text = response.text
        super().__init__(f"HTTP {response.status_code} {response.reason_phrase} (ray {self.ray}): {response.text[:500]}")


class ClientDisposedError(Exception):
    """The client was disposed."""

    def __init__(self) -> None:
        super().__init__("Attempting to use a disposed client.")


class Transport:
    """Sends requests and opens sockets; no time-outs of its own, the actor's limits decide."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self._closed = False
        self._http = httpx.AsyncClient(
            timeout=None,  # noqa: S113 - see above
            limits=_UNLIMITED,
            trust_env=False,
            follow_redirects=False,
            verify=certificates(),
        )

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], content: Any = b"") -> httpx.Response:
        """One request with its complete response.

        Raises:
            httpx.HTTPError: The transport failed.
            ClientDisposedError: The transport was closed before or meanwhile.
        """
        if self._closed:
            raise ClientDisposedError
        try:
            return await self._request(method, url, headers, content)
        except (httpx.HTTPError, RuntimeError) as error:
            if self._closed:
                raise ClientDisposedError from error
            raise

    async def _request(self, method: str, url: str, headers: Mapping[str, str], content: Any) -> httpx.Response:
        if self._observer is None:
            return await self._http.request(method, url, headers=as_utf8(headers), content=content)
        loop = asyncio.get_running_loop()
        started = loop.time()
        body = content if isinstance(content, bytes) else b""
        try:
            response = await self._http.request(method, url, headers=as_utf8(headers), content=content)
        except BaseException as error:
            self._observer.on_exchange(Exchange(method, url, headers, body, started, loop.time(), error=repr(error)))
            raise
        self._observer.on_exchange(
            Exchange(method, url, headers, body, started, loop.time(), response.status_code, dict(response.headers), response.content)
        )
        return response

    async def open(self, url: str, protocols: Sequence[str], headers: Mapping[str, str]) -> Socket:
        """Open a WebSocket.

        Raises:
            ActorError: client.connection_open_failed when there is no server or it refuses (WIRE-961).
            ClientDisposedError: The transport was closed.
        """
        if self._closed:
            raise ClientDisposedError
        try:
            connection = await self._connect(url, protocols, headers)
        except (OSError, EOFError, websockets.WebSocketException) as error:
            raise make_error("client.connection_open_failed", reason=str(error) or repr(error)) from error
        return Socket(connection, url, tuple(protocols), self._observer)

    async def _connect(self, url: str, protocols: Sequence[str], headers: Mapping[str, str]) -> ClientConnection:
        target = "ws" + quoted_url(url).removeprefix("http")
        return await connect(
            target,
            subprotocols=[websockets.Subprotocol(item) for item in protocols],
            additional_headers=as_latin1(headers),
            user_agent_header=USER_AGENT,
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=None,
            close_timeout=5,
            proxy=None,
        )

    async def close(self) -> None:
        """Close pooled connections; later calls fail."""
        self._closed = True
        await self._http.aclose()


class Socket:
    """One open WebSocket."""

    def __init__(self, connection: ClientConnection, url: str, protocols: tuple[str, ...], observer: Observer | None) -> None:
        self._connection = connection
        self._observer = observer
        self._number = next(_socket_numbers)
        self._reported = False
        if observer is not None:
            observer.on_frame(SocketFrame(self._number, "open", _now(), url=url, protocols=protocols))

    async def send(self, data: bytes | str) -> None:
        """Send one message; raises `ConnectionClosed` after the end."""
        if self._observer is not None:
            self._observer.on_frame(SocketFrame(self._number, "sent", _now(), data=data))
        await self._connection.send(data)

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
        """Close and wait for the answer."""
        with contextlib.suppress(websockets.ConnectionClosed, OSError):
            await self._connection.close(code, reason)
        self._report_close()

    @property
    def close_code(self) -> int | None:
        """The code the socket was closed with; 1006 when the transport broke, 1005 when there was none; None while open."""
        return self._connection.close_code

    @property
    def close_reason(self) -> str:
        """The reason the socket was closed with."""
        return self._connection.close_reason or ""

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


def raise_for(response: httpx.Response, encoding: Encoding) -> None:
    """Raise the structured error of a non-2xx response, or `HttpFailureError` (WIRE-837, WIRE-907)."""
    if response.is_success:
        return
    raise error_of(response, encoding) or HttpFailureError(response)


def decoded(response: httpx.Response, decode: Callable[[bytes, Encoding], T], encoding: Encoding) -> T:
    """The body of a successful response.

    Raises:
        ActorError: The structured error of a non-2xx response.
        HttpFailureError: Any other non-2xx response, or a body that cannot be decoded.
    """
    raise_for(response, encoding)
    try:
        return decode(response.content, encoding)
    except DecodeError as error:
        raise HttpFailureError(response) from error


def error_of(response: httpx.Response, encoding: Encoding) -> ActorError | None:
    """The structured error in a response body, decoded by its content type (WIRE-837)."""
    kind = response.headers.get("content-type", "")
    try:
        error = decode_error(response.content, Encoding.JSON if kind.startswith("application/json") else encoding)
    except DecodeError:
        return None
    return from_wire_error(error, response.status_code)
