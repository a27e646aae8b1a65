"""What was met lately, without ever looking through it to find what can be forgotten.

Entries live in two generations that change places once per period: what the older one still holds when it is dropped was last put there
a period ago or more. So a look costs the same however many there are, and memory is bounded by what two periods bring.
"""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")


class Generations(Generic[V]):
    """Two dictionaries by name, of which the younger takes what is new.

    Args:
        period: Seconds until the generations change places.
    """

    __slots__ = ("_period", "_turned", "before", "current")

    def __init__(self, period: float) -> None:
        self._period = period
        self._turned = float("-inf")
        self.current: dict[str, V] = {}
        self.before: dict[str, V] = {}

    def turn(self, now: float) -> None:
        """Let the generations change places if it is time; after two silent periods the younger has run out, too."""
        since = now - self._turned
        # A clock that reads less than before is that of another loop.
        if not 0 <= since < self._period:
            self.before, self.current = (self.current if 0 <= since < 2 * self._period else {}), {}
            self._turned = now
