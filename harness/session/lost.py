"""What goes wrong beside a test without failing it.

An exception in a callback, in a listener or in a task that nobody awaits reaches only the loop's exception handler, and a task left behind
reaches nobody: a check in one of them proves nothing, so the test is not believed. A test that failed anyway keeps its verdict: what it
started then ends badly for the same reason.
"""

from __future__ import annotations

import asyncio
import functools
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.testing.spawned import SPAWNED, describe, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Lost:
    """Collects what the loop was told, until it is looked at."""

    def __init__(self) -> None:
        self._told: list[str] = []

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Become the exception handler of the loop."""
        loop.set_exception_handler(self._handle)

    def take(self) -> list[str]:
        """What was collected since the last call."""
        told, self._told = self._told, []
        return told

    def check(self) -> None:
        """Called when a phase of a test went well.

        Raises:
            HarnessError: something was lost in it.
        """
        if told := self.take():
            raise HarnessError("lost beside the test: " + "; ".join(told))

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)  # its log is part of the evidence
        error = context.get("exception")
        message = str(context.get("message", "")).splitlines()[0] if context.get("message") else ""
        self._told.append(f"{message}: {describe(error)}" if isinstance(error, BaseException) else message)


def collect_garbage() -> None:
    """Let what the test dropped say so while it is this test's turn: coroutines that nobody awaited, tasks whose error nobody saw.

    Most of it went when the last reference did. For what is held by a cycle, the young generations are looked through: a whole collection
    would take longer than most tests, and what it would find besides shows in a later test, or when the session ends.
    """
    gc.collect(1)


def check_returned(value: object) -> None:
    """A test asserts; what it returns is looked at by nobody.

    Raises:
        HarnessError: it returned something.
    """
    if value is not None:
        raise HarnessError(f"the test returned {value!r}, which nobody looks at; assert it")


def returns_nothing(test: Callable[..., Any]) -> Callable[..., None]:
    """The same test without `async`, its return value checked."""

    @functools.wraps(test)
    def checked(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        check_returned(test(*args, **kwargs))

    return checked


def check_left_running(before: Iterable[asyncio.Task[Any]], directory: Path) -> None:
    """A test waits for what it started, or cancels it; `conform.spawn` is for work that ends with the test.

    Raises:
        HarnessError: a task begun since `before`, with its code in `directory`, still runs; it is cancelled, lest it disturb the next test.
    """
    begun = asyncio.all_tasks().difference(before)
    running = [task for task in begun if _is_of(task, directory) and not task.cancelling() and not task.get_name().startswith(SPAWNED)]
    for task in running:
        task.cancel()
    if running:
        names = ", ".join(sorted(name_of(task) for task in running))
        raise HarnessError(f"still running when the test ended: {names}; await it, cancel it, or start it with conform.spawn")


def _is_of(task: asyncio.Task[Any], directory: Path) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and directory in Path(code.co_filename).parents
