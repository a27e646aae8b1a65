"""What goes wrong beside a test: tasks, callbacks and return values that nobody looks at."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.session.lost import Lost, check_left_running, check_returned, returns_nothing
from harness.testing.spawned import SPAWNED, describe, name_of, unasked

HERE = Path(__file__).parent


def fail():
    raise ValueError("first line\nsecond")


async def failing():
    await asyncio.sleep(0)
    fail()


async def waiting():
    await asyncio.Event().wait()


async def test_an_error_in_a_callback_is_told_once():
    loop, lost = asyncio.get_running_loop(), Lost()
    lost.watch(loop)
    loop.call_soon(fail)
    await asyncio.sleep(0)
    with pytest.raises(HarnessError, match=r"lost beside the test: .*ValueError: first line \(test_lost.py:\d+\)"):
        lost.check()
    lost.check()
    loop.set_exception_handler(None)


async def test_an_error_that_was_asked_for_is_not_lost():
    one, other = asyncio.ensure_future(failing()), asyncio.ensure_future(failing())
    await asyncio.wait({one, other})
    assert str(one.exception()).startswith("first")
    assert (unasked(one), name_of(other)) == (None, "failing")
    assert describe(unasked(other)).startswith("ValueError: first line (test_lost.py:")


async def test_a_task_of_the_corpus_may_not_outlive_its_test():
    before = asyncio.all_tasks()
    left = asyncio.ensure_future(waiting())
    allowed = asyncio.get_running_loop().create_task(waiting(), name=f"{SPAWNED}-0")
    check_left_running(before, HERE / "elsewhere")
    with pytest.raises(HarnessError, match="still running when the test ended: waiting; await it"):
        check_left_running(before, HERE)
    await asyncio.wait({left})
    assert (left.cancelled(), allowed.done()) == (True, False)
    allowed.cancel()
    await asyncio.wait({allowed})


def test_what_a_test_returns_is_looked_at_by_nobody():
    check_returned(None)
    with pytest.raises(HarnessError, match="returned False"):
        returns_nothing(lambda: False)()
