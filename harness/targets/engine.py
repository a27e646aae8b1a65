"""The actors of the reference runtime on a real Rivet Engine: an engine of the run's own, and the runtime as its envoy; real time.

With several engines the tests speak to the first, and the envoys are spread over the others: what goes from node to node is then what every
test is about.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from harness import capabilities
from harness.targets.base import Endpoint, TimeMode
from harness.targets.engine_binary import engine_binary
from harness.targets.engine_process import EngineProcess, EngineSettings
from harness.targets.engine_store import SharedStore, database_programs, message_program
from harness.targets.process import TargetProcess, log_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

NAMESPACE = "conform"
POOL = "default"
TOKEN = "dev"
"""Any does: the engine has no admin token (ENGINE-011)."""
SERVE = (sys.executable, "-m", "harness.cli", "serve")


class EngineTarget:
    """Starts `nodes` engines and `envoys` times `conform serve --engine`."""

    # An engine paces the calls before they reach an actor, so that no inbox overflows.
    capabilities = capabilities.ALL - {"admin_token", "runtime_socket", "overload"}
    profile = "seed"
    time_modes = (TimeMode.REAL,)
    storages = ("engine",)
    # Engine and envoy are two processes beside the tests; on two cores they are that much slower than one.
    time_scale = 3.0

    def __init__(
        self, *, name: str = "engine", nodes: int = 1, envoys: int = 1, pegboard: Mapping[str, Any] | None = None, test_mode: bool = True
    ) -> None:
        """Nothing is started.

        Args:
            name: Also the name of its ledger.
            nodes: How many engines; from two on they share PostgreSQL and NATS.
            envoys: How many processes host the fixtures. With two, what is observed through metrics is told for one of them only.
            pegboard: Settings of the engines, see `EngineSettings`.
            test_mode: Whether all actors have the one inspector token and answer probes, as the corpus expects.
        """
        self.name = name
        self._test_mode = test_mode
        self._nodes = nodes
        self._envoys = envoys
        self._pegboard = dict(pegboard or {})
        self._running = AsyncExitStack()
        self._processes: list[EngineProcess | TargetProcess] = []
        self.log_file: Path | None = None

    def prepare(self) -> None:
        """Get the engine when it is not there; done once, before any worker starts.

        Raises:
            TargetError: there is none for this platform, it cannot be fetched, or what several nodes need is not installed.
        """
        engine_binary()
        if self._nodes > 1:
            database_programs()
            message_program()

    async def start(self, storage: str) -> Endpoint:
        """Start engines and envoys.

        Raises:
            TargetError: they did not come up.
        """
        self.log_file = log_file()
        # From the last to the first they end: envoys say goodbye to an engine, engines to their store.
        self._running.callback(self.log_file.unlink, missing_ok=True)
        engines = await self._start_engines(self.log_file)
        endpoint = Endpoint(engines[0].url, NAMESPACE, POOL, TOKEN)
        for number in range(self._envoys):
            # Only an engine that is alone serves both sides.
            host = (engines[1:] or engines)[number % max(1, len(engines) - 1)]
            said = await self._start_envoy(host.url, self.log_file)
            endpoint = replace(said, url=endpoint.url)
        return endpoint

    async def _start_engines(self, log: Path) -> list[EngineProcess]:
        settings = EngineSettings(self._pegboard)
        if self._nodes > 1:
            store = SharedStore(log)
            self._running.push_async_callback(store.stop)
            await store.start()
            settings = replace(settings, store=store.blocks)
        program = engine_binary()
        engines: list[EngineProcess] = []
        for _ in range(self._nodes):
            engine = EngineProcess(program, settings, log=log)
            await self._running.enter_async_context(engine)
            self._processes.append(engine)
            engines.append(engine)
            # One datacenter is known by one address, that of its first node.
            settings = replace(settings, leader=engines[0].ports)
        return engines

    async def _start_envoy(self, url: str, log: Path) -> Endpoint:
        command = [*SERVE, "--engine", url, "--namespace", NAMESPACE, "--pool", POOL, "--token", TOKEN]
        environment = {"_RIVET_TEST_INSPECTOR_TOKEN": "token", "VITEST": "1"} if self._test_mode else {}
        envoy = TargetProcess(command, environment=environment, log=log, dies_with_us=True)
        self._running.push_async_callback(envoy.stop)
        endpoint = await envoy.start()
        self._processes.append(envoy)
        return endpoint

    async def ended(self) -> str:
        """Wait until one of the processes ends without having been told to; which, how, and the end of the log."""
        waiting = [asyncio.ensure_future(one.ended()) for one in self._processes]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def stop(self) -> None:
        """Stop all of them and remove their data."""
        self._processes.clear()
        await self._running.aclose()
        self.log_file = None
