"""How long a client has been at what it does: what a look at its connection compares with the one before."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.serving.limits import ServerLimits


class Doing(Enum):
    """What the server waits for."""

    CONNECTED = auto()
    """The first request."""
    IDLE = auto()
    """The next one."""
    HEAD = auto()
    """The rest of a head."""
    BODY = auto()
    """The rest of a body."""
    TAKING = auto()
    """That the client takes what was sent."""
    NOTHING = auto()
    """Nothing of the client's: the application is at work."""


class Progress:
    """What one connection does, since when, and how far it was then."""

    __slots__ = ("_doing", "_of", "_since", "_start")

    def __init__(self) -> None:
        self._doing = Doing.NOTHING
        self._of: object = None
        self._since = 0.0
        self._start = 0

    def too_slow(self, doing: Doing, of: object, done: int, now: float, limits: ServerLimits) -> bool:
        """Whether a client has had its time.

        Args:
            doing: What it does at this moment.
            of: The request that is about, so that two short ones are not taken for one long one.
            done: How many bytes of it are through, counted from anywhere.
            now: The loop's time in seconds.
            limits: How long what may take.
        """
        if doing is not self._doing or of is not self._of or done < self._start:
            self._doing, self._of, self._since, self._start = doing, of, now, done
            return False
        took = now - self._since
        if doing is Doing.IDLE:
            return limits.keep_alive is not None and took > limits.keep_alive
        if doing in (Doing.CONNECTED, Doing.HEAD):
            return limits.head_timeout is not None and took > limits.head_timeout
        if doing is Doing.NOTHING or limits.slow_after is None or took <= limits.slow_after:
            return False
        return done - self._start < limits.slow_rate * (took - limits.slow_after)
