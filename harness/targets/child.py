"""The life of a process that we started: it answers, it ends, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from harness.errors import TargetError
from harness.targets.url import reach

if TYPE_CHECKING:
    from asyncio.subprocess import Process


async def answers(process: Process, url: str, within: float) -> None:
    """Return when `GET /health` of a process that was just started answers.

    Raises:
        TargetError: it ended before that, or did not answer within so many seconds.
    """
    # Both at once, as a command that ends with an error in its first second would else be waited for until the time has passed.
    ended = asyncio.ensure_future(process.wait())
    reached = asyncio.ensure_future(reach(url, within))
    try:
        await asyncio.wait({ended, reached}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise TargetError(f"it ended {how_it_ended(ended.result())} before it was ready")
        await reached
    finally:
        for task in (ended, reached):
            task.cancel()
        await asyncio.gather(ended, reached, return_exceptions=True)


async def end(process: Process, how: signal.Signals, within: float) -> None:
    """End a process by a signal, and by force when it is still there after so many seconds."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(how)
    try:
        async with asyncio.timeout(within):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def how_it_ended(status: int) -> str:
    """An exit status of asyncio or subprocess in words."""
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
