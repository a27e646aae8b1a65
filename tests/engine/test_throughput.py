"""What a second process of ours buys for work that takes a processor, as a ratio."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.engine.envoys import envoys
from tests.engine.writers import client_of

if TYPE_CHECKING:
    from tests.engine.engines import Engine
    from tests.soak import Record

pytestmark = pytest.mark.timeout(180, func_only=True)

MILLISECONDS = 20
CALLS = 400
ACTORS = 32


async def test_two_processes_share_work_that_takes_a_processor(engine: Engine, record_property: Record) -> None:
    """Calls per second of an action that costs 20 ms of CPU, with one process and with two; both take part."""
    rates = []
    for count in (1, 2):
        async with envoys(engine.url, count) as processes:
            rate, who = await _rate(engine.url, f"with-{count}")
            assert who == {one.pid for one in processes}
        rates.append(rate)
    record_property(
        "figures",
        f"{CALLS} calls of {MILLISECONDS} ms over {ACTORS} actors, WebSockets: {rates[0]:.0f} per second with 1 process,"
        f" {rates[1]:.0f} with 2: {rates[1] / rates[0]:.2f}x on {os.cpu_count()} processors, which the engine and the client share",
    )


async def _rate(engine: str, name: str) -> tuple[float, set[int]]:
    async with client_of(engine) as client:
        connections = [client.get_or_create("burner", [f"{name}-{index}"]).connect() for index in range(ACTORS)]
        try:
            await asyncio.gather(*(one.action("burn", 0) for one in connections))
            began = time.monotonic()
            answers = await asyncio.gather(*(_burn(one, CALLS // ACTORS) for one in connections))
            return CALLS / (time.monotonic() - began), set().union(*answers)
        finally:
            await asyncio.gather(*(one.dispose() for one in connections))


async def _burn(connection: object, calls: int) -> set[int]:
    return {await connection.action("burn", MILLISECONDS) for _ in range(calls)}  # type: ignore[attr-defined]
