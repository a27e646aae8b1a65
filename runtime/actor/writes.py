"""Writes that are done to their end, whoever asked for them goes away meanwhile.

A part of an actor keeps its rows in memory, too. If a cancelled caller took its half-finished write with it, memory and storage would say
different things for the rest of the generation; so the write is a task of the part, the caller only waits for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Writes:
    """The writes of one part that are under way.

    Args:
        log: Where a failed write is noted; its caller hears of it besides, unless it is gone.
        name: What is written, for records and for the names of tasks.
    """

    __slots__ = ("_log", "_name", "_running")

    def __init__(self, log: Any, name: str) -> None:
        self._log = log
        self._name = name
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a write that nobody has to wait for."""
        write = asyncio.get_running_loop().create_task(work, name=f"{self._name} write")
        self._running.add(write)
        write.add_done_callback(self._ended)
        return write

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin a write and wait for it; a cancelled wait does not end it.

        Raises:
            Exception: What the write raised.
        """
        await asyncio.shield(self.start(work))

    async def drain(self) -> None:
        """Wait until no write is left, also none that another one began (STOP-016)."""
        while self._running:
            await asyncio.wait(self._running)

    def _ended(self, write: asyncio.Task[Any]) -> None:
        self._running.discard(write)
        # Asking for the exception marks it as seen: the loop would otherwise report it when the caller was cancelled.
        if not write.cancelled() and write.exception() is not None:
            self._log.debug(f"{self._name} write failed", error=repr(write.exception()))
