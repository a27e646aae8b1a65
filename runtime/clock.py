"""The only place that reads time or arms timers.

Why a module of functions: the event loop is the clock. A virtual-time loop offers `wall_time()`; an ordinary loop does not, and then the
machine's wall clock is read. Code that takes its time from here runs unchanged in both (design: time).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def now_ms() -> int:
    """Wall-clock time in integer milliseconds since the Unix epoch (virtual when the loop is)."""
    return int(wall_time() * 1000)


def wall_time() -> float:
    """Wall-clock time in seconds since the Unix epoch (virtual when the loop is)."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return time.time()
    # Asked of the loop and not of a setting: a test with a real loop in the same process needs no switch.
    virtual = getattr(loop, "wall_time", None)
    return float(virtual()) if virtual is not None else time.time()


def milliseconds(seconds: float) -> int | float:
    """A duration as messages and metadata show it: whole milliseconds where possible."""
    value = round(seconds * 1000, 3)
    return int(value) if value == int(value) else value


def monotonic() -> float:
    """Seconds on a clock that only runs forward (the loop's, when that is virtual); only differences mean anything."""
    loop = asyncio.get_running_loop()
    # Not every loop's own clock: uvloop's counts milliseconds, and most calls take less than one.
    return loop.time() if hasattr(loop, "wall_time") else time.monotonic()


def call_later(delay: float, callback: Callable[..., object], *args: object) -> asyncio.TimerHandle:
    """Run `callback(*args)` after `delay` seconds; negative delays run at once."""
    return asyncio.get_running_loop().call_later(max(0.0, delay), callback, *args)


async def sleep(delay: float) -> None:
    """Wait `delay` seconds; negative or NaN delays yield once."""
    # In this order, because `max` gives its first argument when the second is no number.
    await asyncio.sleep(max(0, delay))
