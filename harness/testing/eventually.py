"""Waiting for something that is observed, with a deadline, instead of for time."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import TimingMissed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
# Begins quickly and slows down: most things are there at once, and a poll costs real work in virtual time, too.
FIRST_PAUSE = 0.005
LONGEST_PAUSE = 0.05
UNNAMED = "the condition"
LONG_WAIT = 20.0
"""Seconds; what may take longer is asked for about a hundred times."""


class Eventually:
    """`await eventually(fn, until=..., timeout=..., what=...)`."""

    def __init__(self, scale: float = 1.0, saw: Callable[[str], None] | None = None) -> None:
        """`scale` multiplies every time-out, for slow targets; `saw` is told what was waited for and came."""
        self._scale = scale
        self._saw = saw

    async def __call__(
        self,
        fn: Callable[[], Awaitable[T] | T],
        until: Callable[[T], Any] = bool,
        timeout: float = 5.0,
        what: str = UNNAMED,
        *,
        window: str | None = None,
    ) -> T:
        """Call `fn` (sync or async) again and again until `until(value)` is true; return that value.

        An exception of `fn` ends the wait: catch inside `fn` what is expected meanwhile. What came is a window of the test when the test
        goes on from there (`harness.session.windows`), under the name `window` or `what`; without a name it is none.

        Raises:
            TimingMissed: it did not happen within `timeout` seconds; names `what` and the last value.
        """
        limit = timeout * self._scale
        # Of the loop: in virtual time the deadline jumps with everything else, and a wait in vain costs nothing.
        deadline = asyncio.get_running_loop().time() + limit
        pause, calls = FIRST_PAUSE, 0
        longest = LONGEST_PAUSE if timeout <= LONG_WAIT else limit / 100
        last: Any = "(no value yet)"
        # The deadline also ends a call that hangs.
        timer = asyncio.timeout_at(deadline)
        try:
            async with timer:
                while True:
                    result = fn()
                    last = await result if inspect.isawaitable(result) else result
                    calls += 1
                    if until(last):
                        if self._saw is not None and (window or what) != UNNAMED:
                            self._saw(window or what)
                        return last  # type: ignore[no-any-return]
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, longest)
        except TimeoutError:
            # A `TimeoutError` of `fn` itself is its own, and must not be told as a condition that did not come.
            if not timer.expired():
                raise
        raise TimingMissed(f"{what} did not happen within {limit:g} s ({calls} polls); last value: {last!r}")
