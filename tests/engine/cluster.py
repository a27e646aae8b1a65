"""Two engines with one store, and the address that stands for both."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.targets.engine_process import EngineProcess, EngineSettings, free_ports
from harness.targets.engine_store import SharedStore
from tests.engine.engines import PATIENT
from tests.engine.unreliable_network import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Cluster:
    """The nodes, and a relay in front that goes to the first of them that takes a connection."""

    def __init__(self, nodes: list[EngineProcess], front: Relay) -> None:
        self.nodes = nodes
        self._front = front

    @property
    def url(self) -> str:
        """The common address."""
        return f"http://127.0.0.1:{self._front.port}"

    async def kill(self, node: int) -> None:
        """SIGKILL for one node."""
        await self.nodes[node].halt(signal.SIGKILL)


@asynccontextmanager
async def cluster_of_two(program: Path, log: Path) -> AsyncIterator[Cluster]:
    """Two nodes; everything is ended and removed at the end of the block."""
    store = SharedStore(log)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.stop)
        await store.start()
        ports = [free_ports(), free_ports()]
        front = Relay(*(one.gateway for one in ports))
        await front.start()
        stack.push_async_callback(front.close)
        # For 10 s after the loss of the leader nothing is written, the signs of life of envoys included.
        # The datacenter is known by the address that outlives each of its nodes.
        settings = EngineSettings(pegboard=PATIENT, store=store.blocks, leader=replace(ports[0], gateway=front.port))
        nodes = [await stack.enter_async_context(EngineProcess(program, settings, ports=one)) for one in ports]
        yield Cluster(nodes, front)
