"""What a server takes from a client before it is heard, and how long it waits for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of the server itself, below every actor and every token. Sizes are bytes, durations seconds; None switches a limit off.

    The defaults are those of a server that strangers reach. A program on a virtual-time loop, where an idle client and a vanished one are
    the same, passes `VIRTUAL_TIME`.

    Attributes:
        keep_alive: How long a connection may idle between two requests.
        websocket_frame: The largest frame of a client; above the limit of a message (32 MiB), which has an answer of its own.
    """

    keep_alive: int | None = 75
    websocket_frame: int = 64 * 1024 * 1024


DEFAULT_LIMITS = ServerLimits()

VIRTUAL_TIME = ServerLimits(keep_alive=None)
"""For a loop whose time jumps to its next timer: every timer of an idle connection would become thousands of jumps."""
