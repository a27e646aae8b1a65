"""Waiting for a future of one's own: with a deadline on the runtime's clock, and an end by abort.

Why no `asyncio.timeout`: it ends a wait by cancelling the task, which has to be told from the cancellation of the invocation around it. A
future that a timer settles can't be mistaken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.errors import make_error

if TYPE_CHECKING:
    import asyncio


async def wait_until(future: asyncio.Future[Any], deadline: float | None) -> bool:
    """Wait for a future this caller owns; False when the clock reached the deadline first."""
    timer = None
    if deadline is not None:
        timer = clock.call_later(deadline - clock.monotonic(), _time_out, future)
    try:
        await future
    except TimeoutError:
        return False
    finally:
        if timer is not None:
            timer.cancel()
    return True


def abort_wait(future: asyncio.Future[Any]) -> None:
    """End a wait with `actor.aborted`."""
    if not future.done():
        future.set_exception(make_error("actor.aborted"))


def end_wait(future: asyncio.Future[Any]) -> None:
    """End a wait without a reason: who waited looks again."""
    if not future.done():
        future.set_result(None)


def _time_out(future: asyncio.Future[Any]) -> None:
    # A message, an abort and the deadline may come in one turn of the loop; the first has settled it.
    if not future.done():
        future.set_exception(TimeoutError())
