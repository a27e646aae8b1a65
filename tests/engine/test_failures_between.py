"""The engine dies, or the network between it and a process of ours, while clients write."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.engine.engines import LOST
from tests.engine.envoys import envoy
from tests.engine.unreliable_network import relay
from tests.engine.writers import client_of, writing

if TYPE_CHECKING:
    from tests.engine.engines import Engine
    from tests.soak import Record

pytestmark = pytest.mark.timeout(240, func_only=True)

ACTORS = 20
RESTARTS = 3


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "ended"])
async def test_an_engine_that_restarts_loses_nothing(patient_engine: Engine, kill: bool, record_property: Record) -> None:
    """The same data directory, a new process: what was acknowledged is there, and actors answer again."""
    async with envoy(patient_engine.url), client_of(patient_engine.url) as client:
        async with writing(client, ACTORS) as writers:
            longest = 0.0
            for _ in range(RESTARTS):
                # Somewhere in the middle of commits, and each time elsewhere.
                await asyncio.sleep(0.7)
                began = time.monotonic()
                await patient_engine.restart(kill=kill)
                await writers.all_answered(time.monotonic(), limit=90)
                longest = max(longest, writers.recovery(began))
        found = await writers.check()
    record_property(
        "figures",
        f"{RESTARTS} restarts, {ACTORS} actors; longest until every one answered {longest:.1f} s; {found}",
    )


@pytest.mark.parametrize("seconds", [LOST / 3, LOST * 3], ids=["shorter", "longer"])
async def test_a_network_that_is_cut_loses_nothing(engine: Engine, seconds: float, record_property: Record) -> None:
    """For less than the lost threshold the same generations go on; for more they are given away and begin anew."""
    async with relay(engine.port) as wire, envoy(f"http://127.0.0.1:{wire.port}", ask=engine.url), client_of(engine.url) as client:
        async with writing(client, ACTORS) as writers:
            before = [book.generation for book in writers.books]
            began = time.monotonic()
            wire.cut()
            await asyncio.sleep(seconds)
            wire.mend()
            await writers.all_answered(time.monotonic(), limit=90)
            recovery = writers.recovery(began + seconds)
        found = await writers.check()
    after = [book.generation for book in writers.books]
    if seconds < LOST:
        assert after == before, "a short cut cost generations their lives"
    else:
        went_on = [book for book, number in zip(writers.books, before, strict=True) if book.generation <= number]
        assert not went_on, "generations went on although the engine had given them away"
    record_property(
        "figures",
        f"cut for {seconds:.1f} s (lost threshold {LOST} s), {ACTORS} actors; every one answered {recovery:.1f} s after it was mended;"
        f" {found}",
    )
