"""Requests per caller: so many per window, so many at a time (WIRE-269). Constant time and bounded memory, whoever asks.

Generations of callers change places once per window. A budget lasts for one window from its first request, so what the older generation
still holds when it is dropped has run out.
"""

from __future__ import annotations

import ipaddress
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from runtime import clock
from runtime.errors import make_error
from runtime.gateway.generations import Generations

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from runtime.gateway.rate_limits import RateLimits

MAX_CALLERS = 16_384
"""Callers with a budget of their own in one window."""
SHARED_BUDGETS = 256
"""Budgets that further callers share, each by a hash of its address: no free pass, and no stranger can use up all of them at once."""
NETWORK_BITS = 64
_AT_ANY_RATE: AbstractContextManager[None] = nullcontext()


@dataclass(slots=True)
class _Caller:
    began: float
    count: int = 0


class _InFlight:
    """One request in flight, counted within the block, or until its client is gone."""

    __slots__ = ("_caller", "_counted", "_numbers")

    def __init__(self, numbers: dict[str, int], caller: str) -> None:
        self._numbers = numbers
        self._caller = caller
        self._counted = False

    def __enter__(self) -> _InFlight:
        self._numbers[self._caller] = self._numbers.get(self._caller, 0) + 1
        self._counted = True
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> None:
        """Count it no longer."""
        if not self._counted:
            return
        self._counted = False
        left = self._numbers[self._caller] - 1
        if left:
            self._numbers[self._caller] = left
        else:
            del self._numbers[self._caller]


class RequestLimit:
    """Counts requests by client address; one /64 of IPv6 is one caller.

    Upgrades count as requests, open sockets not as in flight. An address of None is of nobody who is limited: an actor of this host, or a
    trusted proxy that asks for itself.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._callers: Generations[_Caller] = Generations(limits.request_window)
        self._shared: list[_Caller] = []
        self._running: dict[str, int] = {}

    def count(self, address: str | None, method: str, path: bytes) -> None:
        """Count one request.

        Raises:
            ActorError: `guard.rate_limit`.
        """
        limits = self._limits
        if address is None or (limits.requests is None and limits.requests_in_flight is None):
            return
        name = caller_of(address)
        crowded = limits.requests_in_flight is not None and self._running.get(name, 0) >= limits.requests_in_flight
        if not crowded:
            if limits.requests is None:
                return
            caller = self._caller(name)
            # A refused request costs nothing: who keeps asking is let in with the next window all the same.
            if caller.count < limits.requests:
                caller.count += 1
                return
        raise make_error("guard.rate_limit", method=method, path=path.decode("latin-1"), ip=address)

    def running(self, address: str | None) -> AbstractContextManager[_InFlight | None]:
        """The request is in flight within the block."""
        if address is None or self._limits.requests_in_flight is None:
            return _AT_ANY_RATE
        return _InFlight(self._running, caller_of(address))

    def _caller(self, name: str) -> _Caller:
        now = clock.monotonic()
        self._callers.turn(now)
        caller = self._callers.current.get(name)
        if caller is None:
            return self._seldom(name, now)
        return self._within(caller, now)

    def _seldom(self, name: str, now: float) -> _Caller:
        """The budget of a caller that the present generation does not know."""
        caller = self._callers.before.get(name)
        # Left where it is while its window lasts: it ends before that generation is dropped.
        if caller is not None and now - caller.began < self._limits.request_window:
            return caller
        if len(self._callers.current) < MAX_CALLERS:
            caller = self._callers.current[name] = _Caller(now)
            return caller
        if not self._shared:
            self._shared = [_Caller(now) for _ in range(SHARED_BUDGETS)]
        return self._within(self._shared[hash(name) % SHARED_BUDGETS], now)

    def _within(self, caller: _Caller, now: float) -> _Caller:
        if now - caller.began >= self._limits.request_window:
            caller.began, caller.count = now, 0
        return caller


def caller_of(address: str) -> str:
    """Who counts as one caller: an IPv4 address, or a /64 of IPv6, of which anybody can take as many addresses as there are."""
    return address if ":" not in address else _network_of(address)


# Bounded, and its entries cost less than parsing: a caller's requests come one after another.
@lru_cache(maxsize=1024)
def _network_of(address: str) -> str:
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> NETWORK_BITS << NETWORK_BITS))
