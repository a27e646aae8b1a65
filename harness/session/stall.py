"""Noticing that the machine stood still while a timing test ran.

A thread that only wants to wake every few milliseconds tells how late it was. It shares nothing with the event loop, so a target or a test
that blocks the loop is not mistaken for a machine that gave this process no time. In virtual time nothing is measured.
"""

from __future__ import annotations

import threading
import time
from typing import Self

# Fine enough to see a stall of `STALL`, and a hundred wake-ups a second are no load of their own.
TICK = 0.01
STALL = 0.2
"""Seconds of lateness from which a missed window says nothing about the target."""


class StallProbe:
    """Measures the worst lateness while the block lasts."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.worst = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conform-stall-probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        # Joined, so that a stall which lasts until the end of the test is in `worst` before anybody asks.
        self._thread.join()

    @property
    def stalled(self) -> bool:
        """Whether the machine stood still for so long that timing means nothing."""
        return self.worst >= STALL

    def _run(self) -> None:
        before = time.monotonic()
        # The thread needs the interpreter's lock as well: a C call that holds it for so long looks the same as a machine that stood still.
        while not self._ended.wait(TICK):
            now = time.monotonic()
            self.worst = max(self.worst, now - before - TICK)
            before = now
        # A stall that lasts until the end shows here.
        self.worst = max(self.worst, time.monotonic() - before - TICK)
