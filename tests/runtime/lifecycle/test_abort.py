import asyncio

import pytest

from runtime.actor.lifecycle.abort import AbortSignal


async def test_listeners_run_once_in_order_and_a_failing_one_stops_nobody():
    signal, seen = AbortSignal(), []
    signal.add_listener(lambda: seen.append(1))
    signal.add_listener(lambda: 1 / 0)
    signal.add_listener(lambda: seen.append(2))
    signal.fire()
    signal.fire()
    assert seen == [1, 2]


async def test_a_removed_listener_is_not_called():
    signal, seen = AbortSignal(), []
    remove = signal.add_listener(lambda: seen.append(1))
    remove()
    remove()
    signal.fire()
    assert seen == []


async def test_a_late_listener_is_called_at_once():
    signal, seen = AbortSignal(), []
    signal.fire()
    signal.add_listener(lambda: seen.append(1))
    assert seen == [1]


async def test_wait_returns_when_it_fires_and_at_once_afterwards():
    signal = AbortSignal()
    waiting = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    signal.fire()
    await waiting
    await signal.wait()


async def test_a_cancelled_wait_leaves_the_others_waiting():
    signal = AbortSignal()
    first, second = asyncio.create_task(signal.wait()), asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    signal.fire()
    await second
