"""How long a loop is held: what its thread did between two beats of a pulse.

In the process that is measured and nowhere else; on any event loop, since nothing of it is looked into.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from dataclasses import asdict, dataclass

BEAT = 0.001
"""Seconds between beats: a hold is seen with at most so much of other work."""
KEPT = 40


@dataclass(frozen=True, slots=True, order=True)
class Hold:
    """CPU seconds of the loop's thread between two beats, and the moments of both (seconds of the machine's monotonic clock)."""

    cpu: float
    since: float
    until: float


class Pulse:
    """Beats on the running loop; `holds` are the longest ones."""

    def __init__(self) -> None:
        self.holds: list[Hold] = []

    async def run(self) -> None:
        """Beat until cancelled."""
        cpu, moment = time.thread_time(), time.monotonic()
        while True:
            await asyncio.sleep(BEAT)
            now_cpu, now = time.thread_time(), time.monotonic()
            hold = Hold(now_cpu - cpu, moment, now)
            if len(self.holds) < KEPT:
                heapq.heappush(self.holds, hold)
            elif hold > self.holds[0]:
                heapq.heapreplace(self.holds, hold)
            cpu, moment = now_cpu, now

    def report(self) -> list[dict[str, float]]:
        """The longest first."""
        return [asdict(hold) for hold in sorted(self.holds, reverse=True)]
