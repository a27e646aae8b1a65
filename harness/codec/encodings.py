"""The three encodings (WIRE-304, WIRE-305)."""

from __future__ import annotations

from enum import StrEnum


class Encoding(StrEnum):
    """How bodies and frames are encoded; equal to its plain name."""

    JSON = "json"
    CBOR = "cbor"
    BARE = "bare"

    @property
    def content_type(self) -> str:
        """The content type of HTTP answers."""
        return "application/json" if self is Encoding.JSON else "application/octet-stream"
