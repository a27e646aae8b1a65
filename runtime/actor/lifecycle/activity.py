"""The coalesced "something changed" signal of one generation (TASK-012, TASK-013).

Why one signal for all inputs, and predicates that look at everything anew: whoever counts something need not know what idleness or grace
make of it, and one action that changes five inputs costs one evaluation.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Activity:
    """`changed()` any number of times in one turn of the loop causes one evaluation, in the next turn.

    The mark is cleared before the evaluation, so a change during it causes another.
    """

    __slots__ = ("_dirty", "_evaluate", "_loop", "_waiters")

    def __init__(self, evaluate: Callable[[], None]) -> None:
        self._evaluate = evaluate
        self._loop = asyncio.get_running_loop()
        self._dirty = False
        self._waiters: set[asyncio.Future[None]] = set()

    def changed(self) -> None:
        """An input of the idle or grace predicate changed."""
        if not self._dirty:
            self._dirty = True
            self._loop.call_soon(self._run)

    async def wait(self, deadline: float) -> bool:
        """Wait for the next evaluation; False when the loop time `deadline` came first."""
        remaining = deadline - self._loop.time()
        if remaining <= 0:
            return False
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.add(waiter)
        # The deadline cancels the future and not the task, so that a cancelled caller is still told from one whose time is up.
        timer = self._loop.call_later(remaining, lambda: waiter.done() or waiter.cancel())
        try:
            await asyncio.wait({waiter})
        finally:
            timer.cancel()
            self._waiters.discard(waiter)
        return not waiter.cancelled()

    def _run(self) -> None:
        self._dirty = False
        self._evaluate()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
