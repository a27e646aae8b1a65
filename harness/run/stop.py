"""Asking a run to end before it is done: Ctrl-C, SIGTERM, a time-out of CI, or enough failures seen."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stop:
    """Asked once, with a reason; asked again, with force.

    Attributes:
        reason: why; empty as long as nobody asked.
        forced: whoever asked does not want to wait for tidy endings any more.
    """

    def __init__(self) -> None:
        """Nobody has asked."""
        self.reason = ""
        self.forced = False
        # Events and no exception: a run that is asked to end still has a report to make of what is known.
        self._asked = asyncio.Event()
        self._insisted = asyncio.Event()

    def __call__(self, reason: str) -> None:
        """Ask."""
        if self.reason:
            self.forced = True
            self._insisted.set()
        # The first reason stays: what follows it (a second Ctrl-C, a time-out) is about the ending.
        self.reason = self.reason or reason
        self._asked.set()

    async def asked(self) -> None:
        """Wait until somebody asks."""
        await self._asked.wait()

    async def insisted(self) -> None:
        """Wait until somebody asks again."""
        await self._insisted.wait()

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ask on SIGINT and SIGTERM while the block lasts; where the loop cannot (not the main thread), signals do what they did before."""
        loop = asyncio.get_running_loop()
        handled: list[signal.Signals] = []
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for sign in (signal.SIGINT, signal.SIGTERM):
                # By the loop and not by `signal.signal`: the handler may then touch what the loop owns.
                loop.add_signal_handler(sign, self, f"interrupted by {sign.name}")
                handled.append(sign)
        try:
            yield
        finally:
            for sign in handled:
                loop.remove_signal_handler(sign)
