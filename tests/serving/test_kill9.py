"""Acknowledged writes survive `kill -9` of the serving process."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from client import ActorError, Client, HttpFailureError, RetryPolicy
from tests.serving.process import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak import Record

ACTORS = 16
IMPATIENT = RetryPolicy(outer_delays=(), attempts_get_or_create=1, attempts_get=1)


async def _save_until_killed(client: Client, index: int, acknowledged: dict[int, int], attempted: dict[int, int]) -> None:
    """Save ever larger values; remember each acknowledgement."""
    handle = client.get_or_create("destroyActor", [f"actor-{index}"])
    with contextlib.suppress(httpx.HTTPError, ActorError, HttpFailureError):
        while True:
            value = attempted[index] = attempted[index] + 1
            assert await handle.action("setValue", value) == value
            acknowledged[index] = value


async def _stored(endpoint: str) -> dict[int, Any]:
    async with Client(endpoint) as client:
        handles = {index: client.get_or_create("destroyActor", [f"actor-{index}"]) for index in range(ACTORS)}
        values = await asyncio.gather(*(handle.action("getValue") for handle in handles.values()))
        return dict(zip(handles, values, strict=True))


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=[pytest.mark.soak, pytest.mark.timeout(400)])])
async def test_no_acknowledged_immediate_save_is_lost(tmp_path: Path, kills: int, record_property: Record) -> None:
    """Rounds of "acknowledged, then killed" lose nothing and invent nothing (RUN-141, RUN-146, STOP-035)."""
    random_source = random.Random(20)
    acknowledged = dict.fromkeys(range(ACTORS), 0)
    attempted = dict.fromkeys(range(ACTORS), 0)
    for _ in range(kills):
        async with serving(tmp_path) as process:
            stored = await _stored(process.endpoint)
            for index in range(ACTORS):
                assert acknowledged[index] <= stored[index] <= attempted[index]
                acknowledged[index] = stored[index]
            async with Client(process.endpoint, policy=IMPATIENT) as client:
                before = dict(acknowledged)
                writers = [asyncio.create_task(_save_until_killed(client, index, acknowledged, attempted)) for index in range(ACTORS)]
                while sum(acknowledged.values()) - sum(before.values()) < random_source.randint(ACTORS, 4 * ACTORS):  # noqa: ASYNC110 - yields to the writers
                    await asyncio.sleep(0)
                await process.kill()
                await asyncio.gather(*writers)
    async with serving(tmp_path) as process:
        stored = await _stored(process.endpoint)
    assert all(acknowledged[index] <= stored[index] <= attempted[index] for index in range(ACTORS))
    assert sum(acknowledged.values()) >= kills * ACTORS
    record_property("figures", f"{kills} kills of {ACTORS} writers, {sum(acknowledged.values())} acknowledged saves, 0 lost")
