"""Two engine nodes on one PostgreSQL and NATS, two processes of ours, one on each node."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.engine.envoys import envoy
from tests.engine.writers import client_of, writing

if TYPE_CHECKING:
    from tests.engine.cluster import Cluster
    from tests.soak import Record

pytestmark = pytest.mark.timeout(300, func_only=True)

ACTORS = 20


@pytest.mark.parametrize("victim", [0, 1], ids=["leader", "follower"])
async def test_a_node_that_is_killed_loses_nothing(cluster: Cluster, victim: int, record_property: Record) -> None:
    """Its envoy goes on at the other node behind the common address; clients of the other node notice a pause at most."""
    async with AsyncExitStack() as stack:
        # Both by the common address: that is what survives the loss of a node.
        for _ in range(2):
            await stack.enter_async_context(envoy(cluster.url))
        client = await stack.enter_async_context(client_of(cluster.nodes[1 - victim].url))
        async with writing(client, ACTORS) as writers:
            assert len(writers.processes()) == 2
            died = time.monotonic()
            await cluster.kill(victim)
            await writers.all_answered(time.monotonic(), limit=120)
            recovery = writers.recovery(died)
            await asyncio.sleep(1)
        found = await writers.check()
    record_property(
        "figures",
        f"2 nodes, 2 processes, {ACTORS} actors; every one answered {recovery:.1f} s after kill -9 of a node; {found}",
    )
