"""The stop path of one generation: grace, then persistence in a fixed order (section 5.2).

The order is the point: what may still change something ends before it is saved, what is saved ends before the database is closed, and
clients hear of the end last. A step that fails is remembered and the later ones run all the same, because each releases something.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from runtime import clock
from runtime.actor.lifecycle.grace import GraceOwner, LeavingConnections, RunningHandler, Suspendable, run_grace
from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.ports import StopKind, StopReason
from runtime.logs import error_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


FINAL_SAVE_FLOOR = 15.0
"""Seconds that the final save gets at least, however short the actor's grace is."""


class EndingConnections(LeavingConnections, Protocol):
    """The connections, as a stop sees them."""

    def freeze(self) -> None:
        """Handle no client message any more."""

    async def end_generation(self) -> None:
        """Let the transports go."""


class EndingHandler(RunningHandler, Protocol):
    """The run handler, as a stop sees it."""

    async def join(self) -> None:
        """Wait until it ended."""


class EndingSchedules(Suspendable, Protocol):
    """The schedules, as a stop sees them."""

    async def sync_alarm(self, *, cancel: bool = False) -> None:
        """Leave the alarm that wakes the actor, or none."""

    async def drain(self) -> None:
        """Wait for writes that were started."""


class EndingDatabase(Protocol):
    """The database, as a stop sees it."""

    async def quiet(self, within: float) -> None:
        """Let an open transaction end within that many seconds, or roll it back."""

    def fence(self) -> None:
        """Refuse every statement of user code that has not started."""

    async def close(self) -> None:
        """Let the running statement end and release the file."""


class Drained(Protocol):
    """The queue, as a stop sees it."""

    async def drain(self) -> None:
        """Wait for writes that were started."""


class Flushed(Protocol):
    """The state, as a stop sees it."""

    def flush(self) -> None:
        """Tell the hook of what changed."""


class StopOwner(GraceOwner, Protocol):
    """What a stop asks of its actor, besides what grace does."""

    @property
    def debug(self) -> bool:
        """Whether to note every step."""
        ...

    @property
    def conns(self) -> EndingConnections:
        """The connections."""
        ...

    @property
    def run(self) -> EndingHandler:
        """The run handler."""
        ...

    @property
    def schedules(self) -> EndingSchedules:
        """The schedules."""
        ...

    @property
    def database(self) -> EndingDatabase:
        """The database."""
        ...

    @property
    def queue(self) -> Drained:
        """The queue."""
        ...

    @property
    def state(self) -> Flushed:
        """The state."""
        ...

    def refuse_dispatch(self) -> None:
        """Fail admitted calls that have not begun, and refuse new ones."""


async def run_stop(owner: StopOwner, reason: StopReason) -> None:
    """Stop a started generation; when this returns, everything is durable and nothing runs.

    Raises:
        Exception: The final write failed: the stop is reported with an error (STOP-014).
    """
    kind = reason.kind
    started = clock.monotonic()
    timed_out = await run_grace(owner, kind)
    owner.metrics.shutdown_wait[str(kind)].observe(clock.monotonic() - started)
    failure = await _persist(owner, kind, timed_out)
    if failure is not None:
        raise failure


async def abandon(owner: StopOwner) -> None:
    """Tear a failed start down: no hook runs, no state is saved (START-060)."""
    owner.enter(LifecycleState.TERMINATED)
    owner.abort.fire()
    owner.schedules.suspend()
    owner.saver.stop_timer()
    owner.run.cancel()
    owner.work.cancel_all()
    # Unlike in a stop: nobody is owed anything any more, so what cancelled code spawns on its way out is refused.
    owner.work.close()
    await _cancelled_work_ended(owner)
    # Each whatever becomes of those before it: clients, too, are waiting for their end.
    for step in (owner.queue.drain, owner.database.close, owner.conns.end_generation):
        try:
            await step()
        except Exception as error:
            owner.log.error("actor teardown step failed", **error_fields(error))


async def _persist(owner: StopOwner, kind: StopKind, timed_out: bool) -> Exception | None:
    """Steps 1 to 12 of section 5.2; a step that fails does not keep the later ones from running."""
    destroy = kind is StopKind.DESTROY
    owner.saver.stop_timer()
    owner.enter(LifecycleState.DESTROYING if destroy else LifecycleState.SLEEP_FINALIZE)
    owner.refuse_dispatch()
    owner.conns.freeze()
    await owner.database.quiet(owner.grace_period)
    # Saved before the drain, which may take long: a kill in between must lose nothing that grace allowed (SLEEP-035).
    await _final_save(owner)
    owner.run.cancel()
    # After a sleep that ended in time only actions and hooks that outlived their limits are left; nobody waits for those.
    if timed_out or destroy:
        owner.work.cancel_all()
    else:
        owner.work.cancel_uncounted()
    await _drain(owner, kind)
    _done(owner, kind, "teardown_sleep_state")
    # Nothing of user code is left that anybody waits for; a transaction that it holds must not hold up the last save.
    owner.database.fence()
    # Work that ended between the final save and here may have changed state once more (DB-036). What the first could not save is in this
    # one, too, so its outcome is that of both.
    failure = await _final_save(owner)
    steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
        ("wait_for_pending_state_writes", lambda: _pending_writes(owner)),
        # Once all work has ended, which may have scheduled something up to its last turn (TASK-212).
        ("cancel_driver_alarm" if destroy else "sync_alarm", lambda: owner.schedules.sync_alarm(cancel=destroy)),
        ("wait_for_pending_alarm_writes", owner.schedules.drain),
        ("cleanup_sqlite", owner.database.close),
    )
    for name, step in steps:
        try:
            await step()
        except Exception as error:
            owner.log.error("actor shutdown step failed", step=name, **error_fields(error))
            failure = failure or error
        _done(owner, kind, name)
    # Last, so that a client that sees its socket close finds everything durable when it comes back.
    await owner.conns.end_generation()
    owner.enter(LifecycleState.TERMINATED)
    return failure


async def _pending_writes(owner: StopOwner) -> None:
    await owner.saver.idle()
    await owner.queue.drain()
    await owner.schedules.drain()


def _done(owner: StopOwner, kind: StopKind, step: str) -> None:
    if owner.debug:
        owner.log.debug("actor shutdown cleanup step completed", reason=str(kind), step=step)


async def _cancelled_work_ended(owner: StopOwner) -> bool:
    """Wait for it as long as grace may take; what survives its own cancellation is logged and left."""
    try:
        async with asyncio.timeout(owner.grace_period):
            await owner.run.join()
            await owner.work.drained()
    except TimeoutError:
        owner.log.error("actor work did not end after it was cancelled", **owner.work.snapshot())
        return False
    return True


async def _drain(owner: StopOwner, kind: StopKind) -> None:
    """Steps 3 and 4. Code that survives its own cancellation must not keep the actor from stopping."""
    if not await _cancelled_work_ended(owner) and kind is StopKind.DESTROY:
        for subsystem, work in (("internal_keep_awake", WorkKind.INTERNAL_KEEP_AWAKE), ("http_requests", WorkKind.HTTP)):
            if owner.work.count(work):
                owner.metrics.drain_failed(subsystem)
    # Not before the drain: what cancelled code still spawns on its way out is awaited with it.
    owner.work.close()


async def _final_save(owner: StopOwner) -> Exception | None:
    try:
        owner.state.flush()
    except Exception as error:
        owner.log.error("onStateChange failed", exc_info=error)
    try:
        # Bounded all the same: a storage that hangs must end in an error and not in an actor that never stops.
        async with asyncio.timeout(max(FINAL_SAVE_FLOOR, owner.grace_period)):
            await owner.saver.save_now()
    except Exception as error:
        owner.log.error("final state save failed", **error_fields(error))
        return error
    return None
