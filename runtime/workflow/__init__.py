"""Durable workflows: a run handler whose steps survive sleep and crash.

    class Order(Actor):
        name = "order"
        state = {"charged": 0}

        @workflow
        async def run(self, ctx: WorkflowContext) -> None:
            async def charge(step: StepContext) -> None:
                step.state.charged += 1

            await ctx.step("charge", charge)
            await ctx.sleep("cool down", 60)

        @run.on_error
        async def failed(self, c: Context, event: dict) -> None: ...

Everything the specification says about run handlers applies (WF-001); the workflow id is the actor id (WF-002).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.workflow.context import WorkflowContext
from runtime.workflow.errors import (
    CriticalError,
    EntryInProgressError,
    HistoryDivergedError,
    JoinError,
    RaceError,
    RollbackCheckpointError,
    RollbackError,
    StepExhaustedError,
)
from runtime.workflow.loop import Break, Continue
from runtime.workflow.passes import run_workflow
from runtime.workflow.receive import WorkflowMessage
from runtime.workflow.step_context import StepContext
from runtime.workflow.try_step import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.workflow.ports import OwnedContext

__all__ = [
    "BoundWorkflow",
    "Break",
    "Continue",
    "CriticalError",
    "EntryInProgressError",
    "HistoryDivergedError",
    "JoinError",
    "RaceError",
    "Result",
    "RollbackCheckpointError",
    "RollbackError",
    "StepContext",
    "StepExhaustedError",
    "WorkflowContext",
    "WorkflowMessage",
    "workflow",
]


class BoundWorkflow:
    """A workflow as a run handler: `await bound(c)`."""

    def __init__(self, body: Callable[[WorkflowContext], Any], on_error: Callable[..., Any] | None) -> None:
        self.body = body
        self.on_error = on_error

    async def __call__(self, c: OwnedContext) -> None:
        """Run the workflow to its end, its next stop or its failure."""
        await run_workflow(c._task, c, self.body, self.on_error)  # noqa: SLF001 - the runtime's own


class workflow:  # noqa: N801 - used as a decorator
    """Make a method `(self, ctx)` the actor's durable run handler; `@run.on_error` adds the error hook `(self, c, event)`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._on_error: Callable[..., Any] | None = None

    def on_error(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """Declare the error hook (section 18)."""
        self._on_error = hook
        return hook

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        # Bound anew at each access, as methods are: the definition is shared by all actors and keeps nothing of any.
        hook = self._on_error
        return BoundWorkflow(self._function.__get__(instance, owner), hook.__get__(instance, owner) if hook else None)
