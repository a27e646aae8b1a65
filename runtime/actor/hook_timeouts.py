"""Hooks and guards within their limits of time (START-068, CONN-020, CONN-022).

User code that is over its limit goes on, only the wait for it ends: CONN-022 forbids to cancel it. That is why there is no
`asyncio.timeout` here, and why the code runs as a child of the actor, whose stop ends it.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Protocol

from runtime.errors import awaited, make_error, raise_contained

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Sequence

    from runtime.declaration.functions import UserFunction


class Children(Protocol):
    """Where work goes on that nobody waits for any more; `WorkTracker` ends it with its generation."""

    def adopt(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` as a child of the actor."""
        ...


async def call_limited(children: Children, function: UserFunction, args: Sequence[Any], timeout: float | None, label: str) -> Any:
    """Call a hook or guard; None is no limit, otherwise `timeout` in seconds.

    Raises:
        ActorError: actor.callback_timed_out with the hook's wire name and the limit in milliseconds (START-068, CONN-020).
        Exception: What the function raised.
    """
    try:
        result = function(*args)
        # What a plain function returned at once needs no task and no timer: no limit could have stopped it.
        if not (function.is_async or inspect.isawaitable(result)):
            return result
        if timeout is None:
            return await result
    except BaseException as error:
        raise_contained(error)
    return await within(children, result, timeout, label)


async def within(children: Children, awaitable: Awaitable[Any], timeout: float, label: str) -> Any:
    """Wait for `awaitable`. Over its limit it is not cancelled, its later result is ignored (CONN-022); raises as `call_limited`."""
    # User code may return any awaitable, and only coroutines can be tasks.
    child = children.adopt(awaited(awaitable))
    done, _ = await asyncio.wait({child}, timeout=timeout)
    if not done:
        child.add_done_callback(_ignore)
        raise make_error("actor.callback_timed_out", callback_name=label, duration_ms=round(timeout * 1000))
    return child.result()


def _ignore(done: asyncio.Task[Any]) -> None:
    # Looking at the error keeps asyncio from reporting it as never retrieved.
    if not done.cancelled():
        done.exception()
