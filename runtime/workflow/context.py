"""The workflow context: orders durable work inside one scope and holds no actor data (section 2.2)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.protocol.values import UNDEFINED
from runtime.workflow import branches
from runtime.workflow.errors import (
    BranchCancelled,
    EntryInProgressError,
    Evicted,
    HistoryDivergedError,
    JoinError,
    RaceError,
    RollbackError,
    RollbackStop,
    WorkflowFailure,
    Yield,
    describe,
)
from runtime.workflow.history import COMPLETED, Entry, Location, path_text
from runtime.workflow.loop import run_loop
from runtime.workflow.options import Result, StepOptions
from runtime.workflow.receive import WorkflowQueue
from runtime.workflow.step import run_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.workflow.run import WorkflowRun

SHORT_WAIT_MS = 100
"""A remaining time below this is waited inside the pass (WF-082)."""


class WorkflowContext:
    """Given to the workflow function and to loop, try, join and race bodies.

    `workflow_id`, `actor_id`, `name`, `key`, `log` are values; `abort_signal` also fires in a race branch that has lost. Names of
    entries are unique per scope and pass. State, vars, database and clients are reachable inside steps only (WF-005).
    """

    def __init__(self, run: WorkflowRun, location: Location = (), *, signal: AbortSignal | None = None, checkpoint: bool = False) -> None:
        self.run = run
        self.location = location
        self.has_checkpoint = checkpoint
        self.workflow_id = self.actor_id = run.context.actor_id
        self.name = run.context.name
        self.key = run.context.key
        self.log = run.context.log
        self.abort_signal = signal or run.task.abort
        self.queue = WorkflowQueue(self)
        self._names: set[str] = set()
        self._busy = False

    def is_evicted(self) -> bool:
        """Whether the generation is stopping or, in a race branch, the branch has lost."""
        return self.abort_signal.aborted

    def child(self, location: Location, *, signal: AbortSignal | None = None) -> WorkflowContext:
        """The context of a nested scope."""
        return WorkflowContext(self.run, location, signal=signal or self.abort_signal, checkpoint=self.has_checkpoint)

    @asynccontextmanager
    async def entering(self, name: str, *more: str) -> AsyncIterator[None]:
        """Claim a name for one entry and hold the scope until it settled (WF-024, WF-025, WF-031)."""
        if self._busy:
            raise EntryInProgressError
        if self.run.stopping:
            raise Evicted
        if self.abort_signal.aborted:
            raise BranchCancelled
        if name in self._names:
            location = path_text(self.location)
            raise HistoryDivergedError(
                f'Duplicate entry name "{name}" at location "{location}". Each step/loop/sleep/queue.next/join/race must '
                "have a unique name within its scope."
            )
        self._names.add(name)
        self.run.current.visited.update((*self.location, item) for item in (name, *more))
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def check_visited(self, scope: Location) -> None:
        """Every stored entry below a finished scope was visited in this pass (WF-034)."""
        visited = self.run.current.visited
        for entry in self.run.history.below(scope):
            if entry.location not in visited:
                raise HistoryDivergedError(
                    f'Entry "{path_text(entry.location)}" exists in history but was not visited. '
                    "Workflow code may have changed. Use ctx.removed() to handle migrations."
                )

    async def step(self, name: str, body: Callable[..., Any], **options: Any) -> Any:
        """Run `body(step_context)` durably and return its value; see `StepOptions` for the options (section 5).

        Raises:
            StepExhaustedError: Its retries are used up.
            CriticalError: It raised one, or one attempt timed out.
        """
        if body is None:
            raise TypeError("Step run function missing")
        async with self.entering(name):
            return await run_step(self, name, body, StepOptions(**options))

    async def try_step(
        self, name: str, body: Callable[..., Any], *, catch: Sequence[str] = ("critical", "timeout", "exhausted"), **options: Any
    ) -> Result:
        """A step whose final failure of a kind in `catch` is returned instead of raised (WF-060..064)."""
        try:
            return Result(True, await self.step(name, body, **options))
        except WorkflowFailure as error:
            if error.failure is None or error.failure.kind not in catch:
                raise
            return Result(False, failure=error.failure.to_wire())

    async def try_(self, name: str, body: Callable[[WorkflowContext], Any], *, catch: Sequence[str] = ("step", "join", "race")) -> Result:
        """Run `body(ctx)` in a scope of its own and return failures whose source is in `catch` (WF-065..069)."""
        if body is None:
            raise TypeError("Try run function missing")
        async with self.entering(name):
            scope = self.child((*self.location, name))
            try:
                value = await body(scope)
            except WorkflowFailure as error:
                failure = _block_failure(name, error)
                source = "rollback" if isinstance(error, RollbackError) else failure["source"] if failure else None
                if failure is None or source not in catch:
                    raise
                return Result(False, failure=failure)
            self.check_visited(scope.location)
            return Result(True, value)

    async def loop(
        self,
        name: str,
        body: Callable[..., Any],
        *,
        state: Any = UNDEFINED,
        history_prune_interval: int = 20,
        history_size: int | None = None,
    ) -> Any:
        """Repeat `body(ctx)`, or `body(ctx, state)` with a state, until it returns `Break(value)` (section 7)."""
        if body is None:
            raise TypeError("Loop run function missing")
        async with self.entering(name):
            return await run_loop(self, name, body, state, history_prune_interval, history_size or history_prune_interval)

    async def sleep(self, name: str, seconds: float) -> None:
        """Wait durably; the deadline is fixed when first reached (section 8)."""
        async with self.entering(name):
            await self.wait_until_deadline(name, clock.now_ms() + max(0, round(seconds * 1000)))

    async def sleep_until(self, name: str, epoch_ms: float) -> None:
        """Wait durably until a time in epoch milliseconds; a past time completes at once (WF-081)."""
        async with self.entering(name):
            await self.wait_until_deadline(name, round(epoch_ms))

    async def wait_until_deadline(self, name: str, deadline_ms: int) -> None:
        """The body of `sleep` and `sleep_until`."""
        entry = await self.deadline_entry(name, deadline_ms)
        if entry.data["state"] != "pending":
            return
        remaining = entry.data["deadline"] - clock.now_ms()
        if remaining >= SHORT_WAIT_MS:
            raise Yield(entry.data["deadline"])
        while remaining > 0:
            await self.pause(remaining / 1000)
            remaining = entry.data["deadline"] - clock.now_ms()
        entry.data = {**entry.data, "state": COMPLETED}
        self.run.history.touch(entry)
        await self.run.flush()

    async def deadline_entry(self, name: str, deadline_ms: int) -> Entry:
        """The sleep entry of that name, created and flushed when first reached (WF-080)."""
        location = (*self.location, name)
        entry = self.run.history.find(location, "sleep")
        if entry is None:
            if self.run.current.rollback:
                raise RollbackStop
            entry = self.run.history.add(location, "sleep", {"deadline": deadline_ms, "state": "pending"})
            await self.run.flush()
        elif entry.data["state"] == "pending" and self.run.current.rollback:
            raise RollbackStop
        return entry

    async def pause(self, seconds: float) -> None:
        """Wait inside the pass; a stop or a lost race ends it."""
        waiter = asyncio.ensure_future(self.abort_signal.wait())
        try:
            await asyncio.wait({waiter}, timeout=seconds)
        finally:
            waiter.cancel()
        self.run.check_evicted()
        if self.abort_signal.aborted:
            raise BranchCancelled

    async def join(self, name: str, branches_by_name: Mapping[str, Callable[[WorkflowContext], Any]]) -> dict[str, Any]:
        """Run all branches and return branch name -> value (section 10); raises `JoinError` when some failed."""
        async with self.entering(name):
            return await branches.run_join(self, name, branches_by_name)

    async def race(self, name: str, contenders: Mapping[str, Callable[[WorkflowContext], Any]]) -> tuple[str, Any]:
        """Run all branches; the first to complete wins: `(winner, value)` (section 11); raises `RaceError` when all failed."""
        async with self.entering(name):
            return await branches.run_race(self, name, contenders)

    async def rollback_checkpoint(self, name: str) -> None:
        """Allow steps with a rollback after this point (WF-130)."""
        async with self.entering(name):
            await self._mark(name, "rollback_checkpoint", {"name": name})
            self.has_checkpoint = True

    async def removed(self, name: str, original_type: str) -> None:
        """Say that the entry `name` of kind `original_type` was removed from the code (WF-160)."""
        async with self.entering(name):
            location = (*self.location, name)
            stored = self.run.history.entries.get(location)
            if stored is not None:
                if stored.kind not in (original_type, "removed"):
                    raise HistoryDivergedError(f"Expected {original_type} or removed at {path_text(location)}, found {stored.kind}")
                self.run.current.visited.update(entry.location for entry in self.run.history.below(location))
                return
            await self._mark(name, "removed", {"originalType": original_type})

    async def get_version(self, name: str, latest: int) -> int:
        """A version that stays the same at this location for ever: 1 for instances older than the gate, else `latest` (WF-162..165)."""
        if isinstance(latest, bool) or not isinstance(latest, int) or latest < 1:
            raise ValueError(f'getVersion("{name}", {latest}): latest must be an integer >= 1')
        async with self.entering(name):
            location = (*self.location, name)
            stored = self.run.history.entries.get(location)
            if stored is not None and stored.kind != "version_check":
                raise HistoryDivergedError(f"Expected version_check at {path_text(location)}, found {stored.kind}")
            if stored is not None:
                return int(stored.data["resolved"])
            visited = self.run.current.visited
            older = any(entry.location not in visited for entry in self.run.history.below(self.location))
            resolved = 1 if older else latest
            await self._mark(name, "version_check", {"resolved": resolved, "latest": latest})
            return resolved

    async def _mark(self, name: str, kind: str, data: dict[str, Any]) -> None:
        location = (*self.location, name)
        if self.run.history.find(location, kind) is not None:
            return
        if self.run.current.rollback:
            raise RollbackStop
        self.run.history.add(location, kind, data)
        await self.run.flush()


def _block_failure(block: str, error: WorkflowFailure) -> dict[str, Any] | None:
    if error.failure is not None:
        step = error.failure.to_wire()
        return {"source": "step", "name": error.failure.step_name, "error": step["error"], "step": step}
    if isinstance(error, (JoinError, RaceError)):
        source = "join" if isinstance(error, JoinError) else "race"
        return {"source": source, "name": error.entry_name, "error": describe(error)}
    if isinstance(error, RollbackError):
        return {"source": "block", "name": block, "error": describe(error)}
    return None
