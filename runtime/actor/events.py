"""One emitted event on its way to any number of connections: validated once, encoded once per encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.hosting.sockets import byte_size
from runtime.protocol.connection import encode_to_client
from runtime.protocol.messages import Event

if TYPE_CHECKING:
    from runtime.protocol.encodings import Encoding


class EventFrames:
    """The frames of one event, made on first use per encoding.

    Args:
        name: The event.
        args: Its payload, already validated.
        limit: The largest frame in bytes that may be sent.
    """

    __slots__ = ("_frames", "_limit", "_message")

    def __init__(self, name: str, args: list[Any], limit: int) -> None:
        self._message = Event(name, args)
        self._limit = limit
        self._frames: dict[Encoding, str | bytes | None] = {}

    def encode(self, encoding: Encoding) -> str | bytes | None:
        """The frame, or None when it is over the limit.

        Raises:
            ValueError, TypeError: The payload has a value that cannot be encoded.
        """
        if encoding in self._frames:
            return self._frames[encoding]
        frame = encode_to_client(self._message, encoding)
        allowed = self._frames[encoding] = frame if byte_size(frame) <= self._limit else None
        return allowed
