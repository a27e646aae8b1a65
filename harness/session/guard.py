"""Runs a corpus test under a time limit that ends it without harming the session's loop.

The limit holds for real time and for the loop's own: a test that waits in vain in virtual time fails at once, with the verdict it would get
in real time, instead of after minutes of jumps.

pytest-timeout's own ways would raise inside whatever callback happens to run, or end the process. Here the limit cancels the test's task;
only when that does not help (the loop is blocked) pytest-timeout's thread method ends the process with all stacks printed.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest
import pytest_timeout

from harness.errors import TimedOut
from harness.session.lost import Lost, check_left_running, check_returned, collect_garbage
from harness.session.stopwatch import Stopwatch
from harness.session.virtual_loop import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RUNNING: pytest.StashKey[Guard] = pytest.StashKey()
PATIENCE = 15.0
"""Real seconds between the cancellation of a test and the end of the process."""


class Guard:
    """The limit of one test item."""

    def __init__(self, item: pytest.Function, test: Callable[..., Awaitable[Any]], lost: Lost) -> None:
        """Wrap the test; `item.obj` is replaced. `lost` collects what happens beside it."""
        self._item = item
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: Exception | None = None
        self._limit: float | None = None
        self._stopwatch: Stopwatch | None = None
        self.before_pass: list[Callable[[], None]] = []
        directory = item.path.parent

        @functools.wraps(test)
        async def guarded(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
            lost.watch(self._loop)
            # Tasks of the target and of the session run on the same loop, so only what is begun from here on can be the test's.
            before = asyncio.all_tasks()
            virtual = self._loop if isinstance(self._loop, VirtualLoop) else None
            timer: asyncio.TimerHandle | None = None
            if virtual is not None:
                virtual.on_stall = self._cancel
                if self._limit is not None:
                    timer = virtual.call_later(self._limit, self._cancel, f"timed out after {self._limit:g} s of virtual time")
            try:
                returned = await test(*args, **kwargs)
                await asyncio.sleep(0)  # what the test's last step set off still belongs to it
            except asyncio.CancelledError as cancelled:
                if self._error is None:
                    raise
                # The traceback of the cancellation shows where the test was waiting.
                raise self._error.with_traceback(cancelled.__traceback__) from None
            finally:
                self._task = None
                if virtual is not None:
                    virtual.on_stall = None
                if timer is not None:
                    timer.cancel()
            collect_garbage()
            check_returned(returned)
            check_left_running(before, directory)
            for check in self.before_pass:
                check()

        item.obj = guarded

    def arm(self, settings: Any) -> None:
        """Start the clock; `settings` are pytest-timeout's."""
        limit: float = settings.timeout
        self._limit, self._error = limit, None
        self._stopwatch = Stopwatch(
            # Twice: the first alarm asks the test to end and leaves the session whole, the second is for a loop that doesn't get to it any
            # more.
            [(limit, lambda: self._expire(limit)), (limit + PATIENCE, lambda: pytest_timeout.timeout_timer(self._item, settings))]
        )

    def disarm(self) -> None:
        """Stop the clock."""
        if self._stopwatch is not None:
            self._stopwatch.stop()

    def _expire(self, limit: float) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            # The stopwatch is another thread; cancelling from there would touch the loop while it runs.
            loop.call_soon_threadsafe(self._cancel, f"timed out after {limit:g} s of real time")

    def _cancel(self, reason: str) -> None:
        self.abort(TimedOut(reason))

    def abort(self, error: Exception) -> None:
        """End the running test with `error`, wherever it waits; nothing happens when it has ended."""
        # None once the test has ended: a limit that passes during the teardown must not cancel what the fixtures are doing.
        if self._task is not None:
            self._error = error
            self._task.cancel()
