"""`AbortSignal`: a one-way switch that code can look at, listen to, or wait for."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

import structlog

from runtime.errors import contained

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)


class AbortSignal:
    """Fires at most once. The actor's own fires when grace begins (SLEEP-030); code may make signals of its own.

    if c.abort_signal.aborted: ...
    remove = c.abort_signal.add_listener(on_abort)
    await c.abort_signal.wait()
    """

    __slots__ = ("__weakref__", "_kept", "_listeners", "_parent", "_unlink", "_waiters", "aborted")

    def __init__(self) -> None:
        self.aborted = False
        # By token and in order: taking one of many away is no search.
        self._listeners: dict[object, Callable[[], object]] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        self._kept: set[AbortSignal] = set()
        self._parent: AbortSignal | None = None
        self._unlink: Callable[[], None] | None = None

    def child(self) -> AbortSignal:
        """A signal that fires with this one, and may fire before it.

        Nobody has to take it off again: this signal keeps it only while somebody listens to it or waits for it. One that code looked at in
        passing is gone with that code, one with a listener is served however long ago it was made.
        """
        child = AbortSignal()
        if self.aborted:
            child.aborted = True
            return child

        def fire() -> None:
            if (signal := reference()) is not None:
                signal.fire()

        unlink = self.add_listener(fire)
        reference = weakref.ref(child, lambda _: unlink())
        child._parent, child._unlink = self, unlink
        return child

    def unlink(self) -> None:
        """No longer fire with the parent; what listens is not called by it any more."""
        parent, unlink = self._parent, self._unlink
        if parent is not None and unlink is not None:
            self._parent = self._unlink = None
            parent._kept.discard(self)  # noqa: SLF001 - own class
            unlink()

    def fire(self) -> None:
        """Abort. Listeners run at once, in order; one that raises is logged and does not stop the others."""
        if self.aborted:
            return
        self.aborted = True
        # Taken out first: a listener may add or remove others, and none may be called twice.
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            try:
                listener()
            except BaseException as error:
                log.error("abort listener failed", exc_info=contained(error))
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._kept.clear()
        self.unlink()

    def add_listener(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener` when the signal fires, at once when it already has; returns its removal."""
        if self.aborted:
            listener()
            return lambda: None
        token = object()
        self._listeners[token] = listener
        self._keep()

        def remove() -> None:
            # It may have fired meanwhile, which is no error of who cleans up.
            if self._listeners.pop(token, None) is not None:
                self._keep()

        return remove

    def _keep(self) -> None:
        """Have the parent keep this signal exactly as long as it has somebody to tell."""
        if self._parent is None:
            return
        if self._listeners or self._waiters:
            self._parent._kept.add(self)  # noqa: SLF001 - own class
        else:
            self._parent._kept.discard(self)  # noqa: SLF001 - own class

    async def wait(self) -> None:
        """Return when the signal has fired; a cancelled wait leaves nothing behind."""
        if self.aborted:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        self._keep()
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            self._keep()
