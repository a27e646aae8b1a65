"""Passes: run the workflow function from its first line again and again until it returns or fails (sections 3, 12, 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.errors import ActorError, raise_contained
from runtime.workflow.context import WorkflowContext
from runtime.workflow.errors import ControlFlow, Evicted, Yield
from runtime.workflow.failed_workflow import fail, go_on_failing
from runtime.workflow.sleep import pause
from runtime.workflow.workflow_run import Pass, WorkflowRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.workflow.ports import RunContext, WorkflowOwner


async def run_workflow(
    owner: WorkflowOwner, context: RunContext, body: Callable[[WorkflowContext], Any], on_error: Callable[..., Any] | None
) -> None:
    """The run handler of a workflow actor; returns when the workflow ended or the generation is stopping.

    Raises:
        Exception: What fails the run handler (WF-182); the failures of WF-181 end it normally with a warning.
    """
    run = WorkflowRun(owner, context, on_error)
    try:
        await run.load()
        run.publish()
        await _drive(run, body)
    except Evicted:
        await _flush_quietly(run)
    finally:
        await run.close()


async def _drive(run: WorkflowRun, body: Callable[[WorkflowContext], Any]) -> None:
    before = run.history.outcome
    # A rollback that was cut off goes on before any code runs forward (WF-137).
    if before.state == "rolling_back":
        await go_on_failing(run, lambda: body(WorkflowContext(run)))
        return
    while True:
        # A completed workflow is run through at each wake, too, and that must write nothing (WF-147).
        if run.history.outcome.state != "completed":
            run.history.set_outcome("running")
        try:
            wait = await _pass(run, body)
        except Exception as error:
            await fail(run, lambda: body(WorkflowContext(run)), error)
            return
        if wait is None:
            return
        await _wait(run, wait)


async def _pass(run: WorkflowRun, body: Callable[[WorkflowContext], Any]) -> Yield | None:
    """Run the function once and record how it ended: what it waits for, None when it returned."""
    # Fresh: names, visits and handlers are counted per pass.
    run.current = Pass()
    try:
        output = await body(WorkflowContext(run))
    except Yield as wait:
        run.history.set_outcome("sleeping")
        await run.flush()
        return wait
    except ControlFlow:
        raise
    except BaseException as error:
        raise_contained(error)
    run.history.set_outcome("completed", output=output)
    await run.flush()
    return None


async def _wait(run: WorkflowRun, wait: Yield) -> None:
    """Wait for what a pass yielded for; the alarm brings a sleeping actor back at the deadline (WF-084)."""
    # Asked for first: the actor may fall asleep while it waits here, and then only the alarm brings it back.
    if wait.deadline_ms is not None:
        await run.context.run.set_wake_at(wait.deadline_ms)
    if wait.names is not None:
        await _wait_for_message(run, wait)
    elif wait.deadline_ms is not None:
        while (remaining := wait.deadline_ms - clock.now_ms()) > 0:
            await pause(run, run.abort, remaining / 1000)
    # Before the alarm is cleared: a generation that stops leaves it to the next one.
    run.check_evicted()
    if wait.deadline_ms is not None:
        await run.context.run.set_wake_at(None)


async def _wait_for_message(run: WorkflowRun, wait: Yield) -> None:
    timeout = None if wait.deadline_ms is None else max(0.0, (wait.deadline_ms - clock.now_ms()) / 1000)
    try:
        await run.fresh_queue().wait_for_names_available(wait.names or (), timeout=timeout)
    except ActorError as error:
        # A stop ends every queue wait with an error of its own; here it ends the pass.
        if (error.group, error.code) == ("actor", "aborted"):
            raise Evicted from None
        if (error.group, error.code) != ("queue", "timed_out"):
            raise


async def _flush_quietly(run: WorkflowRun) -> None:
    """Eviction flushes what is dirty and keeps the current state (WF-027)."""
    try:
        await run.flush()
    except (Exception, Evicted) as error:
        run.context.log.debug("workflow flush at eviction failed", error=str(error))
