"""The targets of a session, and noticing when one of them dies.

A dead target fails every test after it in the most expensive way, each waiting for its whole time limit. So the end of a target ends the
test under way at once, which gets the one verdict that names the cause; what comes after it is *blocked* by that test, or, when the caller
asked for it, runs on the target started again.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import Blocked, TargetDied, TargetError
from harness.targets import TimeMode, resolve
from harness.targets.url import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.masking import Mask
    from harness.session.corpus import CorpusTest
    from harness.targets import Endpoint, Target, TargetOptions

    Abort = Callable[[Exception], None]

# Shorter than the wait at the start: it answered before, and every failing test pays for this look.
ALIVE = 5.0
"""Seconds a target has to answer `GET /health` after a test went wrong, before it is taken to be dead."""


@dataclass(slots=True)
class Deployment:
    """One started target.

    Attributes:
        death: how it ended, once it has.
        during: the test that ran when it did.
    """

    target: Target
    endpoint: Endpoint
    death: str | None = None
    during: CorpusTest | None = None
    _abort: Abort | None = None
    _watching: asyncio.Task[None] | None = field(default=None, repr=False)

    @contextmanager
    def watched(self, test: CorpusTest, abort: Abort | None) -> Iterator[None]:
        """While the block lasts, the end of the target ends the test."""
        self.during, self._abort = test, abort
        try:
            yield
        finally:
            self._abort = None

    def watch(self) -> None:
        """Notice the end of a target that can tell."""
        if hasattr(self.target, "ended"):
            self._watching = asyncio.get_running_loop().create_task(self._wait())

    async def unwatch(self) -> None:
        """From here on its end is no surprise."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
            self._watching = None

    async def check(self, test: CorpusTest) -> None:
        """Ask a target that runs elsewhere whether it is alive; called when a test went wrong."""
        # A target on this loop would be dead with us; and asking it costs virtual time that the next test would see.
        if self.death is None and TimeMode.VIRTUAL not in self.target.time_modes:
            try:
                await reach(self.endpoint.url, ALIVE)
            except TargetError as error:
                self.death, self.during = str(error), test

    async def _wait(self) -> None:
        # Kept even when no test runs: the next one that wants the target is told, instead of waiting for its whole limit.
        self.death = await self.target.ended()  # type: ignore[attr-defined]
        if self._abort is not None:
            self._abort(TargetDied(f"the target died: {self.death}"))


class Deployments:
    """One target per storage, started on first use, up until the session ends."""

    def __init__(self, options: TargetOptions, mask: Mask, *, restart: bool, give_up: Callable[[str], None]) -> None:
        """Nothing is started yet.

        Args:
            options: The target.
            mask: Learns the token that a target says it has.
            restart: Whether one that died is started again.
            give_up: Called with what keeps the session from going on; it ends the session.
        """
        self._options = options
        self._mask = mask
        self._restart = restart
        self._give_up = give_up
        self._running: dict[str, Deployment] = {}

    async def get(self, test: CorpusTest) -> Deployment:
        """The target with the storage that this test is for.

        Raises:
            TargetError: it does not start, and the session ends.
            Blocked: it died during another test.
        """
        storage = test.variant.storage
        found = self._running.get(storage)
        if found is not None and found.death is not None:
            assert found.during is not None
            if not self._restart:
                raise Blocked(str(found.during.id), f"the target died: {found.death}")
            # Before the stop: if that fails as well, the next test starts anew and does not find the dead one again.
            del self._running[storage]
            await found.unwatch()
            await found.target.stop()
        if storage not in self._running:
            self._running[storage] = await self._start(storage)
        return self._running[storage]

    async def _start(self, storage: str) -> Deployment:
        # A new instance for each storage and each life: a target keeps what it started (process, port, directory) in itself.
        target = resolve(self._options)
        try:
            deployment = Deployment(target, await target.start(storage))
        except Exception as error:
            await target.stop()
            # What somebody's own target class raises is its adapter's fault, and is to be blamed on it, not on the harness
            # (`Blame.ADAPTER`).
            known = isinstance(error, TargetError)
            found = error if known else TargetError(f"target {target.name}: {type(error).__name__}: {error}")
            self._give_up(str(found))
            if known:
                raise
            raise found from error
        # Before anything is written: a target may make up its token when it starts, so no option told it.
        self._mask.learn(deployment.endpoint.token)
        deployment.watch()
        return deployment

    async def stop(self) -> None:
        """Stop them all."""
        for storage, one in self._running.items():
            await one.unwatch()
            # Said at the end, not at once: the death has its verdict already, and the run goes on to tell which tests it blocked.
            if one.death is not None and not self._restart and one.during is not None:
                self._give_up(f"the target with storage {storage} died during {one.during.id}: {one.death}")
            await one.target.stop()
        self._running.clear()
