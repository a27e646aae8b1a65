"""One timer for the alarms of all actors, ordered by a heap (TASK-240).

An entry is valid while the actor's record still names its time; replaced alarms stay in the heap until they surface or until they
outnumber the valid ones.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from runtime import clock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

MAX_TIMER = 86_400.0
"""Longest single timer in seconds; farther alarms are looked at again then."""


class AlarmClock:
    """Calls `due(actor_id)` at the time of each alarm; at most one alarm per actor. Times are milliseconds since the epoch."""

    def __init__(self, due: Callable[[str], None]) -> None:
        self._due = due
        self._times: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: int | None = None
        self._stopped = False

    def __len__(self) -> int:
        return len(self._times)

    def set(self, actor_id: str, at_ms: int | None) -> None:
        """Replace the alarm of an actor; None clears it."""
        if self._stopped:
            return
        if at_ms is None:
            self._times.pop(actor_id, None)
        elif self._times.get(actor_id) != at_ms:
            self._times[actor_id] = at_ms
            heapq.heappush(self._heap, (at_ms, actor_id))
            # An actor that moves its alarm again and again must not grow the heap.
            if len(self._heap) > 64 + 2 * len(self._times):
                self._heap = [(at, actor) for actor, at in self._times.items()]
                heapq.heapify(self._heap)
        self._arm()

    def stop(self) -> None:
        """Fire nothing any more; alarms set later are ignored."""
        self._stopped = True
        self._times.clear()
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        first = self._heap[0][0] if self._heap else None
        # Most alarms are not the first one: they must not cost a timer.
        if first == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_for = first
        if first is not None:
            # Half a millisecond late on purpose: floating-point time must never read "one millisecond before" when the timer ends.
            delay = (first + 0.5) / 1000 - clock.wall_time()
            self._timer = clock.call_later(min(delay, MAX_TIMER), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._armed_for = None
        now = clock.now_ms()
        due = []
        while self._heap and self._heap[0][0] <= now:
            at, actor_id = heapq.heappop(self._heap)
            if self._times.get(actor_id) == at:
                del self._times[actor_id]
                due.append(actor_id)
        # Told last, when heap and timer are in order: who is told sets alarms.
        self._arm()
        for actor_id in due:
            self._due(actor_id)
