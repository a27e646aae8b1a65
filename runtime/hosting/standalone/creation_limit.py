"""Actors created per namespace, and namespaces (WIRE-091, WIRE-121)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import clock
from runtime.errors import make_error
from runtime.gateway.generations import Generations
from runtime.gateway.rate_limits import LeakyBucket

if TYPE_CHECKING:
    from runtime.gateway.rate_limits import RateLimits

MAX_BUCKETS = 1024
"""Namespaces with a bucket of their own, among those where something was created lately."""
SHARED_BUCKETS = 64
"""Buckets that further namespaces share, each by a hash of its id."""


class CreationLimit:
    """One leaky bucket per namespace; refuses what does not fit. Constant time and bounded memory, however many namespaces there are.

    Generations change places once in the time that a full bucket takes to run empty: what nobody asked for since then is empty, and
    forgotten with its generation.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._burst = limits.creation_burst
        self._interval = limits.creation_interval
        self._buckets: Generations[LeakyBucket] = Generations((self._burst or 0) * self._interval)
        self._shared: dict[int, LeakyBucket] = {}

    def check(self, namespace_id: str) -> None:
        """Count one creation.

        Raises:
            ActorError: `actor.creation_rate_limit`.
        """
        if not self.admits(namespace_id):
            raise make_error("actor.creation_rate_limit")

    def admits(self, namespace_id: str) -> bool:
        """Count one creation if it fits."""
        return self._burst is None or self._bucket(namespace_id, self._burst).take()

    def _bucket(self, namespace_id: str, burst: int) -> LeakyBucket:
        buckets = self._buckets
        buckets.turn(clock.monotonic())
        bucket = buckets.current.get(namespace_id)
        if bucket is not None:
            return bucket
        bucket = buckets.before.pop(namespace_id, None) or LeakyBucket(burst, self._interval)
        if len(buckets.current) < MAX_BUCKETS:
            buckets.current[namespace_id] = bucket
            return bucket
        return self._shared.setdefault(hash(namespace_id) % SHARED_BUCKETS, bucket)
