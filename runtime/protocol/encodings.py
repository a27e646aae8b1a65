"""The three encodings of bodies and frames (WIRE-304, WIRE-305)."""

from __future__ import annotations

from enum import StrEnum


class Encoding(StrEnum):
    """How bodies and frames are encoded."""

    JSON = "json"
    CBOR = "cbor"
    BARE = "bare"

    @property
    def content_type(self) -> str:
        """The content type of HTTP responses."""
        return "application/json" if self is Encoding.JSON else "application/octet-stream"

    @classmethod
    def parse(cls, header: str | None) -> Encoding:
        """The encoding a header names; absent or unknown means json (WIRE-304)."""
        return _BY_NAME.get(header or "", cls.JSON)


_BY_NAME = {str(encoding): encoding for encoding in Encoding}
