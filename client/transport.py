"""HTTP and WebSocket transport of one client, with its observer."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx
import websockets
from websockets.asyncio.client import connect

from client.header_text import as_latin1, as_utf8, quoted_url
from client.limits import WITHOUT_PINGS
from client.network import HttpTransport
from client.observe import Exchange, Observer
from client.web_socket import Socket, WatchedConnection
from runtime.errors import ActorError, from_wire_error, make_error
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.encodings import Encoding
from runtime.protocol.http_bodies import decode_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from client.limits import Limits

USER_AGENT = "RivetKit/0.1.0 (actor-conformance)"
# A pool with a limit would let a long poll of one actor hold up the calls to all others.
UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=None)
# `/gateway/<id>@<token>/...`: an `@` further on is a part of what the actor sees.
_TOKEN_IN_PATH = re.compile(r"(?<=/gateway/)([^/@]*)@[^/]*")
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
    """Sends requests and opens sockets, within limits: of one that is given none, all but pings."""

    def __init__(self, observer: Observer | None, limits: Limits = WITHOUT_PINGS) -> None:
        self._observer = observer
        self._limits = limits
        self._closed = False
        # Between two bytes, not in all: how long the whole may take, only the actor knows.
        self._timeout = httpx.Timeout(connect=limits.connect, read=limits.response, write=limits.write, pool=None)
        self._http = HttpTransport(certificates(), UNLIMITED)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: Any = b"", within: float | None = None
    ) -> httpx.Response:
        """One request with its complete response. `within` is a limit in seconds instead of `Limits.response`.

        Raises:
            ActorError: client.timed_out when the peer connects, reads or sends nothing for as long as the limits say (WIRE-909).
            httpx.HTTPError: The transport failed.
            ClientDisposedError: The transport was closed before or meanwhile.
        """
        if self._closed:
            raise ClientDisposedError
        try:
            return await self._request(method, url, headers, content, within)
        except httpx.TimeoutException as error:
            if self._closed:
                raise ClientDisposedError from error
            raise self._timed_out(error, method, url, within) from error
        except (httpx.HTTPError, RuntimeError) as error:
            if self._closed:
                raise ClientDisposedError from error
            raise

    def _timed_out(self, error: httpx.TimeoutException, method: str, url: str, within: float | None) -> ActorError:
        # The path only, and no token in it: messages reach logs. Of the three times, the peer's silence is told by which.
        parts = urlsplit(url)
        path = _TOKEN_IN_PATH.sub(r"\1", parts.path)
        request = f"{method} {path}"
        if isinstance(error, httpx.ConnectTimeout):
            awaited, seconds = f"a connection to {parts.netloc}", self._limits.connect
        elif isinstance(error, httpx.WriteTimeout):
            awaited, seconds = f"{parts.netloc} to read {request}", self._limits.write
        else:
            awaited, seconds = f"the answer to {request}", within or self._limits.response
        return make_error("client.timed_out", awaited=awaited, seconds=seconds)

    async def _request(self, method: str, url: str, headers: Mapping[str, str], content: Any, within: float | None) -> httpx.Response:
        limits, timeout = self._limits, self._timeout
        if within is not None:
            timeout = httpx.Timeout(connect=limits.connect, read=within, write=limits.write, pool=None)
        if self._observer is None:
            return await self._http.send(method, url, as_utf8(headers), content, timeout)
        loop = asyncio.get_running_loop()
        started = loop.time()
        body = content if isinstance(content, bytes) else b""
        try:
            response = await self._http.send(method, url, as_utf8(headers), content, timeout)
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
            ActorError: client.connection_open_failed when there is no server, or it refuses or does not answer in time (WIRE-961).
            ClientDisposedError: The transport was closed.
        """
        if self._closed:
            raise ClientDisposedError
        try:
            connection = await self._connect(url, protocols, headers)
        except TimeoutError as error:
            reason = f"no answer to the handshake within {self._limits.open:g} s"
            raise make_error("client.connection_open_failed", reason=reason) from error
        except (OSError, EOFError, websockets.WebSocketException) as error:
            raise make_error("client.connection_open_failed", reason=_refusal(error)) from error
        return Socket(connection, url, tuple(protocols), self._observer, self._limits)

    async def _connect(self, url: str, protocols: Sequence[str], headers: Mapping[str, str]) -> WatchedConnection:
        target = "ws" + quoted_url(url).removeprefix("http")
        limits = self._limits
        connection = await connect(
            target,
            create_connection=WatchedConnection,
            subprotocols=[websockets.Subprotocol(item) for item in protocols],
            additional_headers=as_latin1(headers),
            user_agent_header=USER_AGENT,
            compression=None,
            max_size=limits.message_bytes,
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
            open_timeout=limits.open,
            close_timeout=limits.close,
            proxy=None,
        )
        assert isinstance(connection, WatchedConnection)
        return connection

    async def close(self) -> None:
        """Close pooled connections; later calls fail."""
        self._closed = True
        await self._http.aclose()


def _refusal(error: Exception) -> str:
    """What went wrong with a handshake; a server that refuses it with a structured error says why."""
    reason = str(error) or repr(error)
    if isinstance(error, websockets.InvalidStatus) and error.response.body:
        with contextlib.suppress(DecodeError):
            reason = f"{reason}: {decode_error(bytes(error.response.body), Encoding.JSON).message}"
    return reason


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
