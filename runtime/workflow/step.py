"""Steps: attempts, retries, time-outs (section 5). What a body gets is in `step_context.py`."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.errors import raise_contained
from runtime.workflow.errors import (
    CRITICAL,
    EXHAUSTED,
    ROLLBACK,
    TIMEOUT,
    ControlFlow,
    CriticalError,
    RollbackCheckpointError,
    RollbackError,
    RollbackStop,
    StepExhaustedError,
    StepFailure,
    StepTimeoutError,
    WorkflowFailure,
    Yield,
    describe,
)
from runtime.workflow.history import COMPLETED, RUNNING, Entry, Metadata, copied
from runtime.workflow.history import EXHAUSTED as STATUS_EXHAUSTED
from runtime.workflow.history import FAILED as STATUS_FAILED
from runtime.workflow.step_context import StepContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.workflow.scope import Scope
    from runtime.workflow.workflow_run import WorkflowRun


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """Options of a step (section 5); durations are seconds. `timeout=None` or <= 0: one attempt may take for ever."""

    max_retries: int = 3
    retry_backoff_base: float = 0.1
    retry_backoff_max: float = 30.0
    timeout: float | None = 30.0
    retry_on_timeout: bool = False
    ephemeral: bool = False
    rollback: Callable[..., Any] | None = None

    def backoff_ms(self, attempts: int) -> int:
        """Milliseconds from the start of failed attempt number `attempts` to the next one (WF-043)."""
        seconds: float = min(self.retry_backoff_max, self.retry_backoff_base * 2 ** min(attempts, 64))
        return round(seconds * 1000)


async def run_step(scope: Scope, name: str, body: Callable[..., Any], options: StepOptions) -> Any:
    """One call of `step`: replay, back off, or run one attempt."""
    run = scope.run
    location = (*scope.location, name)
    entry = run.history.find(location, "step")
    if entry is not None and entry.meta is not None and entry.meta.status == COMPLETED:
        # In the order in which the code comes by; the rollback goes through them backwards (WF-131).
        if options.rollback is not None:
            run.current.handlers.append((entry, options.rollback))
        return copied(entry.data.get("output"))
    if entry is not None and entry.meta is not None and entry.meta.status == STATUS_EXHAUSTED:
        # The same end in every pass, without a run of the body and without a second report (WF-053).
        raise _stored_failure(name, entry.meta)
    if run.current.rollback:
        raise RollbackStop
    # Asked only of a step that is about to run: a recorded one was allowed to when it ran.
    if options.rollback is not None and not scope.has_checkpoint:
        raise RollbackCheckpointError
    if entry is None:
        entry = run.history.add(location, "step", {}, with_meta=True)
    meta = _meta(entry)
    if meta.attempts and meta.status in (STATUS_FAILED, RUNNING):
        # By the recorded time and not by a timer, so the back-off goes on through sleep and crash (WF-044).
        retry_at = meta.last_attempt_at + options.backoff_ms(meta.attempts)
        if clock.now_ms() < retry_at:
            raise Yield(retry_at)
    return await _attempt(scope, entry, name, body, options)


async def _attempt(scope: Scope, entry: Entry, name: str, body: Callable[..., Any], options: StepOptions) -> Any:
    run, meta = scope.run, _meta(entry)
    # The back-off counts from the start of an attempt (WF-043).
    started = clock.now_ms()
    meta.status = RUNNING
    run.history.touch(entry)
    try:
        output = copied(await _run_body(run, name, body, options))
        if options.ephemeral:
            entry.data = {"output": output}
        else:
            # Before a branch beside this one can flush: what does not fit is this step's failure and no other's (WF-141).
            run.history.replace(entry, output=output)
        meta.status, meta.completed_at, meta.error, meta.details = COMPLETED, clock.now_ms(), None, None
        meta.attempts, meta.last_attempt_at = meta.attempts + 1, started
        run.history.touch(entry)
        if not options.ephemeral:
            await run.flush()
    except Exception as error:
        if meta.status == COMPLETED:
            # The body ran but its flush failed: that is a failure of the step (WF-052).
            meta.attempts, meta.completed_at = meta.attempts - 1, None
            entry.data = {}
        await _failed(scope, entry, name, error, started, options)
    if options.rollback is not None:
        run.current.handlers.append((entry, options.rollback))
    return copied(entry.data.get("output"))


async def _run_body(run: WorkflowRun, name: str, body: Callable[..., Any], options: StepOptions) -> Any:
    context = StepContext(run)
    try:
        result = body(context) if _takes_context(body) else body()
    except ControlFlow:
        raise
    except BaseException as error:
        raise_contained(error)
    if not inspect.isawaitable(result):
        context._close()  # noqa: SLF001 - user code must not see it
        return result
    child = run.start_body(result)
    # Closed with the body and not with its attempt: after a time-out the body goes on with what it holds (WF-047).
    child.add_done_callback(lambda _: context._close())  # noqa: SLF001 - same module
    limit = options.timeout if options.timeout is not None and options.timeout > 0 else None
    try:
        done, _ = await asyncio.wait({child}, timeout=limit)
    # `wait` leaves alone what it waits for. When the whole pass is torn down, its body goes, too.
    except asyncio.CancelledError:
        child.cancel()
        raise
    if not done:
        raise StepTimeoutError(f'Step "{name}" timed out after {round((limit or 0) * 1000)}ms')
    return child.result()


def _takes_context(body: Callable[..., Any]) -> bool:
    try:
        return bool(inspect.signature(body).parameters)
    # Functions in C may have no signature: they get what a step gets.
    except (TypeError, ValueError):
        return True


async def _failed(scope: Scope, entry: Entry, name: str, error: Exception, started: int, options: StepOptions) -> None:
    """Account for a failed attempt: yield for a retry or raise the terminal failure (WF-043..049, WF-170)."""
    run, meta = scope.run, _meta(entry)
    meta.attempts, meta.last_attempt_at = meta.attempts + 1, started
    described = describe(error)
    meta.error, meta.details = f"{described['name']}: {described['message']}", described.get("metadata")
    kind = _terminal_kind(error, options)
    if kind is None and meta.attempts > options.max_retries:
        kind = EXHAUSTED
    meta.status, meta.kind = (STATUS_FAILED, None) if kind is None else (STATUS_EXHAUSTED, kind)
    run.history.touch(entry)
    retry_at = started + options.backoff_ms(meta.attempts)
    event: dict[str, Any] = {
        "workflowId": run.context.actor_id,
        "stepName": name,
        "attempt": meta.attempts,
        "maxRetries": options.max_retries,
        "remainingRetries": max(0, options.max_retries - (meta.attempts - 1)),
        "willRetry": kind is None,
    }
    if kind is None:
        event |= {"retryDelay": options.backoff_ms(meta.attempts), "retryAt": retry_at}
    await run.report({"step": {**event, "error": described}})
    # The attempt count is durable before the next attempt can start, so a wake continues with the next number (WF-044).
    await run.flush()
    if kind is None:
        raise Yield(retry_at)
    if kind in (CRITICAL, ROLLBACK):
        # The very object that was raised goes on, with its class and fields; later passes can only give a likeness of it (WF-049).
        assert isinstance(error, WorkflowFailure)
        error.failure = _failure(name, meta)
        raise error
    raise _stored_failure(name, meta) from error


def _terminal_kind(error: Exception, options: StepOptions) -> str | None:
    if isinstance(error, RollbackError):
        return ROLLBACK
    if isinstance(error, CriticalError):
        return CRITICAL
    if isinstance(error, StepTimeoutError) and not options.retry_on_timeout:
        return TIMEOUT
    return None


def _failure(name: str, meta: Metadata) -> StepFailure:
    error, _, message = (meta.error or "Error: ").partition(": ")
    described: dict[str, Any] = {"name": error, "message": message}
    if meta.details:
        # Code gets it as `failure`, and what it does to it must not show in the next pass (WF-022).
        described["metadata"] = dict(meta.details)
    return StepFailure(meta.kind or EXHAUSTED, name, meta.attempts, described)


def _stored_failure(name: str, meta: Metadata) -> WorkflowFailure:
    """The terminal failure a recorded step raises in every later pass (WF-053)."""
    failure = _failure(name, meta)
    if failure.kind == EXHAUSTED:
        error: WorkflowFailure = StepExhaustedError(f'Step "{name}" exhausted retries: {meta.error}')
    elif failure.kind == ROLLBACK:
        error = RollbackError(failure.error["message"])
    else:
        error = CriticalError(failure.error["message"])
    error.failure = failure
    return error


def _meta(entry: Entry) -> Metadata:
    if entry.meta is None:
        entry.meta = Metadata(created_at=clock.now_ms())
    return entry.meta
