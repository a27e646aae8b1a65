"""What a client does on one connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """Bytes in the pieces in which they are written.

    Attributes:
        kind: What it is about, for figures.
        pieces: What is written, one after the other.
        opening: A WebSocket handshake that is answered before the pieces are written.
        whole: Whether it is a complete request, which has to be answered.
    """

    kind: str
    pieces: tuple[bytes, ...]
    opening: bytes = b""
    whole: bool = False
