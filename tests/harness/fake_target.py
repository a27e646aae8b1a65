"""A target that serves `FakeApp` in this process: `--target tests.harness.fake_target:make`."""

from __future__ import annotations

from harness.targets import Endpoint, TimeMode
from tests.harness.app_server import AppServer
from tests.harness.fake_app import FakeApp


class FakeTarget:
    name = "fake"
    capabilities = frozenset({"overload"})
    profile = "seed"
    time_modes = (TimeMode.VIRTUAL, TimeMode.REAL)
    storages = ("memory", "disk")
    time_scale = 1.0

    def __init__(self) -> None:
        self.server: AppServer | None = None

    async def start(self, storage: str) -> Endpoint:
        self.server = AppServer(FakeApp())
        return Endpoint(await self.server.start())

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.stop()


def make() -> FakeTarget:
    return FakeTarget()
