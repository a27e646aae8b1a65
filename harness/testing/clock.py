"""The clock tests use: the running loop's, virtual or real."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from harness.errors import TimingMissed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Clock:
    """Time as the test and (in virtual mode) the target see it."""

    def __init__(self, *, virtual: bool, saw: Callable[..., None] | None = None) -> None:
        """`virtual` tells a test whether waiting costs anything; it must not change what is tested. `saw` is told of waits and measures."""
        self.virtual = virtual
        self._saw = saw

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        # A virtual loop has a wall clock of its own, which jumps with it; the machine's would stand still beside it.
        seconds: float = getattr(asyncio.get_running_loop(), "wall_time", time.time)()
        return seconds

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self.wall() * 1000)

    def monotonic(self) -> float:
        """Seconds on the loop's clock; only differences mean anything."""
        return asyncio.get_running_loop().time()

    def took(self, since: float, most: float, least: float = 0.0) -> float:
        """Assert that `least` to `most` seconds have passed since the reading `since` of `monotonic`; returns how many.

        Raises:
            TimingMissed: it took longer, which a machine that stood still explains.
            AssertionError: it took less, which nothing explains.
        """
        seconds = self.monotonic() - since
        # Two kinds of error, as only one of them can be blamed on the machine: standing still makes things late, never early.
        if seconds > most:
            raise TimingMissed(f"took {seconds:.3f} s, at most {most:g} s are allowed")
        if seconds < least:
            raise AssertionError(f"took {seconds:.3f} s, at least {least:g} s are needed")
        if self._saw is not None:
            self._saw("measured a time", whole=True)
        return seconds

    @staticmethod
    def in_order(seen: Sequence[str], expected: Sequence[str]) -> None:
        """Assert that timers fired once each, in the expected order.

        Raises:
            TimingMissed: only the order is another one, which a machine that stood still explains.
            AssertionError: others fired, or not as often.
        """
        if sorted(seen) != sorted(expected):
            raise AssertionError(f"fired: {list(seen)}, expected: {list(expected)}")
        if list(seen) != list(expected):
            raise TimingMissed(f"fired in the order {list(seen)}, expected {list(expected)}")

    async def sleep(self, seconds: float) -> None:
        """Let time pass. Only for "nothing must happen meanwhile": to wait for something, use `eventually`."""
        began = self.monotonic()
        await asyncio.sleep(seconds)
        # After the wait: one that was cut short by the end of the test is no window.
        if self._saw is not None and seconds > 0:
            self._saw(f"waited {seconds:g} s", since=began)
