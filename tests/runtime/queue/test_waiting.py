import asyncio

import pytest

from runtime import clock
from runtime.actor.queue.waiting import abort_wait, wait_until
from tests.runtime.parts import failing, virtual


def future():
    return asyncio.get_running_loop().create_future()


@virtual
async def test_the_deadline_ends_a_wait_and_what_comes_later_is_no_error():
    waited = future()
    assert await wait_until(waited, clock.monotonic() + 1) is False
    abort_wait(waited)


@virtual
async def test_a_settled_future_ends_it_before_the_deadline():
    waited = future()
    asyncio.get_running_loop().call_later(0.5, waited.set_result, None)
    assert await wait_until(waited, clock.monotonic() + 1) is True
    await asyncio.sleep(2)


async def test_an_abort_is_an_error_of_its_own():
    waited = future()
    abort_wait(waited)
    abort_wait(waited)
    assert await failing(wait_until(waited, None)) == "actor.aborted"


@virtual
async def test_a_cancelled_wait_leaves_no_timer():
    waiting = asyncio.ensure_future(wait_until(future(), clock.monotonic() + 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(2)
