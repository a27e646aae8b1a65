"""How much one caller may ask for: created actors, requests, messages on a socket (WIRE-091, WIRE-268, WIRE-269)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from runtime import clock
from runtime.errors import make_error

if TYPE_CHECKING:
    from collections.abc import Iterator

SWEEP_ABOVE = 1024
"""How many addresses are remembered before those that fell silent are dropped."""


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


class CreationLimit:
    """Actors created per namespace (WIRE-091)."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._buckets: dict[str, LeakyBucket] = {}

    def check(self, namespace_id: str) -> None:
        """Count one creation.

        Raises:
            ActorError: `actor.creation_rate_limit`.
        """
        burst = self._limits.creation_burst
        if burst is None:
            return
        bucket = self._buckets.get(namespace_id)
        if bucket is None:
            bucket = self._buckets[namespace_id] = LeakyBucket(burst, self._limits.creation_interval)
        if not bucket.take():
            raise make_error("actor.creation_rate_limit")


@dataclass(slots=True)
class _Caller:
    began: float
    count: int = 0
    in_flight: int = field(default=0)


class RequestLimit:
    """Requests per client address: so many per window, so many at a time (WIRE-269).

    Upgrades count as requests, open sockets not as in flight.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._callers: dict[str, _Caller] = {}

    def count(self, address: str, method: str, path: bytes) -> None:
        """Count one request.

        Raises:
            ActorError: `guard.rate_limit`.
        """
        limits = self._limits
        if limits.requests is None and limits.requests_in_flight is None:
            return
        caller = self._caller(address)
        crowded = limits.requests_in_flight is not None and caller.in_flight >= limits.requests_in_flight
        if crowded or (limits.requests is not None and caller.count >= limits.requests):
            raise make_error("guard.rate_limit", method=method, path=path.decode("latin-1"), ip=address)
        # A refused request costs nothing: who keeps asking is let in with the next window all the same.
        caller.count += 1

    @contextmanager
    def running(self, address: str) -> Iterator[None]:
        """The request is in flight within the block."""
        if self._limits.requests_in_flight is None:
            yield
            return
        caller = self._caller(address)
        caller.in_flight += 1
        try:
            yield
        finally:
            caller.in_flight -= 1

    def _caller(self, address: str) -> _Caller:
        now = clock.monotonic()
        caller = self._callers.get(address)
        if caller is None:
            if len(self._callers) >= SWEEP_ABOVE:
                self._sweep(now)
            caller = self._callers[address] = _Caller(now)
        elif now - caller.began >= self._limits.request_window:
            caller.began, caller.count = now, 0
        return caller

    def _sweep(self, now: float) -> None:
        window = self._limits.request_window
        # No address within its window is forgotten: that would be a fresh budget.
        self._callers = {
            address: caller for address, caller in self._callers.items() if caller.in_flight or now - caller.began < window
        }  # fmt: skip
