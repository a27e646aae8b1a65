import asyncio

import pytest

from runtime.actor.writes import Writes
from tests.runtime.parts import Log, settle


def build():
    log = Log()
    return Writes(log, "queue"), log


async def test_a_cancelled_caller_does_not_take_its_write_back():
    writes, _ = build()
    release, done = asyncio.Event(), []

    async def write():
        await release.wait()
        done.append(True)

    caller = asyncio.create_task(writes.finish(write()))
    await settle()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    draining = asyncio.create_task(writes.drain())
    await settle()
    assert not draining.done()
    release.set()
    await draining
    assert done == [True]


async def test_a_failure_reaches_the_caller_and_the_log():
    writes, log = build()

    async def write():
        raise OSError("disk full")

    with pytest.raises(OSError):
        await writes.finish(write())
    writes.start(write())
    await writes.drain()
    await settle()
    assert [text for _, text, _ in log.records] == ["queue write failed"] * 2


async def test_draining_waits_for_writes_that_writes_begin():
    writes, _ = build()
    done = []

    async def inner():
        await asyncio.sleep(0)
        done.append(True)

    async def outer():
        writes.start(inner())

    writes.start(outer())
    await writes.drain()
    assert done == [True]
