"""The seam between the harness and a runtime under test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class TimeMode(StrEnum):
    """How a session's time passes: `virtual` needs a target in this process, on the session's own loop."""

    VIRTUAL = "virtual"
    REAL = "real"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a started target answers."""

    url: str
    namespace: str = "default"
    pool: str = "default"
    token: str | None = None


# A protocol, so that somebody else's target imports nothing of the harness.
class Target(Protocol):
    """A runtime under test that hosts the standard fixtures.

    A target may besides have

    - `prepare()`, called once before any worker starts, and `async preflight()`, awaited then; either raises `TargetError`;
    - `preload`, names of modules that are imported before workers are forked, and `fork_safe = False` when a worker must not be forked;
    - `async ended()`, which returns what is known of the end of a started target when it ends without having been asked to;
    - `log_file`, a path to what it prints.

    One instance serves one session in one storage; it stays up from the first test to the last. `start` and `stop` are awaited on the
    loop the tests run on.
    """

    @property
    def name(self) -> str:
        """Short name; also the name of its ledger."""
        ...

    @property
    def capabilities(self) -> frozenset[str]:
        """What it declares to be able to do (`harness.capabilities.KNOWN`)."""
        ...

    @property
    def profile(self) -> str:
        """The frozen requirement set it promises: `peer-2.3` or `seed`."""
        ...

    @property
    def time_modes(self) -> tuple[TimeMode, ...]:
        """The time modes it can run in, the default first."""
        ...

    @property
    def storages(self) -> tuple[str, ...]:
        """The storages it can be started with, the default first."""
        ...

    @property
    def time_scale(self) -> float:
        """Factor on the time limit of every test; more than 1 for a slow target."""
        ...

    async def start(self, storage: str) -> Endpoint:
        """Bring it up and return when it answers.

        Raises:
            TargetError: it did not come up; the message says what was tried.
        """
        ...

    async def stop(self) -> None:
        """Bring it down; safe to call when `start` failed."""
        ...
