"""The clock tests use: the running loop's, virtual or real."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Time as the test and (in virtual mode) the target see it."""

    def __init__(self, *, virtual: bool) -> None:
        """`virtual` tells a test whether waiting costs anything; it must not change what is tested."""
        self.virtual = virtual

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        seconds: float = getattr(asyncio.get_running_loop(), "wall_time", time.time)()
        return seconds

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self.wall() * 1000)

    def monotonic(self) -> float:
        """Seconds on the loop's clock; only differences mean anything."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let time pass. Only for "nothing must happen meanwhile": to wait for something, use `eventually`."""
        await asyncio.sleep(seconds)
