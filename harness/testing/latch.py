"""Latches: a test makes the window that it is about, instead of hoping to hit it.

A program of an interpreter actor stops at its step `latch`, tells the actor `interpreterLatch`, and goes on when the test lets it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from client import ActorError
from harness.errors import TimingMissed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.testing.handles import TrackedHandle
    from harness.testing.witness import Witness

PAUSE = 0.02
"""Seconds between two looks for a latch that nobody has come to."""
# Long polls, so that the test learns of an arrival in the moment of it.
POLL = 2000
"""Milliseconds that one question to the latch may wait for its answer."""


class LatchOwner(Protocol):
    """What a latch uses of the `conform` of its test."""

    @property
    def key(self) -> Sequence[str]:
        """The key of the test; its first part is the test's own."""
        ...

    @property
    def witness(self) -> Witness:
        """Counts the windows that the test hit."""
        ...

    def limit(self, seconds: float) -> float:
        """The limit of time as it is on this target."""
        ...

    def get(self, name: str, key: Any) -> TrackedHandle:
        """A handle to an actor that is there."""
        ...

    def get_or_create(self, name: str, key: Any) -> TrackedHandle:
        """A handle that creates the actor."""
        ...


class Latch:
    """One named latch of a test: `await latch.arrived()`, do what belongs into the window, `await latch.release()`."""

    def __init__(self, conform: LatchOwner, name: str) -> None:
        """Made by `conform.latch`."""
        self._conform = conform
        self._name = name
        # Below the test's own key, so that two tests may call their latches alike.
        self._key = [conform.key[0], name]

    async def arrived(self, timeout: float = 15.0, *, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many programs have come to the latch; who they are: `{actorId, start, place}`. Counts as a witness that was hit.

        Raises:
            TimingMissed: they did not come within `timeout` seconds.
        """
        # Scaled by the target, as what the latch waits for is the target's own speed.
        limit = self._conform.limit(timeout)
        deadline = asyncio.get_running_loop().time() + limit
        arrivals: list[dict[str, Any]] = []
        while len(arrivals) < count:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                self._conform.witness.hit(f"latch {self._name}", False)
                raise TimingMissed(f"{len(arrivals)} of {count} came to the latch {self._name!r} within {limit:g} s")
            arrivals = await self._arrivals(count, min(POLL, max(1, round(left * 1000))))
        self._conform.witness.hit(f"latch {self._name}")
        return arrivals

    async def release(self, count: int | None = None) -> None:
        """Let go whoever is there and comes, or only so many more."""
        handle = self._conform.get_or_create("interpreterLatch", self._key)
        await handle.action("release", *([] if count is None else [count]))

    async def _arrivals(self, count: int, ms: int) -> list[dict[str, Any]]:
        # Not created here: a target may fail one of two calls that create an actor at the same time.
        try:
            found: list[dict[str, Any]] = await self._conform.get("interpreterLatch", self._key).action("arrived", count, ms)
        except ActorError as error:
            if (error.group, error.code) != ("actor", "not_found"):
                raise
            await asyncio.sleep(PAUSE)
            return []
        return found
