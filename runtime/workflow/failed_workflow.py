"""How a workflow ends with an error: rolled back, recorded, reported, and either passed on or not (section 13).

Two ways lead here: the error has just left the function, or an earlier generation was cut off in the rollback of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.workflow.errors import RollbackCheckpointError, WorkflowFailure, describe
from runtime.workflow.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.workflow.workflow_run import WorkflowRun


class StoredWorkflowError(Exception):
    """The error of a workflow that failed in an earlier generation, met again after its rollback (WF-136)."""


async def fail(run: WorkflowRun, again: Callable[[], Awaitable[Any]], error: Exception) -> None:
    """End the workflow with an error: roll back, record, report, and decide how the run handler ends (section 13).

    Args:
        run: The workflow.
        again: Runs the workflow function once more, which a rollback needs to find its handlers.
        error: What left the function.

    Raises:
        Exception: The error itself, unless it is a failure that the workflow was built to have (WF-181).
    """
    stored = describe(error)
    reported = isinstance(error, WorkflowFailure) and error.failure is not None
    if isinstance(error, RollbackCheckpointError):
        # Which handlers may run is not known without the checkpoint: none does (WF-130).
        run.history.set_outcome("failed", error=stored)
        await run.record()
    else:
        # Durable before the first handler, or a crash would let the workflow go on behind a compensated step (WF-136).
        run.history.set_outcome("rolling_back", error=stored, unreported=not reported)
        await run.record()
        await roll_back(run, again)
    if not reported:
        await run.report({"workflow": {"workflowId": run.context.actor_id, "error": stored}})
    # A failure that the workflow was built to have is no failure of the run handler (WF-181).
    if not isinstance(error, WorkflowFailure):
        raise error
    run.context.log.warning("workflow failed and will sleep until woken", error=f"{stored['name']}: {stored['message']}")


async def go_on_failing(run: WorkflowRun, again: Callable[[], Awaitable[Any]]) -> None:
    """End a rollback that was cut off, and report what is still owed (WF-137).

    Raises:
        StoredWorkflowError: Always, with the text of the first error.
    """
    before = run.history.outcome
    await roll_back(run, again)
    stored = before.error or {}
    if before.unreported:
        await run.report({"workflow": {"workflowId": run.context.actor_id, "error": stored}})
    raise StoredWorkflowError(stored.get("message", ""))
