"""Running what a signal may end early: Ctrl-C and SIGTERM ask it to stop, and what is known by then is still told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from harness.run.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


def run_interruptibly(work: Callable[[Stop], Awaitable[T]]) -> T:
    """Run `work` to its end; it is handed the `Stop` that signals ask, a second one without teardown."""

    async def main() -> T:
        # Made inside, as its events belong to the loop that `asyncio.run` has just begun.
        stop = Stop()
        with stop.on_signals():
            return await work(stop)

    return asyncio.run(main())
