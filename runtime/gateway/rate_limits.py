"""How much one caller may ask for: created actors, requests, messages on a socket (WIRE-091, WIRE-268, WIRE-269)."""

from __future__ import annotations

from dataclasses import dataclass, fields

from runtime import clock


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What one caller may ask for; None switches a limit off. Intervals and windows are seconds (WIRE-091, WIRE-268, WIRE-269).

    Creations (per namespace) and messages (per socket) fill a leaky bucket: so many at once, then one per interval. Messages beyond it
    wait, creations and requests (per client address) are refused.

    Raises:
        ValueError: A limit is not positive.
    """

    creation_burst: int | None = 500
    creation_interval: float = 0.01
    message_burst: int | None = 2000
    message_interval: float = 0.01
    requests: int | None = 10_000
    request_window: float = 60.0
    requests_in_flight: int | None = 2000

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not value > 0:
                raise ValueError(f"rate limit {item.name} must be positive, got {value!r}")


NO_RATE_LIMITS = RateLimits(creation_burst=None, message_burst=None, requests=None, requests_in_flight=None)
"""For programs with trusted callers only, load generators for example."""


class LeakyBucket:
    """Room for `burst` units, of which one leaks out every `interval` seconds."""

    __slots__ = ("_burst", "_filled", "_interval", "_leaked_at")

    def __init__(self, burst: int, interval: float) -> None:
        self._burst = burst
        self._interval = interval
        self._filled = 0.0
        self._leaked_at = clock.monotonic()

    # Asking and filling are two steps: the reader of a socket waits in between.
    def delay(self) -> float:
        """Seconds until one more unit fits, 0 when it does now."""
        now = clock.monotonic()
        self._filled = max(0.0, self._filled - (now - self._leaked_at) / self._interval)
        self._leaked_at = now
        # The tolerance makes a unit fit after exactly the delay, whatever the fractions add up to.
        excess = self._filled + 1 - self._burst
        return excess * self._interval if excess > 1e-6 else 0.0

    def add(self) -> None:
        """Put one unit in."""
        self._filled += 1

    def take(self) -> bool:
        """Put one unit in if it fits."""
        if self.delay() > 0:
            return False
        self.add()
        return True
