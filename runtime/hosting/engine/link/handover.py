"""From one thread to the loop of another: calls in order, and a count of what waits."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import structlog

from runtime.logs import error_fields

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

log = structlog.get_logger("runtime.engine")
TURN = 100
"""Calls that are made before others of the loop get their turn."""


class Handover:
    """Calls made on another loop, one after another, in the order in which they were asked for.

    Args:
        loop: Where they are made. Once it is closed nothing is.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._calls: deque[tuple[int, Callable[..., object], tuple[Any, ...]]] = deque()
        self._size = 0
        self._woken = False
        self._closed = False

    @property
    def waiting(self) -> tuple[int, int]:
        """Calls that wait, and the bytes that they carry."""
        return len(self._calls), self._size

    def call(self, function: Callable[..., object], *args: Any, size: int = 0) -> None:
        """Call `function(*args)` there; `size` bytes are carried along. From any thread."""
        with self._lock:
            if self._closed:
                return
            self._calls.append((size, function, args))
            self._size += size
            wake, self._woken = not self._woken, True
        if wake:
            self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._turn)
        # The loop is closed: nobody hears any more, and nothing is to be kept for them.
        except RuntimeError:
            with self._lock:
                self._closed = True
                self._calls.clear()
                self._size = 0

    def _turn(self) -> None:
        for _ in range(TURN):
            with self._lock:
                if not self._calls:
                    self._woken = False
                    return
                size, function, args = self._calls.popleft()
                self._size -= size
            try:
                function(*args)
            # Whoever listens: one fault must not end what all others hear.
            except Exception as error:
                log.error("a call from another thread failed", **error_fields(error))
        self._wake()
