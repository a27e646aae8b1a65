"""The stop path of one generation: grace (sections 3.3 to 3.5), then persistence in a fixed order (section 5.2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.actor.lifecycle.idle import grace_is_over
from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.lifecycle.work import GRACE_HOLDERS, WorkKind
from runtime.actor.ports import StopKind, StopReason
from runtime.logs import error_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actor.lifecycle.task import ActorTask

FINAL_SAVE_FLOOR = 15.0


async def run_stop(task: ActorTask, reason: StopReason) -> None:
    """Stop a started generation; when this returns, everything is durable and nothing runs.

    Raises:
        Exception: The final write failed: the stop is reported with an error (STOP-014).
    """
    kind = reason.kind
    started = task.loop.time()
    timed_out = await _grace(task, kind)
    task.metrics.shutdown_wait[str(kind)].observe(task.loop.time() - started)
    failure = await _persist(task, kind, timed_out)
    if failure is not None:
        raise failure


async def _grace(task: ActorTask, kind: StopKind) -> bool:
    """Let hooks and tracked work end; True when the deadline came first (SLEEP-050)."""
    destroy = kind is StopKind.DESTROY
    task.schedules.suspend()
    task.enter(LifecycleState.DESTROY_GRACE if destroy else LifecycleState.SLEEP_GRACE)
    task.idle.disarm()
    deadline = task.loop.time() + task.grace_period
    task.abort.fire()
    task.conns.begin_stop(kind)
    hook, label = ("on_destroy", "onDestroy") if destroy else ("on_sleep", "onSleep")
    if hook in task.definition.hooks:
        task.work.spawn(WorkKind.CLEANUP_HOOK, _cleanup(task, hook, label))
    while True:
        # Raw sockets are closed when hook and tracked work are done, and their close cycles are work again (RAWWS-066). A run handler
        # that goes on does not put them off: at the deadline it would be too late for listeners and `on_disconnect`.
        closing = not task.work.holds_grace and task.conns.close_raw_sockets()
        if not closing and grace_is_over(task, kind):
            return False
        if not await task.wait_activity(deadline):
            _deadline_missed(task, kind, task.loop.time() - deadline)
            return True


async def _cleanup(task: ActorTask, hook: str, label: str) -> None:
    try:
        await task.call_hook(hook, task.context(), timeout=None, label=label)
    except Exception as error:
        # SLEEP-036, DESTROY-025: logged, and the stop goes on.
        task.log.error("cleanup hook failed", hook=label, **error_fields(error))
    # STOP-011: saved when the hook returned, and again when the tracked work is done.
    task.saver.request(0)


def _deadline_missed(task: ActorTask, kind: StopKind, missed_by: float) -> None:
    task.metrics.shutdown_timeouts[str(kind)] += 1
    counts = {**task.work.snapshot(), "connection_count": len(task.conns)}
    task.log.warning("actor shutdown reached the grace deadline", reason=str(kind), deadline_missed_by_ms=round(missed_by * 1000), **counts)
    task.database.fence()
    task.run.cancel()
    if task.work.count(WorkKind.CLEANUP_HOOK):
        task.log.warning("graceful cleanup aborted by shutdown grace deadline", reason="shutdown_deadline_elapsed")
    for work in GRACE_HOLDERS:
        if task.work.count(work):
            task.log.warning("actor work cancelled by shutdown deadline", kind=work.label, reason="shutdown_deadline_elapsed")
    task.work.cancel_all()


async def _persist(task: ActorTask, kind: StopKind, timed_out: bool) -> Exception | None:
    """Steps 1 to 12 of section 5.2; a step that fails does not keep the later ones from running."""
    destroy = kind is StopKind.DESTROY
    task.saver.stop_timer()
    task.enter(LifecycleState.DESTROYING if destroy else LifecycleState.SLEEP_FINALIZE)
    task.refuse_dispatch()
    task.conns.freeze()
    failure = await _final_save(task)
    task.run.cancel()
    if timed_out or destroy:
        task.work.cancel_all()
    else:
        task.work.cancel_uncounted()
    await _drain(task, kind)
    _done(task, kind, "teardown_sleep_state")
    # Work that ended between the final save and here may have changed state once more (DB-036).
    failure = await _final_save(task) or failure
    steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
        ("wait_for_pending_state_writes", lambda: _pending_writes(task)),
        ("cancel_driver_alarm" if destroy else "sync_alarm", lambda: task.schedules.sync_alarm(cancel=destroy)),
        ("wait_for_pending_alarm_writes", task.schedules.drain),
        ("cleanup_sqlite", task.database.close),
    )
    for name, step in steps:
        try:
            await step()
        except Exception as error:
            task.log.error("actor shutdown step failed", step=name, **error_fields(error))
            failure = failure or error
        _done(task, kind, name)
    await task.conns.end_generation()
    task.enter(LifecycleState.TERMINATED)
    return failure


async def _pending_writes(task: ActorTask) -> None:
    await task.saver.idle()
    await task.queue.drain()
    await task.schedules.drain()


def _done(task: ActorTask, kind: StopKind, step: str) -> None:
    if task.debug:
        task.log.debug("actor shutdown cleanup step completed", reason=str(kind), step=step)


async def _drain(task: ActorTask, kind: StopKind) -> None:
    """Steps 3 and 4. Code that survives its own cancellation must not keep the actor from stopping."""
    try:
        async with asyncio.timeout(task.grace_period):
            await task.run.join()
            await task.work.drained()
    except TimeoutError:
        task.log.error("actor work did not end after it was cancelled", **task.work.snapshot())
        if kind is StopKind.DESTROY:
            for subsystem, work in (("internal_keep_awake", WorkKind.INTERNAL_KEEP_AWAKE), ("http_requests", WorkKind.HTTP)):
                if task.work.count(work):
                    task.metrics.drain_failed(subsystem)
    task.work.close()


async def _final_save(task: ActorTask) -> Exception | None:
    try:
        task.state.flush()
    except Exception as error:
        task.log.error("onStateChange failed", exc_info=error)
    try:
        async with asyncio.timeout(max(FINAL_SAVE_FLOOR, task.grace_period)):
            await task.saver.save_now()
    except Exception as error:
        task.log.error("final state save failed", **error_fields(error))
        return error
    return None
