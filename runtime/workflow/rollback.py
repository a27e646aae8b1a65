"""Rollback: the checkpoint that allows it, and the run of the handlers after a failure (section 12).

Handlers are closures of the workflow's code and cannot be stored. So a rollback replays the code once more in a pass that executes
nothing new, collects the handlers of completed steps on its way to the frontier, and runs them from the last to the first.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.errors import contained, raise_contained
from runtime.workflow.errors import ControlFlow, RollbackStop, Yield, describe
from runtime.workflow.history import copied
from runtime.workflow.step_context import StepContext
from runtime.workflow.workflow_run import Pass

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.workflow.workflow_run import WorkflowRun


async def roll_back(run: WorkflowRun, replay: Callable[[], Awaitable[Any]]) -> None:
    """Run the handlers of completed steps in reverse order, each at most once to completion (WF-131..138).

    Args:
        run: The workflow, whose stored state is already `rolling_back`.
        replay: Calls the workflow function with a fresh root context.
    """
    run.current = collecting = Pass(rollback=True)
    try:
        await replay()
    except (RollbackStop, Yield):
        pass
    except ControlFlow:
        raise
    except BaseException as error:
        # The replayed code meets the failure that started the rollback.
        contained(error)
    for entry, handler in reversed(collecting.handlers):
        meta = entry.meta
        # Done by an earlier attempt that a stop or crash cut off (WF-137).
        if meta is None or meta.rollback_completed_at is not None:
            continue
        # Between handlers and not inside one: what was begun may come to its end within grace.
        run.check_evicted()
        try:
            await run_handler(run, handler, copied(entry.data.get("output")))
        except Exception as error:
            described = describe(error)
            meta.rollback_error = f"{described['name']}: {described['message']}"
            run.history.touch(entry)
            await run.record()
            event = {"workflowId": run.context.actor_id, "stepName": str(entry.location[-1]), "error": described}
            await run.report({"rollback": event})
            raise
        # One by one, so that a crash between two handlers repeats none that has completed (WF-131).
        meta.rollback_completed_at, meta.rollback_error = clock.now_ms(), None
        run.history.touch(entry)
        await run.record()
    run.history.set_outcome("failed", error=run.history.outcome.error, built_in=run.history.outcome.built_in)
    await run.record()


async def run_handler(run: WorkflowRun, handler: Callable[..., Any], output: Any) -> None:
    """Run one rollback handler with a step context and the step's stored output (WF-131)."""
    context = StepContext(run)
    try:
        result = handler(context, output)
        if inspect.isawaitable(result):
            await result
    except ControlFlow:
        raise
    except BaseException as error:
        raise_contained(error)
    finally:
        context._close()  # noqa: SLF001 - user code must not see it
