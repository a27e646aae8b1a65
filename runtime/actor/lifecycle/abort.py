"""`AbortSignal`: a one-way switch that code can look at, listen to, or wait for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)


class AbortSignal:
    """Fires at most once. The actor's own fires when grace begins (SLEEP-030); code may make signals of its own.

    if c.abort_signal.aborted: ...
    remove = c.abort_signal.add_listener(on_abort)
    await c.abort_signal.wait()
    """

    __slots__ = ("_listeners", "_waiters", "aborted")

    def __init__(self) -> None:
        self.aborted = False
        self._listeners: list[Callable[[], object]] = []
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Abort. Listeners run at once, in order; one that raises is logged and does not stop the others."""
        if self.aborted:
            return
        self.aborted = True
        # Taken out first: a listener may add or remove others, and none may be called twice.
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            try:
                listener()
            except Exception:
                log.exception("abort listener failed")
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def add_listener(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener` when the signal fires, at once when it already has; returns its removal."""
        if self.aborted:
            listener()
            return lambda: None
        self._listeners.append(listener)

        def remove() -> None:
            # It may have fired meanwhile, which is no error of who cleans up.
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    async def wait(self) -> None:
        """Return when the signal has fired; a cancelled wait leaves nothing behind."""
        if self.aborted:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
