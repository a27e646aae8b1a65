"""The engines of these tests: real ones, with thresholds that are short enough to be waited for."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from harness.targets.engine_process import EngineProcess, EngineSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOST = 2.0
"""Seconds without a sign of life after which the engine gives the actors of a process to others."""
# Lowered together: each of them alone would be the one that is waited for (ENGINE-220).
THRESHOLDS = {
    "envoy_lost_threshold": int(LOST * 1000), "envoy_ping_timeout": 2000, "envoy_update_ping_interval": 500,
    "envoy_eligible_threshold": 1500, "actor_stop_threshold": 60_000,
}  # fmt: skip

PATIENT = {"actor_stop_threshold": 60_000}
"""For what takes longer than short thresholds bear: an engine that comes back after them finds no envoy that it may use, and asks again
later and later (ENGINE-101)."""


class Engine(EngineProcess):
    """One engine with a directory of its own."""

    def __init__(self, program: Path, pegboard: Mapping[str, int] = THRESHOLDS) -> None:
        """Nothing is started."""
        super().__init__(program, EngineSettings(pegboard=pegboard))

    @property
    def port(self) -> int:
        """Where clients and envoys reach it."""
        return self.ports.gateway

    async def restart(self, *, kill: bool) -> None:
        """End it and start it again with the same data."""
        await self.halt(signal.SIGKILL if kill else signal.SIGTERM)
        await self.start()
