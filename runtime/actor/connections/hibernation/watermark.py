"""Which client messages of one hibernatable socket are settled, as one contiguous 16-bit watermark (HIB-031, HIB-033)."""

from __future__ import annotations

from enum import Enum

FORCED_ACK_BYTES = 500_000
_HALF = 0x8000


class Arrival(Enum):
    """What the receiver rule says about a message."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    GAP = "gap"


class Watermark:
    """The highest index W such that every message up to W is settled; it never decreases.

    All indexes are wrapping 16-bit numbers, because that is what sockets and stored records speak.

    Attributes:
        last: The highest index accepted.
        value: W itself.
        unacknowledged: Payload bytes that W passed since `acknowledged` was last called.
    """

    __slots__ = ("_ahead", "last", "unacknowledged", "value")

    def __init__(self, value: int = 0) -> None:
        self.last = value
        self.value = value
        self.unacknowledged = 0
        # Actions overlap and end in any order; only what has no gap before it may be acknowledged (HIB-033).
        self._ahead: dict[int, int] = {}

    def accept(self, index: int) -> Arrival:
        """Apply the receiver rule to the next message from the socket."""
        step = (index - self.last) & 0xFFFF
        if step == 1:
            self.last = index
            return Arrival.ACCEPTED
        # The shorter way round tells old from new: numbers wrap after 65,535 messages (HIB-030).
        return Arrival.DUPLICATE if step == 0 or step >= _HALF else Arrival.GAP

    def settle(self, index: int, size: int) -> bool:
        """Mark one accepted message of `size` bytes as settled; True when W moved."""
        following = (self.value + 1) & 0xFFFF
        if index != following:
            self._ahead[index] = size
            return False
        while True:
            self.value = following
            self.unacknowledged += size
            following = (following + 1) & 0xFFFF
            # The first test is for speed: on a quiet connection nothing is ever ahead.
            if not self._ahead or following not in self._ahead:
                return True
            size = self._ahead.pop(following)

    def acknowledged(self, size: int) -> None:
        """An acknowledgement that covers `size` bytes went out."""
        self.unacknowledged -= size
