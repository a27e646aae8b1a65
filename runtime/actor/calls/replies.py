"""Replies: the futures that callers wait for, and what is noted of calls that fail.

A reply is a future beside the task that runs the call, not the task itself: it may end before the call does, at its time limit, and a
caller that goes away must cancel its own wait only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.errors import ActorError, contained, is_public, make_error

if TYPE_CHECKING:
    from collections.abc import Coroutine


def fail(reply: asyncio.Future[Any], name: str) -> None:
    """End a reply with an error of the catalogue, unless it has ended."""
    if not reply.done():
        reply.set_exception(make_error(name))


async def settle(work: Coroutine[Any, Any, Any], reply: asyncio.Future[Any]) -> None:
    """Run `work` and end the reply as it ended. Never raises, except when cancelled."""
    try:
        result = await work
    except asyncio.CancelledError:
        # A cancelled reply would look to its caller as if the caller were cancelled.
        fail(reply, "actor.dropped_reply")
        raise
    except BaseException as error:
        failure = contained(error)
        if not reply.done():
            reply.set_exception(failure)
    else:
        if not reply.done():
            reply.set_result(result)


def log_failure(log: Any, name: str, error: Exception) -> None:
    """Errors that callers see only masked are logged in full (METRIC-070)."""
    if not isinstance(error, ActorError):
        log.error("call failed", call=name, exc_info=error)
    elif not is_public(error):
        log.warning("call failed", call=name, error=str(error), metadata=repr(error.metadata))
