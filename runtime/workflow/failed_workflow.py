"""How a workflow ends with an error: rolled back, recorded, reported, and either passed on or not (section 13).

Two ways lead here: the error has just left the function, or an earlier generation was cut off in the rollback of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.workflow.errors import RollbackCheckpointError, StoredWorkflowError, WorkflowFailure, describe
from runtime.workflow.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.workflow.workflow_run import WorkflowRun


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
    built_in = isinstance(error, WorkflowFailure)
    reported = isinstance(error, WorkflowFailure) and error.failure is not None
    # Which handlers may run is not known without the checkpoint: none does (WF-130).
    state = "failed" if isinstance(error, RollbackCheckpointError) else "rolling_back"
    run.history.set_outcome(state, error=stored, unreported=not reported, built_in=built_in)
    # Durable before the first handler, or a crash would let the workflow go on behind a compensated step (WF-136).
    if await _recorded(run) and state == "rolling_back":
        await roll_back(run, again)
    if not reported:
        await run.report({"workflow": {"workflowId": run.context.actor_id, "error": stored}})
    if not built_in:
        raise error
    _warn(run, stored)


async def go_on_failing(run: WorkflowRun, again: Callable[[], Awaitable[Any]]) -> None:
    """End a rollback that was cut off, report what is still owed, and end the run handler as the first one would have (WF-137, WF-181).

    Raises:
        StoredWorkflowError: The first error by name, text and fields, unless it is a failure that the workflow was built to have.
    """
    before = run.history.outcome
    await roll_back(run, again)
    stored = before.error or {}
    if before.unreported:
        await run.report({"workflow": {"workflowId": run.context.actor_id, "error": stored}})
    if not before.built_in:
        raise StoredWorkflowError(stored)
    _warn(run, stored)


async def _recorded(run: WorkflowRun) -> bool:
    try:
        await run.record()
    # A storage that refuses keeps nobody from learning that the workflow failed; the next generation meets the failure again (WF-171).
    except Exception as refused:
        run.context.log.error("the failure of a workflow could not be recorded", error=str(refused))
        return False
    return True


def _warn(run: WorkflowRun, stored: dict[str, Any]) -> None:
    # A failure that the workflow was built to have is no failure of the run handler (WF-181).
    run.context.log.warning("workflow failed and will sleep until woken", error=f"{stored.get('name')}: {stored.get('message')}")
