"""Opening a WebSocket to an actor: parameters and address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from client.address import socket_address
from client.header_text import checked_tokens
from runtime.errors import make_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from client.config import ClientConfig
    from client.query import ActorQuery
    from client.transport import Transport
    from client.web_socket import Socket


class SocketOwner(Protocol):
    """What opening a socket uses of the client."""

    @property
    def config(self) -> ClientConfig:
        """Where the gateway is, and the headers of every request."""
        ...

    @property
    def transport(self) -> Transport:
        """Opens the socket."""
        ...


async def connection_params(params: Any, get_params: Callable[[], Awaitable[Any]] | None) -> Any:
    """The parameters of the next socket; the provider is asked anew for each (WIRE-910).

    Raises:
        ActorError: client.get_params_failed when the provider raises (WIRE-961).
    """
    if get_params is None:
        return params
    try:
        return await get_params()
    except Exception as error:
        raise make_error("client.get_params_failed", reason=str(error) or repr(error)) from error


async def open_socket(
    client: SocketOwner,
    query: ActorQuery,
    path: str,
    *,
    encoding: str,
    params: Any,
    skip_ready_wait: bool,
    protocols: Sequence[str] = (),
) -> Socket:
    """Open a WebSocket; `protocols` are offered after the protocol's own.

    Raises:
        ActorError: client.connection_open_failed.
        ConfigurationError: The creation input is too large for a query, or an entry of `protocols` cannot stand in a header.
        ClientDisposedError: The client was disposed.
    """
    url, offered = socket_address(query, client.config, path, encoding=encoding, params=params, skip_ready_wait=skip_ready_wait)
    return await client.transport.open(url, [*offered, *checked_tokens("a sub-protocol", protocols)], client.config.headers)
