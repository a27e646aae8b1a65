"""The graceful window of a stop (sections 3.3 to 3.5): hooks and tracked work end by themselves, or are cancelled at the deadline.

Why grace is a predicate over counters and no list of tasks to await: work may begin in grace (an action of a connection that stays, a
close cycle), and whatever begins holds it open until it ends in its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime import clock
from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.lifecycle.tracked_work import GRACE_HOLDERS, WorkKind
from runtime.actor.ports import StopKind
from runtime.logs import error_fields

if TYPE_CHECKING:
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.lifecycle.activity import Activity
    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.state.saving import StateSaver
    from runtime.declaration.definition import ActorDefinition
    from runtime.metrics.registry import ActorMetrics


class LeavingConnections(Protocol):
    """The connections, as grace sees them."""

    def __len__(self) -> int:
        """Live ones."""
        ...

    def begin_stop(self, kind: StopKind) -> None:
        """Disconnect those without a future."""

    def close_raw_sockets(self) -> bool:
        """Start the close cycles of raw sockets without a future; whether any was started."""
        ...


class RunningHandler(Protocol):
    """The run handler, as grace sees it."""

    @property
    def active(self) -> bool:
        """Whether it runs or is held."""
        ...

    def cancel(self) -> None:
        """Cancel it."""


class Suspendable(Protocol):
    """The schedules, as grace sees them."""

    def suspend(self) -> None:
        """Fire nothing any more."""


class Disarmable(Protocol):
    """The idle timer, as grace sees it."""

    def disarm(self) -> None:
        """Stop for good."""


class Fenceable(Protocol):
    """The database, as grace sees it."""

    def fence(self) -> None:
        """Refuse every statement that has not started."""


class GraceOwner(Protocol):
    """What grace asks of its actor."""

    @property
    def definition(self) -> ActorDefinition:
        """The cleanup hooks."""
        ...

    @property
    def log(self) -> Any:
        """Where what went wrong is noted."""
        ...

    @property
    def metrics(self) -> ActorMetrics:
        """Where a missed deadline is counted."""
        ...

    @property
    def grace_period(self) -> float:
        """Seconds until the deadline."""
        ...

    @property
    def abort(self) -> AbortSignal:
        """Fired when grace begins (SLEEP-030)."""
        ...

    @property
    def activity(self) -> Activity:
        """Tells when to look again."""
        ...

    @property
    def work(self) -> WorkTracker:
        """What may hold grace open."""
        ...

    @property
    def run(self) -> RunningHandler:
        """The run handler, which holds sleep open."""
        ...

    @property
    def conns(self) -> LeavingConnections:
        """The connections."""
        ...

    @property
    def schedules(self) -> Suspendable:
        """The schedules."""
        ...

    @property
    def idle(self) -> Disarmable:
        """The idle timer."""
        ...

    @property
    def saver(self) -> StateSaver:
        """Who saves what the cleanup hook changed."""
        ...

    @property
    def database(self) -> Fenceable:
        """The database."""
        ...

    def enter(self, state: LifecycleState) -> None:
        """Change the lifecycle state."""

    def context(self) -> object:
        """A fresh context for the cleanup hook."""

    async def call_hook(self, hook: str, context: object, *args: Any, timeout: float | None, label: str) -> Any:
        """Run a hook, then flush state."""


async def run_grace(owner: GraceOwner, kind: StopKind) -> bool:
    """Let hooks and tracked work end; True when the deadline came first (SLEEP-050)."""
    destroy = kind is StopKind.DESTROY
    owner.schedules.suspend()
    owner.enter(LifecycleState.DESTROY_GRACE if destroy else LifecycleState.SLEEP_GRACE)
    owner.idle.disarm()
    deadline = clock.monotonic() + owner.grace_period
    # Before the cleanup hook, in which the actor must already see itself aborted (SLEEP-031).
    owner.abort.fire()
    owner.conns.begin_stop(kind)
    hook, label = ("on_destroy", "onDestroy") if destroy else ("on_sleep", "onSleep")
    if hook in owner.definition.hooks:
        owner.work.spawn(WorkKind.CLEANUP_HOOK, _cleanup(owner, hook, label))
    while True:
        # Raw sockets are closed when hook and tracked work are done, and their close cycles are work again (RAWWS-066). A run handler
        # that goes on does not put them off: at the deadline it would be too late for listeners and `on_disconnect`.
        closing = not owner.work.holds_grace and owner.conns.close_raw_sockets()
        if not closing and is_over(owner, kind):
            return False
        if not await owner.activity.wait(deadline):
            _deadline_missed(owner, kind, clock.monotonic() - deadline)
            return True


def is_over(owner: GraceOwner, kind: StopKind) -> bool:
    """Whether nothing holds grace open any more (SLEEP-040); the run handler does for sleep only."""
    if owner.work.holds_grace:
        return False
    return kind is StopKind.DESTROY or not owner.run.active


async def _cleanup(owner: GraceOwner, hook: str, label: str) -> None:
    try:
        # Without a limit of its own: the deadline of grace is its limit (SLEEP-060).
        await owner.call_hook(hook, owner.context(), timeout=None, label=label)
    except Exception as error:
        # SLEEP-036, DESTROY-025: logged, and the stop goes on.
        owner.log.error("cleanup hook failed", hook=label, **error_fields(error))
    # STOP-011: saved when the hook returned, and again when the tracked work is done.
    owner.saver.request(0)


def _deadline_missed(owner: GraceOwner, kind: StopKind, missed_by: float) -> None:
    owner.metrics.shutdown_timeouts[str(kind)] += 1
    counts = {**owner.work.snapshot(), "connection_count": len(owner.conns)}
    owner.log.warning(
        "actor shutdown reached the grace deadline", reason=str(kind), deadline_missed_by_ms=round(missed_by * 1000), **counts
    )
    # The database before the cancellations: code that handles its own cancellation must not write any more (DB-304).
    owner.database.fence()
    owner.run.cancel()
    if owner.work.count(WorkKind.CLEANUP_HOOK):
        owner.log.warning("graceful cleanup aborted by shutdown grace deadline", reason="shutdown_deadline_elapsed")
    for work in GRACE_HOLDERS:
        if owner.work.count(work):
            owner.log.warning("actor work cancelled by shutdown deadline", kind=work.label, reason="shutdown_deadline_elapsed")
    owner.work.cancel_all()
