"""A target that is flaky on purpose, at known rates and in known ways: `--target tests.harness.flaky_target:make`.

Its coins are seeded and counted in files (`FLAKY_COINS` names the directory), so that the n-th answer of each kind is the same in every run
of the tests, whichever process gives it.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from harness.flake.contention import VARIABLE
from harness.targets import Endpoint
from tests.harness.app_server import AppServer
from tests.harness.fake_app import FakeApp
from tests.harness.fake_target import FakeTarget

COINS, SEED = "FLAKY_COINS", "FLAKY_SEED"
"""Variables of the environment: the directory of the counters, and the seed of the coins (0)."""
RARE, RACE, LEFT, CALM, GONE = 0.1, 0.5, 0.5, 0.3, 0.3
"""Chances: of a rare wrong answer, of a lost race, that something is left behind, of a wrong answer on a calm machine, and of one that
never comes back once the directory of the counters has a file `over`."""


def coin(kind: str, rate: float) -> bool:
    """Whether the next answer of this kind is wrong."""
    descriptor = os.open(Path(os.environ[COINS]) / kind, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, b".")
        count = os.lseek(descriptor, 0, os.SEEK_CUR)
    finally:
        os.close(descriptor)
    return random.Random(f"{os.environ.get(SEED, 0)}:{kind}:{count}").random() < rate


class FlakyApp(FakeApp):
    """Answers 500 when something went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.left_behind = False

    async def _http(self, scope, body: bytes) -> tuple[int, bytes]:
        path = scope["path"]
        wrong = False
        if path == "/rare":
            wrong = coin("rare", RARE)
        elif path == "/race":
            wrong = coin("race", RACE)
        elif path == "/leave":
            self.left_behind = self.left_behind or coin("leave", LEFT)
        elif path == "/find":
            wrong = self.left_behind
        elif path == "/gone":
            wrong = coin("gone", GONE) and not (Path(os.environ[COINS]) / "over").exists()
        elif path == "/load":
            # Too slow whenever others want the processor, and now and then anyway.
            wrong = coin("load", CALM) or VARIABLE in os.environ
        else:
            return await super()._http(scope, body)
        return (500 if wrong else 200), b""


class FlakyTarget(FakeTarget):
    name = "flaky"

    async def start(self, storage: str) -> Endpoint:
        self.server = AppServer(FlakyApp())
        return Endpoint(await self.server.start())


def make() -> FlakyTarget:
    return FlakyTarget()
