"""Which event loop a program of ours runs on."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

log = structlog.get_logger(__name__)

LEAVING_TIME = 5.0
"""Seconds that cancelled code has to end when the program does."""
MOST_NAMED = 5


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, or None for asyncio's own where no wheel of uvloop is installed.

    What it gains is in `docs/explanation/server.md`. Nothing else may depend on it: PyPy, Windows and rare machines have none.
    """
    if importlib.util.find_spec("uvloop") is None:
        return None
    # Here and not above: a program that is not installed with it works all the same.
    from uvloop import new_event_loop

    return new_event_loop


def run_program(main: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` on the fastest loop there is, which code that ignores its cancellation does not keep from ending."""
    runner = asyncio.Runner(loop_factory=loop_factory())
    # What was imported lives as long as the program: looking through all of it for garbage took 130 ms each time, and everybody waited.
    gc.freeze()
    try:
        runner.run(main)
    finally:
        if runner.run(_leave(LEAVING_TIME)):
            # `close` would cancel what is left, and wait for it without end.
            runner.get_loop().close()
        else:
            runner.close()


async def _leave(time: float) -> int:
    """Cancel what the program left behind; how many tasks still run after `time` seconds."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if not left:
        return 0
    _, running = await asyncio.wait(left, timeout=time)
    if running:
        names = sorted({getattr(task.get_coro(), "__qualname__", "?") for task in running})
        log.error("tasks ignore that they were cancelled, and are given up", number=len(running), code=names[:MOST_NAMED])
    return len(running)
