"""What a program of ours runs on: its event loop, the signals that end it, and what it says on the way."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import signal
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = "Stopping: actors end what they are at. A second signal (Ctrl-C) ends the process at once."
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


@contextlib.contextmanager
def signals() -> Iterator[asyncio.Event]:
    """An event that the first SIGINT or SIGTERM sets. The second ends the process, whatever its loop is doing: the kernel sees to it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    # Not the loop's own handlers: those wait for their turn, and code that holds the loop is one reason to send a second signal.
    def first(_number: int, _frame: object) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        loop.call_soon_threadsafe(stop.set)
        say(STOPPING)

    with contextlib.suppress(ValueError):  # not in the main thread: the program is cancelled instead
        before = {number: signal.signal(number, first) for number in SIGNALS}
    try:
        yield stop
    finally:
        # After a signal the rest is left to the next one: stopping actors takes time, too.
        if not stop.is_set():
            for number, handler in before.items():
                signal.signal(number, handler)


def say(line: str) -> None:
    """One line on standard error, for who started the program."""
    # Standard error may be closed, or be none at all in a program with a window.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
