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


async def test_a_child_that_nobody_listens_to_is_gone_with_who_asked_for_it():
    signal = AbortSignal()
    for _ in range(100):
        assert not signal.child().aborted
    await asyncio.sleep(0)
    assert (len(signal._listeners), len(signal._kept)) == (0, 0)


async def test_a_child_that_somebody_listens_to_is_kept_and_fired():
    signal, seen = AbortSignal(), []
    signal.child().add_listener(lambda: seen.append("listener"))
    remove = signal.child().add_listener(lambda: seen.append("removed"))
    waiting = asyncio.create_task(signal.child().wait())
    gone = asyncio.create_task(signal.child().wait())
    await asyncio.sleep(0)
    remove()
    gone.cancel()
    await asyncio.wait([gone])
    del gone
    assert len(signal._kept) == 2
    signal.fire()
    await waiting
    assert (seen, len(signal._kept)) == (["listener"], 0)
    assert signal.child().aborted


async def test_a_child_may_fire_before_its_parent_and_be_let_go():
    signal, seen = AbortSignal(), []
    early, let_go = signal.child(), signal.child()
    early.add_listener(lambda: seen.append("early"))
    let_go.add_listener(lambda: seen.append("never"))
    early.fire()
    let_go.unlink()
    let_go.unlink()
    assert (seen, signal.aborted, len(signal._listeners), len(signal._kept)) == (["early"], False, 0, 0)
    signal.fire()
    assert seen == ["early"]
