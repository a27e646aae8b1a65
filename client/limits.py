"""How long the client waits for a peer, and how much it keeps for one."""

from __future__ import annotations

from dataclasses import dataclass, fields

from client.configuration_error import ConfigurationError


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one client in seconds, if not said otherwise; None is no limit (WIRE-909). Those of actors and gateways come first.

        Client(url, limits=Limits(response=20, ping_interval=10, ping_timeout=5))

    Attributes:
        connect: Until the TCP and TLS connection of a request stands.
        write: A request or message of which the peer takes nothing.
        response: A peer that sends nothing of the answer to a request; what a queue send asks the actor to wait for comes on top. A
            gateway gives up after 300 (`guard.gateway_response_start_timeout`), so what takes longer does not come.
        metadata: The same for the lookup before the first operation, which is repeated anyway (WIRE-902).
        open: From the TCP connection of a WebSocket to the end of its handshake, and from there to `Init`. An actor that starts first has
            30, the query 15, the handshake 15, each of its hooks 5.
        close: The closing handshake of a WebSocket; then the transport is dropped.
        ping_interval: Between two pings of a WebSocket; None sends none.
        ping_timeout: Until a ping is answered; then the peer has vanished, and the socket is dropped.
        unsent: A call on a connection that is not open waits so long to be sent.
        pending: Calls of one connection, sent or not, that have no answer yet, and messages that the peer has not taken: a number.
        message_bytes: Size of a message of a WebSocket in bytes; a larger one closes it with 1009.
    """

    connect: float | None = 10.0
    write: float | None = 60.0
    response: float | None = 330.0
    metadata: float | None = 15.0
    open: float | None = 90.0
    close: float | None = 5.0
    ping_interval: float | None = 30.0
    ping_timeout: float | None = 60.0
    unsent: float | None = 300.0
    pending: int | None = 16_384
    message_bytes: int | None = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` for a limit that is not positive."""
        for field in fields(self):
            value = getattr(self, field.name)
            # Written so that NaN is refused, too: as a delay it would never end.
            if value is not None and not value > 0:
                raise ConfigurationError(f"the limit {field.name} is {value!r}: it must be positive, or None for no limit")


DEFAULT_LIMITS = Limits()
WITHOUT_PINGS = Limits(ping_interval=None)
"""For a peer in this process: it cannot vanish, and pings are what wakes an otherwise silent loop."""
