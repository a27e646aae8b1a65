"""The client's HTTP connections, on the streams of asyncio.

By itself httpcore goes through anyio and asks at every step which library it runs on, and httpx keeps cookies and prepares log-ins and
redirects for every request; together that is more than the request itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import select
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

    from httpcore import SOCKET_OPTION

# What httpx sends for a caller who does not say otherwise.
_DEFAULTS = {"accept": "*/*", "accept-encoding": "gzip, deflate", "connection": "keep-alive"}


class HttpTransport(httpx.AsyncHTTPTransport):
    """The transport of httpx on asyncio: HTTP/1.1, no proxies, nothing from the environment."""

    def __init__(self, certificates: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(verify=certificates, trust_env=False, limits=limits)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=certificates,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Network(),
        )

    async def send(self, method: str, url: str, headers: Mapping[str, Any], content: Any, timeout: httpx.Timeout) -> httpx.Response:
        """One request with its complete response. No cookies are kept, and redirects are answers like others.

        Raises:
            httpx.TransportError: It failed.
        """
        given = {name.lower() for name in headers}
        own = {name: value for name, value in _DEFAULTS.items() if name not in given}
        request = httpx.Request(method, url, headers={**own, **headers}, content=content, extensions={"timeout": timeout.as_dict()})
        response = await self.handle_async_request(request)
        response.request = request
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response


class _Network(httpcore.AsyncNetworkBackend):
    """Opens connections."""

    def __init__(self) -> None:
        # As any: without anyio, which httpx brings, httpcore has another class by that name.
        self._names: Any = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        # A name may have addresses that lead nowhere. anyio tries the others beside them; asyncio does, too, but loses sockets when the
        # caller is cancelled, and uvloop does not.
        if not _is_near(host):
            found: httpcore.AsyncNetworkStream = await self._names.connect_tcp(host, port, timeout, local_address, socket_options)
            return found
        local = None if local_address is None else (local_address, 0)
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(host, port, local_addr=local)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return _Stream(reader, writer)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _is_near(host: str) -> bool:
    """Whether there is nothing to choose from: an address, or this machine, which refuses at once."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Stream(httpcore.AsyncNetworkStream):
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except TimeoutError as error:
            self._writer.transport.abort()
            raise httpcore.ConnectTimeout(str(error)) from error
        # Errors of TLS are among these.
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return self

    async def aclose(self) -> None:
        self._writer.close()
        try:
            await asyncio.sleep(0)
        finally:
            # A peer that reads nothing would otherwise keep the connection for as long as it likes.
            self._writer.transport.abort()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # Of an idle connection: whether the server has closed it. Asked of the system, too, as the loop may not have come to it yet.
            return self._reader.at_eof() or self._writer.is_closing() or _readable(self._writer.get_extra_info("socket").fileno())
        return self._writer.get_extra_info({"client_addr": "sockname", "server_addr": "peername"}.get(info, info))


def _readable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
