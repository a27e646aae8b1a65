"""Calls from one thread on the loop of another."""

from __future__ import annotations

import asyncio
import threading

from structlog.testing import capture_logs

from runtime.hosting.engine.link.handover import TURN, Handover


async def test_calls_come_in_order_from_any_thread():
    got = []
    handover = Handover(asyncio.get_running_loop())
    thread = threading.Thread(target=lambda: [handover.call(got.append, number) for number in range(3 * TURN)])
    thread.start()
    thread.join()
    done = asyncio.Event()
    handover.call(done.set)
    await done.wait()
    assert got == list(range(3 * TURN))


async def test_others_get_their_turn():
    got = []
    handover = Handover(asyncio.get_running_loop())
    for number in range(TURN + 1):
        handover.call(got.append, number)
    asyncio.get_running_loop().call_soon(got.append, "other")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert got.index("other") == TURN


async def test_what_waits_is_counted():
    handover = Handover(asyncio.get_running_loop())
    handover.call(len, b"", size=10)
    handover.call(len, b"", size=5)
    assert handover.waiting == (2, 15)
    await asyncio.sleep(0)
    assert handover.waiting == (0, 0)


async def test_a_call_that_fails_is_logged_and_the_next_is_made():
    got = []
    handover = Handover(asyncio.get_running_loop())
    with capture_logs() as logs:
        handover.call(lambda: 1 // 0)
        handover.call(got.append, 1)
        await asyncio.sleep(0)
    assert got == [1]
    assert logs[0]["error"] == "integer division or modulo by zero"


def test_nothing_is_kept_for_a_closed_loop():
    loop = asyncio.new_event_loop()
    loop.close()
    handover = Handover(loop)
    for _ in range(3):
        handover.call(len, b"", size=10)
    assert handover.waiting == (0, 0)
