"""How long to wait before the next attempt to connect."""

from __future__ import annotations

BASE = 1.0
LONGEST = 30.0
JITTER = 0.25
STABLE = 5.0
"""Seconds after an init for which a connection must hold to count as one that works."""


class Backoff:
    """Twice as long after every attempt that came to nothing (ENGINE-058).

    Two rules are stricter than the engine's own client has them: that one forgets failed attempts only after a minute and then waits for up
    to 30 seconds, so four quick restarts of the engine made it miss the threshold after which all its actors are given away.

    Args:
        base: Seconds before the second attempt.
        stable: Seconds after an init until failed attempts are forgotten.
    """

    def __init__(self, base: float = BASE, stable: float = STABLE) -> None:
        self._base = base
        self._stable = stable
        self._attempt = 0

    def ended(self, init_at: float | None, now: float) -> None:
        """A connection ended at `now`; its init came at `init_at`, if at all."""
        if init_at is not None and now - init_at >= self._stable:
            self._attempt = 0

    def next(self, lost_threshold: float | None, chance: float) -> float:
        """Seconds to wait now.

        Args:
            lost_threshold: Seconds after which actors are given away, while there are some; a quarter of it is the longest wait.
            chance: From 0 to 1, so that not all envoys come at once.
        """
        # Beyond this power it is the longest wait anyway, and floats end.
        wait = min(self._base * (1 << min(self._attempt, 16)), LONGEST)
        self._attempt += 1
        if lost_threshold is not None:
            wait = min(wait, lost_threshold / 4)
        return wait * (1 + JITTER * chance)
