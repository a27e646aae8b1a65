import asyncio

import pytest

from runtime.actor.lifecycle.activity import Activity
from tests.runtime.parts import virtual


async def test_many_changes_cause_one_evaluation():
    seen = []
    activity = Activity(lambda: seen.append(1))
    for _ in range(5):
        activity.changed()
    assert seen == []
    await asyncio.sleep(0)
    assert seen == [1]


async def test_a_change_during_an_evaluation_causes_another():
    seen = []

    def evaluate():
        seen.append(1)
        if len(seen) < 3:
            activity.changed()

    activity = Activity(evaluate)
    activity.changed()
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen == [1, 1, 1]


@virtual
async def test_a_wait_ends_with_the_next_evaluation_or_at_its_deadline():
    activity = Activity(lambda: None)
    now = asyncio.get_running_loop().time
    asyncio.get_running_loop().call_later(0.5, activity.changed)
    assert await activity.wait(now() + 1) is True
    assert await activity.wait(now() + 1) is False
    assert await activity.wait(now() - 1) is False


@virtual
async def test_a_cancelled_wait_is_cancelled_and_not_out_of_time():
    activity = Activity(lambda: None)
    waiting = asyncio.ensure_future(activity.wait(asyncio.get_running_loop().time() + 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    activity.changed()
    await asyncio.sleep(2)
