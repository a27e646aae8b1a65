"""Watching the wire: an observer is told of every HTTP exchange and WebSocket frame of a client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request with its response. `started` and `ended` are loop times in seconds; `status` is None when none came."""

    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: bytes
    started: float
    ended: float
    status: int | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: bytes = b""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SocketFrame:
    """One WebSocket event: `open`, `sent`, `received` or `closed`. `at` is loop time in seconds."""

    socket: int
    kind: Literal["open", "sent", "received", "closed"]
    at: float
    url: str = ""
    protocols: tuple[str, ...] = ()
    data: bytes | str = b""
    code: int | None = None
    reason: str = ""


# Told synchronously, inside the request: an observer that is told later would see frames in another order than the wire had.
class Observer(Protocol):
    """Gets everything that goes over the wire; must not raise or block."""

    def on_exchange(self, exchange: Exchange) -> None:
        """One HTTP exchange has ended."""

    def on_frame(self, frame: SocketFrame) -> None:
        """Something happened on a WebSocket."""
