"""The connections of one server: how many there may be, who makes room for whom, and who took too long.

One look at all of them at a time, and only while there are some: a timer for each would be armed and cancelled with every request, which
costs more than the limits themselves.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.serving.limits import ServerLimits

FILES_FOR_OTHERS = 4
"""A quarter of the file descriptors is left to storage, databases of actors and calls of their code."""
LOOKED_AT = 16
"""How many of the oldest connections are looked at for one that idles, so that a crowd of busy ones costs a newcomer little."""
LOOKED_AT_PER_TURN = 256
LONGEST_INTERVAL = 1.0


def most_connections(limits: ServerLimits) -> int | None:
    """How many connections fit, None for any number: past the number of file descriptors `accept` would fail for everybody."""
    # Windows has no such thing, nor a limit that matters.
    if sys.platform == "win32":
        return limits.connections
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return limits.connections
    fit: int = files - files // FILES_FOR_OTHERS
    return fit if limits.connections is None else min(limits.connections, fit)


class OpenConnections(set[Any]):
    """uvicorn's set of protocols with an open connection, which knows their addresses and their order.

    Args:
        limits: What applies.
    """

    def __init__(self, limits: ServerLimits) -> None:
        super().__init__()
        self._most = most_connections(limits)
        share = None if self._most is None else max(1, self._most // 2)
        own = limits.connections_per_address
        # Nobody gets all of them, however few file descriptors there are.
        self._most_of_one = share if own is None else own if share is None else min(own, share)
        # Oldest first; the values of the inner ones mean nothing.
        self._address_of: dict[Any, str] = {}
        self._at: dict[str, dict[Any, None]] = {}
        timeouts = [limit for limit in (limits.head_timeout, limits.keep_alive, limits.slow_after) if limit is not None]
        self._interval = min(LONGEST_INTERVAL, min(timeouts) / 4) if timeouts else None
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, protocol: Any, address: str) -> bool:
        """Take in a new connection, for which an idle one may have to go; False when there is no room."""
        crowd: Iterable[Any] | None = None
        if self._most_of_one is not None and len(self._at.get(address, ())) >= self._most_of_one:
            crowd = self._at[address]
        elif self._most is not None and len(self._address_of) >= self._most:
            crowd = self._address_of
        if crowd is not None and not self._make_room(crowd):
            return False
        self.follow(protocol, address)
        if self._timer is None and self._interval is not None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._look)
        return True

    def follow(self, protocol: Any, address: str) -> None:
        """Count a connection, or the protocol that took one over."""
        self._address_of[protocol] = address
        self._at.setdefault(address, {})[protocol] = None

    def discard(self, protocol: Any) -> None:
        """A connection has ended, or its next protocol follows."""
        super().discard(protocol)
        address = self._address_of.pop(protocol, None)
        if address is not None:
            neighbours = self._at[address]
            del neighbours[protocol]
            if not neighbours:
                del self._at[address]

    def address_of(self, protocol: Any) -> str:
        """Where the client of an open connection connects from."""
        return self._address_of.get(protocol, "")

    def _make_room(self, crowd: Iterable[Any]) -> bool:
        oldest = [protocol for protocol, _ in zip(crowd, range(LOOKED_AT), strict=False)]
        for protocol in oldest:
            if getattr(protocol, "idle", False):
                self.discard(protocol)
                protocol.transport.abort()
                return True
        # The next newcomer looks at others.
        for protocol in oldest:
            address = self._address_of[protocol]
            self.discard(protocol)
            self.add(protocol)
            self.follow(protocol, address)
        return False

    def _look(self) -> None:
        self._look_at(list(self._address_of))

    def _look_at(self, rest: list[Any]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        # A few at a time: in a crowd, looking at all would hold everybody up.
        for _ in range(min(LOOKED_AT_PER_TURN, len(rest))):
            protocol = rest.pop()
            look = getattr(protocol, "look", None)
            if look is not None and protocol in self._address_of:
                look(now)
        if rest:
            self._timer = loop.call_later(0, self._look_at, rest)
        else:
            assert self._interval is not None
            self._timer = loop.call_later(self._interval, self._look) if self._address_of else None

    def stop(self) -> None:
        """Look at nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
