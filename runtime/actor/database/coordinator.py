"""The gate that orders ordinary statements against coordinated transactions (section 6 of the storage specification).

Without an open transaction everything passes at once, in call order. While one is open, everything else waits in one queue and is admitted
in that order when it ends. The gate is plain bookkeeping on the event loop: order of execution comes from the one thread behind it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import make_error

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

QUEUE_CAPACITY = 128


@dataclass(slots=True, eq=False)
class Waiter:
    """One operation behind the gate. `start` must not raise; `fail` gets the reason when it will never start.

    Attributes:
        exclusive: A transaction.
        own: Of the runtime, which still writes when user code may not any more (DB-036, DB-304).
    """

    start: Callable[[], None]
    fail: Callable[[BaseException], None]
    exclusive: bool = False
    own: bool = False


_NOBODY: deque[Waiter] = deque()
"""What every gate begins with: nearly none ever has a queue."""


class Coordinator:
    """Admits operations of one database generation."""

    def __init__(self) -> None:
        self._active: Waiter | None = None
        self._waiting: deque[Waiter] = _NOBODY
        self._closed: Callable[[], BaseException] | None = None

    @property
    def busy(self) -> bool:
        """Whether a transaction is open."""
        return self._active is not None

    def admit(self, waiter: Waiter) -> None:
        """Start the operation now, later, or fail it (DB-150..154)."""
        if self._closed is not None and not waiter.own:
            waiter.fail(self._closed())
        elif self._active is None:
            self._start(waiter)
        elif len(self._waiting) >= QUEUE_CAPACITY:
            waiter.fail(make_error("sqlite.transaction_queue_full"))
        else:
            if self._waiting is _NOBODY:
                self._waiting = deque()
            self._waiting.append(waiter)

    def release(self, transaction: Waiter) -> None:
        """End the open transaction and serve those behind it, up to the next transaction (DB-153)."""
        # Also called for a transaction that gave up before its turn.
        if self._active is not transaction:
            return
        self._active = None
        while self._waiting and self._active is None:
            # One that is exclusive becomes the active one, and with it the loop ends.
            self._start(self._waiting.popleft())

    def withdraw(self, waiter: Waiter) -> None:
        """Forget an operation whose caller gave up before it started."""
        # Called for every operation when it is over, and nearly all of them never waited.
        if waiter in self._waiting:
            self._waiting.remove(waiter)

    def fail_waiting(self, reason: BaseException) -> None:
        """Fail everything that waits now; it will not run (DB-165)."""
        # Emptied first: whoever is failed may try again at once, and that is a new operation.
        waiting, self._waiting = self._waiting, _NOBODY
        for waiter in waiting:
            waiter.fail(reason)

    def close(self, reason: Callable[[], BaseException]) -> None:
        """Refuse user code from now on with `reason()`, what waits included; what the runtime writes passes. The first reason stays."""
        # A rollback that failed (DB-172) says more than the close of the stop that follows it.
        if self._closed is not None:
            return
        self._closed = reason
        # Whoever closes sees to the rollback of a transaction that is open; it is told besides.
        active, self._active = self._active, None
        if active is not None:
            active.fail(reason())
        waiting, self._waiting = self._waiting, _NOBODY
        for waiter in waiting:
            if waiter.own:
                self._start(waiter)
            else:
                waiter.fail(reason())

    def _start(self, waiter: Waiter) -> None:
        if waiter.exclusive:
            self._active = waiter
        waiter.start()


def settle_future(future: asyncio.Future[None]) -> None:
    """Resolve a future whose owner may have gone."""
    if not future.done():
        future.set_result(None)


def fail_future(future: asyncio.Future[Any], reason: BaseException) -> None:
    """Fail a future whose owner may have gone."""
    if not future.done():
        future.set_exception(reason)
