"""Two processes of ours on one engine, of which one is killed, paused or replaced while clients write."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.engine.engines import LOST
from tests.engine.envoys import envoy, envoys
from tests.engine.writers import client_of, writing

if TYPE_CHECKING:
    from tests.engine.engines import Engine
    from tests.soak import Record

pytestmark = pytest.mark.timeout(240, func_only=True)

ACTORS = 40


async def test_a_killed_process_loses_nothing(engine: Engine, record_property: Record) -> None:
    """Every actor answers again from the other process, all that was acknowledged is there, and nothing of an ended generation."""
    async with envoys(engine.url, 2) as (first, second), client_of(engine.url) as client:
        async with writing(client, ACTORS) as writers:
            placed = writers.processes()
            assert min(placed.get(first.pid, 0), placed.get(second.pid, 0)) >= ACTORS // 5, f"actors are not spread: {placed}"
            died = time.monotonic()
            await first.kill()
            await writers.all_answered(died, limit=60)
            recovery = writers.recovery(died)
        assert set(writers.processes()) == {second.pid}
        found = await writers.check()
    record_property(
        "figures",
        f"{ACTORS} actors, {placed[first.pid]} and {placed[second.pid]}; every one answered {recovery:.1f} s after kill -9"
        f" (lost threshold {LOST:g} s); {found}",
    )


async def test_what_a_paused_process_writes_when_it_goes_on_is_refused(engine: Engine, record_property: Record) -> None:
    """A process that was stopped past the threshold still has its actors in memory, and they write on: nothing of it is stored."""
    async with envoys(engine.url, 2) as (first, second), client_of(engine.url) as client:
        async with writing(client, ACTORS) as writers:
            # Half of the actors also write by themselves, so that there is something that would be stored afterwards.
            await asyncio.gather(*(book.handle.action("tick") for book in writers.books[::2]))
            paused = time.monotonic()
            first.signal(signal.SIGSTOP)
            await writers.all_answered(paused, limit=60)
            moved = writers.recovery(paused)
            went_on = time.monotonic()
            first.signal(signal.SIGCONT)
            # Long enough for every tick and buffered request of the paused process to have been tried.
            await asyncio.sleep(3)
            await writers.all_answered(went_on + 3, limit=60)
        found = await writers.check()
    del second
    record_property(
        "figures",
        f"{ACTORS} actors; moved {moved:.1f} s after SIGSTOP; {found}, none of an ended generation",
    )


async def test_a_rolling_restart_loses_no_request(engine: Engine, record_property: Record) -> None:
    """New processes of a higher version, then SIGTERM for the old ones: every request is answered, none with an error."""
    async with AsyncExitStack() as stack, client_of(engine.url) as client:
        old = await stack.enter_async_context(envoys(engine.url, 2))
        async with writing(client, ACTORS) as writers:
            new = await stack.enter_async_context(envoys(engine.url, 2, version=2))
            longest = 0.0
            for one in old:
                began = time.monotonic()
                one.signal(signal.SIGTERM)
                assert await asyncio.wait_for(one.ended(), 45) in (0, -signal.SIGTERM)
                longest = max(longest, time.monotonic() - began)
            await writers.all_answered(time.monotonic(), limit=60)
        assert set(writers.processes()) <= {one.pid for one in new}
        slowest = max(took for book in writers.books for _, took in book.times)
        found = await writers.check()
    assert not writers.failures, writers.failures[:5]
    record_property(
        "figures",
        f"{ACTORS} actors, 2 processes replaced by 2; longest drain {longest:.1f} s, slowest request {slowest:.1f} s; {found}",
    )


async def test_a_process_with_the_key_of_another_takes_its_place(engine: Engine) -> None:
    """Two processes that the engine takes for one: the older one ends by itself and says why (ENGINE-052)."""
    async with envoy(engine.url, key="the-same") as older, envoy(engine.url, key="the-same", listed=False):
        code = await asyncio.wait_for(older.ended(), 20)
        said = older.said()
    assert code not in (0, -signal.SIGKILL)
    assert "evict" in said.lower()


async def test_newcomers_share_what_is_created_after_they_came(engine: Engine) -> None:
    """A newcomer gets new placements; running actors stay where they are."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(envoy(engine.url))
        client = await stack.enter_async_context(client_of(engine.url))
        before = await stack.enter_async_context(writing(client, 10, name="before"))
        second = await stack.enter_async_context(envoy(engine.url))
        after = await stack.enter_async_context(writing(client, ACTORS, name="after"))
        assert set(after.processes()) == {first.pid, second.pid}
        assert set(before.processes()) == {first.pid}
