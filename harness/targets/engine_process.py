"""A throw-away Rivet Engine: one process on loopback with ports and data of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TargetError
from harness.targets.child import answers, end, how_it_ended
from harness.targets.mortal import mortal

if TYPE_CHECKING:
    from collections.abc import Mapping

HEALTHY = 90.0
"""Seconds until a started engine must be healthy (ENGINE-003)."""
STOP = 3.0
"""Seconds from SIGTERM to SIGKILL: with a client's socket open an engine drains for minutes (ENGINE-006)."""
LOG_TAIL = 2000

# A corpus creates actors faster and floods single sockets harder than the defaults allow.
PEGBOARD = {"actor_create_rate_limit_requests": 100_000, "gateway_websocket_rate_limit_requests": 100_000}
# By default an engine takes on less work the busier the whole machine is, and on a machine of CI one creation in ten then waits 15 s. The
# pairs are use and share of the work taken, per mille: all of it, up to a use that no machine reaches.
RUNTIME = {"worker_load_shedding_curve": [[1_000_000, 1000], [2_000_000, 0]]}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one engine listens on loopback: clients and envoys, other engines, metrics."""

    gateway: int
    peer: int
    metrics: int

    @property
    def url(self) -> str:
        """Where clients and envoys reach it."""
        return f"http://127.0.0.1:{self.gateway}"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What differs from engine to engine.

    Attributes:
        pegboard: Limits and thresholds in milliseconds, such as `{"envoy_lost_threshold": 2000}` (ENGINE-220).
        store: The blocks `postgres` and `nats` of an engine that shares its data with others; without, it has a directory of its own.
        leader: Ports of the engine that the datacenter is known by; without, it is this one.
    """

    pegboard: Mapping[str, Any] = field(default_factory=dict)
    store: Mapping[str, Any] = field(default_factory=dict)
    leader: Ports | None = None


def free_ports() -> Ports:
    """Three different ports that are free now (ENGINE-001)."""
    # All are held until the last is known.
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return Ports(*(int(probe.getsockname()[1]) for probe in probes))


def configuration(ports: Ports, settings: EngineSettings) -> dict[str, Any]:
    """The configuration file of an engine (ENGINE-001)."""
    leader = settings.leader or ports
    datacenter = {
        "datacenter_label": 1, "is_leader": True, "public_url": leader.url, "peer_url": f"http://127.0.0.1:{leader.peer}",
    }  # fmt: skip
    return {
        "topology": {"datacenter_label": 1, "datacenters": {"default": datacenter}},
        "pegboard": {**PEGBOARD, **settings.pegboard},
        "runtime": RUNTIME,
        **settings.store,
    }


def environment(ports: Ports, settings: EngineSettings, data: Path) -> dict[str, str]:
    """The environment of an engine: ours without what would change its configuration, telemetry off (ENGINE-001, ENGINE-002)."""
    ours = {name: value for name, value in os.environ.items() if not name.upper().startswith("RIVET__")}
    addresses = {
        f"RIVET__{name}__{part}": value
        for name, port in (("GUARD", ports.gateway), ("API_PEER", ports.peer), ("METRICS", ports.metrics))
        for part, value in (("HOST", "127.0.0.1"), ("PORT", str(port)))
    }
    place = {} if settings.store else {"RIVET__FILE_SYSTEM__PATH": str(data)}
    return {"RUST_LOG": "warn", **ours, "RIVET__TELEMETRY__ENABLED": "false", **addresses, **place}


class EngineProcess:
    """One engine; what it keeps outlives `halt`, and goes with `close`.

    async with EngineProcess(engine_binary()) as engine:
        ...                                   # engine.url answers
        await engine.halt(signal.SIGKILL)     # as if the machine had gone
        await engine.start()                  # the same data, the same address
    """

    def __init__(
        self, program: Path, settings: EngineSettings | None = None, *, log: Path | None = None, ports: Ports | None = None
    ) -> None:
        """Nothing is started.

        Args:
            program: See `engine_binary`.
            settings: What differs from the usual.
            log: What it prints is appended here; without, to a file among its data.
            ports: Where it listens; without, on free ones.
        """
        self._program = program
        self._settings = settings or EngineSettings()
        self.ports = ports or free_ports()
        self.directory = Path(tempfile.mkdtemp(prefix="conform-engine-"))
        self.log_file = log or self.directory / "engine.log"
        self._config = self.directory / "engine.json"
        self._config.write_text(json.dumps(configuration(self.ports, self._settings)), encoding="utf-8")
        self._environment = environment(self.ports, self._settings, self.directory / "db")
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> EngineProcess:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """Where clients and envoys reach it."""
        return self.ports.url

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, again if it was halted, and wait until it is healthy (ENGINE-003, ENGINE-008).

        Raises:
            TargetError: it ended, or was not healthy in time; with the end of what it printed.
        """
        assert self._process is None, "it runs"
        if self._settings.store:
            await self._check_store()
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *mortal([str(self._program), "start", "--config", str(self._config)], os.getpid()),
                env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            await answers(self._process, self.url, HEALTHY)
        except TargetError as error:
            raise TargetError(f"the engine {self._program}: {error}{self._tail()}") from error

    async def ended(self) -> str:
        """Wait until it ends without having been told to; how it ended, and the end of what it printed."""
        assert self._process is not None
        return f"the engine ended {how_it_ended(await self._process.wait())}{self._tail()}"

    async def halt(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force after 3 s; its data stays."""
        process, self._process = self._process, None
        if process is not None:
            await end(process, how, STOP)

    async def close(self) -> None:
        """End it and remove its data."""
        await self.halt()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def _check_store(self) -> None:
        """Look whether it took the store: a block with a mistake in it is dropped without a word (ENGINE-009)."""
        process = await asyncio.create_subprocess_exec(
            str(self._program), "config", "show", "--config", str(self._config),
            env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        told, _ = await process.communicate()
        shown = told.decode(errors="replace")
        missing = [name for name in self._settings.store if f"{name.capitalize()} {{" not in shown]
        if missing:
            raise TargetError(f"the engine did not take {' and '.join(missing)} of its configuration; it has:\n{shown[-LOG_TAIL:]}")

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            text = self.log_file.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:].strip()
            return f"; its log ends with:\n{text}" if text else ""
        return ""
