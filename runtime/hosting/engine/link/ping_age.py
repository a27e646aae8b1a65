"""When the engine was last known to be there."""

from __future__ import annotations


class PingAge:
    """Judges pings by when they were sent, not by when they were read (ENGINE-231).

    A process that was stopped for seconds finds old pings in its socket. The quickest ping of a connection tells how the engine's clock
    stands to ours; what another one took longer is its age. A pause of 7 seconds left three of them.

    Args:
        now: Seconds on a clock that runs on while the machine is suspended; that of the connection's beginning.
    """

    def __init__(self, now: float) -> None:
        self._quickest: float | None = None
        self.alive_at = now

    def heard(self, ts: int, now: float) -> float:
        """A ping that the engine sent at `ts` (milliseconds on its clock) was read; its age in seconds."""
        apart = now - ts / 1000
        if self._quickest is None or apart < self._quickest:
            self._quickest = apart
        age = apart - self._quickest
        self.alive_at = max(self.alive_at, now - age)
        return age
