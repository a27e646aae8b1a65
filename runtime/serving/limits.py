"""What a server takes from a client before it is heard, and how long it waits for it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of the server itself, below every actor and every token. Sizes are bytes, durations seconds; None switches a limit off.

    The defaults are those of a server that strangers reach. A program on a virtual-time loop, where an idle client and a vanished one are
    the same, passes `VIRTUAL_TIME`.

    Attributes:
        head: The longest head of a request: request line and headers together. Longer ones are answered 431, or 414 when it is the request
            line that is too long.
        headers: How many headers a request may have; 431 above.
        head_timeout: How long a client has to send a head, and a new connection to begin with one. 408, if one was begun.
        slow_after: How long a body may take to arrive, or an answer to be taken by its client, at any speed.
        slow_rate: How many bytes it has to be in each second beyond; a slower body is 408, a slower reader is cut.
        keep_alive: How long a connection may idle between two requests.
        connections: How many there may be at a time, sockets included; never more than three quarters of the file descriptors that the
            process may have. For a newcomer the longest idle connection is closed; when none idles, it is answered 503.
        connections_per_address: How many of them one address may have, likewise; never more than half of all.
        websocket_frame: The largest message of a client, all its frames together; above it the gateway closes with 1011 (WIRE-266).
        websocket_fragments: Fragments of one message, and of one socket in a second; above it is closed with 1008 `guard.rate_limit`.
        websocket_control_frames: Pings, pongs and closes of one socket in a second; likewise.
        websocket_unread: What may wait for one client that reads slowly, beside a single message of any size; then its socket is closed
            with 1011 `guard.websocket_pending_limit_reached`.
        websockets_unread: What may wait for all clients together; then the one that has most is cut.
        websockets_untaken: What may have arrived of all clients together: of large messages before they are whole and taken, and of
            messages that their actors have not saved yet; likewise.
        ping_interval: After how much silence of a WebSocket's client it is sent a ping.
        ping_timeout: How long it has to say anything then; after that the connection is cut, and counts as lost (WIRE-267).

    Raises:
        ValueError: A limit is not positive.
    """

    head: int | None = 128 * 1024
    headers: int | None = 256
    head_timeout: float | None = 20
    slow_after: float | None = 20
    slow_rate: int = 1024
    keep_alive: float | None = 75
    connections: int | None = 10_000
    connections_per_address: int | None = 5_000
    websocket_frame: int = 32 * 1024 * 1024
    websocket_fragments: int | None = 16_384
    websocket_control_frames: int | None = 200
    websocket_unread: int = 64 * 1024 * 1024
    websockets_unread: int = 512 * 1024 * 1024
    websockets_untaken: int = 512 * 1024 * 1024
    ping_interval: float | None = 30
    ping_timeout: float = 30

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not value > 0:
                raise ValueError(f"server limit {item.name} must be positive, got {value!r}")


DEFAULT_LIMITS = ServerLimits()

VIRTUAL_TIME = ServerLimits(
    head_timeout=None, slow_after=None, keep_alive=None, websocket_control_frames=None, websocket_fragments=None, ping_interval=None,
)  # fmt: skip
"""For a loop whose time jumps to its next timer: every timer of an idle connection would become thousands of jumps."""
