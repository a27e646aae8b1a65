"""Tasks that the harness started for a test, and how a task and its error are named to the reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

# A name and no set of tasks: whoever looks at what still runs has the tasks only.
SPAWNED = "conform.spawn"
"""Begins the names of tasks that the harness ends with the test."""


def describe(error: BaseException) -> str:
    """One line: what was raised and where."""
    frames, place = error.__traceback__, ""
    # To the innermost frame: where it was raised says more than where somebody caught it.
    while frames is not None:
        place = f" ({Path(frames.tb_frame.f_code.co_filename).name}:{frames.tb_lineno})"
        frames = frames.tb_next
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}".rstrip(": ") + place


def unasked(task: asyncio.Task[Any]) -> BaseException | None:
    """The exception with which a task ended and that nobody has asked for; asking here counts."""
    # asyncio keeps this for its own message "exception was never retrieved", which comes only when the task is collected as garbage.
    if not task.done() or task.cancelled() or not getattr(task, "_log_traceback", False):
        return None
    return task.exception()


def name_of(task: asyncio.Task[Any]) -> str:
    """The name of the function whose coroutine the task runs."""
    return str(getattr(task.get_coro(), "__qualname__", task.get_name()))
