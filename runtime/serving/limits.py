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
        keep_alive: How long a connection may idle between two requests.
        websocket_frame: The largest message of a client, all its frames together; above it the gateway closes with 1011 (WIRE-266).
        websocket_fragments: Fragments of one message, and of one socket in a second; above it is closed with 1008 `guard.rate_limit`.
        websocket_control_frames: Pings, pongs and closes of one socket in a second; likewise.
        ping_interval: After how much silence of a WebSocket's client it is sent a ping.
        ping_timeout: How long it has to say anything then; after that the connection is cut, and counts as lost (WIRE-267).

    Raises:
        ValueError: A limit is not positive.
    """

    head: int | None = 128 * 1024
    headers: int | None = 256
    keep_alive: int | None = 75
    websocket_frame: int = 32 * 1024 * 1024
    websocket_fragments: int | None = 16_384
    websocket_control_frames: int | None = 200
    ping_interval: float | None = 30
    ping_timeout: float = 30

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not value > 0:
                raise ValueError(f"server limit {item.name} must be positive, got {value!r}")


DEFAULT_LIMITS = ServerLimits()

VIRTUAL_TIME = ServerLimits(keep_alive=None, websocket_control_frames=None, websocket_fragments=None, ping_interval=None)
"""For a loop whose time jumps to its next timer: every timer of an idle connection would become thousands of jumps."""
