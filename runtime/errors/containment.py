"""What becomes of exceptions that are no `Exception` and leave user code.

A test framework's outcomes, `sys.exit()`, a class of the user's own: they pass every `except Exception` on their way, past those who would
have told a caller, ended a start or let a slot go on. So wherever user code returns they are made ordinary failures, each once.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.errors.exceptions import make_error

if TYPE_CHECKING:
    from collections.abc import Awaitable


class EscapedError(Exception):
    """Stands for what left user code and was no `Exception`; its cause is the thing itself."""


def said_by(error: BaseException) -> str:
    """The text of an exception, or that it has none: it is made by code of the user, too, while something is told of the failure."""
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} that has no text>"


def is_end(error: BaseException) -> bool:
    """Whether the end of the task itself is passing, its cancellation, which nothing may stop."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    # Without a request to cancel this task the error is another's, which user code awaited, or one that it made itself.
    return task is not None and task.cancelling() > 0


def contained(error: BaseException) -> Exception:
    """The failure that user code ended with; to be called where it returned, for the exception that is being handled.

    A `KeyboardInterrupt` ends the program all the same, in the order in which Ctrl-C ends it.

    Raises:
        BaseException: The error itself when `is_end`.
    """
    if isinstance(error, Exception):
        return error
    if is_end(error):
        raise error
    if isinstance(error, KeyboardInterrupt):
        # By its signal and not by raising it: from within a task it would tear the loop from under everything that has to end in order.
        signal.raise_signal(signal.SIGINT)
    if isinstance(error, asyncio.CancelledError):
        panicked = make_error("actor.panicked", operation="user code")
        panicked.__cause__ = error
        return panicked
    text = said_by(error)
    escaped = EscapedError(f"{type(error).__name__}: {text}" if text else type(error).__name__)
    escaped.__cause__ = error
    return escaped


def raise_contained(error: BaseException) -> NoReturn:
    """Raise what `contained` gives."""
    failure = contained(error)
    # Not `from`: an ordinary failure is the error itself, and would be its own cause.
    raise failure


async def awaited(work: Awaitable[Any]) -> Any:
    """The result of something awaitable that user code gave, as a coroutine that can be a task; raises what `contained` gives."""
    try:
        return await work
    except BaseException as error:
        raise_contained(error)
