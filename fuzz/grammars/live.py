"""What is done to a live server: of each kind in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.grammars import http_request, websocket
from fuzz.source import source

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from fuzz.grammars.exchange import Exchange

KINDS: tuple[Callable[[Random], Exchange], ...] = (
    http_request.broken, http_request.call, websocket.frames, http_request.broken, websocket.messages, websocket.opening,
)  # fmt: skip


def exchange(seed: int, number: int) -> Exchange:
    """The input of a number."""
    return KINDS[number % len(KINDS)](source(seed, "live", number))
