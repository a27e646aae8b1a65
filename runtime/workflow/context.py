"""The workflow context: orders durable work inside one scope and holds no actor data (section 2.2)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from runtime import clock
from runtime.protocol.values import UNDEFINED
from runtime.workflow.branching.join import run_join
from runtime.workflow.branching.race import run_race
from runtime.workflow.code_changes import mark_removed, version_at
from runtime.workflow.errors import BranchCancelled, EntryInProgressError, Evicted, HistoryDivergedError
from runtime.workflow.history import Location, path_text
from runtime.workflow.loop import run_loop
from runtime.workflow.receive import WorkflowQueue
from runtime.workflow.sleep import wait_until_deadline
from runtime.workflow.step import StepOptions, run_step
from runtime.workflow.try_step import BLOCK_SOURCES, STEP_KINDS, Result, try_block, try_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.workflow.workflow_run import WorkflowRun


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
        self.abort_signal = signal or run.abort
        self.queue = WorkflowQueue(self)
        self._names: set[str] = set()
        self._busy = False

    def is_evicted(self) -> bool:
        """Whether the generation is stopping or, in a race branch, the branch has lost."""
        return self.abort_signal.aborted

    def child(self, location: Location, *, signal: AbortSignal | None = None) -> Self:
        """The context of a nested scope."""
        return type(self)(self.run, location, signal=signal or self.abort_signal, checkpoint=self.has_checkpoint)

    @asynccontextmanager
    async def entering(self, name: str, *more: str) -> AsyncIterator[None]:
        """Claim a name for one entry and hold the scope until it settled (WF-024, WF-025, WF-031)."""
        # A forgotten `await` is told first: whatever else is wrong by now follows from it.
        if self._busy:
            raise EntryInProgressError
        # Before the signal, which a stop fires, too: a branch that is evicted has not lost its race.
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
        # Taken only now: an entry that was refused may be tried again under its name (WF-024).
        self._names.add(name)
        self.run.current.visited.update((*self.location, item) for item in (name, *more))
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def check_visited(self, scope: Location) -> None:
        """Every stored entry below a finished scope was visited in this pass (WF-034)."""
        # By pass and not by scope: a join or race marks what its finished branches recorded without opening their scopes.
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

    async def try_step(self, name: str, body: Callable[..., Any], *, catch: Sequence[str] = STEP_KINDS, **options: Any) -> Result:
        """A step whose final failure of a kind in `catch` is returned instead of raised (WF-060..064)."""
        return await try_step(self.step(name, body, **options), catch)

    async def try_(self, name: str, body: Callable[[WorkflowContext], Any], *, catch: Sequence[str] = BLOCK_SOURCES) -> Result:
        """Run `body(ctx)` in a scope of its own and return failures whose source is in `catch` (WF-065..069)."""
        if body is None:
            raise TypeError("Try run function missing")
        async with self.entering(name):
            return await try_block(self, name, body, catch)

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
            # A proposal only: when an earlier pass came by, its deadline is stored and counts (WF-080).
            await wait_until_deadline(self, name, clock.now_ms() + max(0, round(seconds * 1000)))

    async def sleep_until(self, name: str, epoch_ms: float) -> None:
        """Wait durably until a time in epoch milliseconds; a past time completes at once (WF-081)."""
        async with self.entering(name):
            await wait_until_deadline(self, name, round(epoch_ms))

    async def join(self, name: str, branches_by_name: Mapping[str, Callable[[WorkflowContext], Any]]) -> dict[str, Any]:
        """Run all branches and return branch name -> value (section 10); raises `JoinError` when some failed."""
        async with self.entering(name):
            return await run_join(self, name, branches_by_name)

    async def race(self, name: str, contenders: Mapping[str, Callable[[WorkflowContext], Any]]) -> tuple[str, Any]:
        """Run all branches; the first to complete wins: `(winner, value)` (section 11); raises `RaceError` when all failed."""
        async with self.entering(name):
            return await run_race(self, name, contenders)

    async def rollback_checkpoint(self, name: str) -> None:
        """Allow steps with a rollback after this point (WF-130)."""
        async with self.entering(name):
            # Durable first: a step with a rollback must not run before a wake would know that it was allowed to.
            await self.run.mark((*self.location, name), "rollback_checkpoint", {"name": name})
            self.has_checkpoint = True

    async def removed(self, name: str, original_type: str) -> None:
        """Say that the entry `name` of kind `original_type` was removed from the code (WF-160)."""
        async with self.entering(name):
            await mark_removed(self, name, original_type)

    async def get_version(self, name: str, latest: int) -> int:
        """A version that stays the same at this location for ever: 1 for instances older than the gate, else `latest` (WF-162..165)."""
        # `True` would pass as version 1.
        if isinstance(latest, bool) or not isinstance(latest, int) or latest < 1:
            raise ValueError(f'getVersion("{name}", {latest}): latest must be an integer >= 1')
        async with self.entering(name):
            return await version_at(self, name, latest)
