"""Tracked work of one generation: what keeps an actor awake, what holds grace open, what is cancelled at the deadline (TASK-030)."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.actor.joining import outside
from runtime.errors import said_by

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from runtime.actor.lifecycle.activity import Activity
    from runtime.metrics.registry import ActorMetrics


class WorkKind(IntEnum):
    """Kinds of tracked work; `label` is the user-task label of METRIC-020."""

    ACTION = 0
    HTTP = 1
    WEBSOCKET_CALLBACK = 2
    QUEUE_WAIT = 3
    SCHEDULED_ACTION = 4
    DISCONNECT_CALLBACK = 5
    WAIT_UNTIL = 6
    SLEEP_FINALIZE = 7
    DESTROY_REQUEST = 8
    KEEP_AWAKE = 9
    INTERNAL_KEEP_AWAKE = 10
    CLEANUP_HOOK = 11
    STATE_CHANGE = 12

    @property
    def label(self) -> str:
        """The name in metrics and logs."""
        return _LABELS[self]


# The name of an enum's member is looked up in Python code, and every action asks for its label twice.
_LABELS = tuple(kind.name.lower() for kind in WorkKind)


# What blocks sleep and what holds grace are two lists on purpose: `wait_until` is promised the second and not the first (SLEEP-081),
# and a state hook is over within its turn, so it never has to be waited for.
IDLE_BLOCKERS: tuple[tuple[WorkKind, str], ...] = (
    (WorkKind.HTTP, "ActiveHttpRequests"),
    (WorkKind.KEEP_AWAKE, "ActiveKeepAwake"),
    (WorkKind.STATE_CHANGE, "ActiveKeepAwake"),
    (WorkKind.ACTION, "ActiveInternalKeepAwake"),
    (WorkKind.SCHEDULED_ACTION, "ActiveInternalKeepAwake"),
    (WorkKind.INTERNAL_KEEP_AWAKE, "ActiveInternalKeepAwake"),
)
"""Work that blocks idle sleep, with the reason labels of SLEEP-010, before the run handler is looked at."""

GRACE_HOLDERS = (
    WorkKind.CLEANUP_HOOK,
    WorkKind.ACTION,
    WorkKind.HTTP,
    WorkKind.WEBSOCKET_CALLBACK,
    WorkKind.SCHEDULED_ACTION,
    WorkKind.DISCONNECT_CALLBACK,
    WorkKind.WAIT_UNTIL,
    WorkKind.KEEP_AWAKE,
    WorkKind.INTERNAL_KEEP_AWAKE,
)
"""Work that holds grace open (SLEEP-040)."""


_STARTED_BY_USERS = (WorkKind.WAIT_UNTIL, WorkKind.KEEP_AWAKE)
_KEEP_AWAKE = (WorkKind.KEEP_AWAKE, WorkKind.INTERNAL_KEEP_AWAKE)


class Region:
    """One unit of work in progress: counts from entering to leaving, however it is left (TASK-031, SLEEP-084)."""

    __slots__ = ("_kind", "_open", "_started", "_tracker")

    def __init__(self, tracker: WorkTracker, kind: WorkKind) -> None:
        self._tracker = tracker
        self._kind = kind
        self._open = False
        self._started = 0.0

    def __enter__(self) -> Region:
        self._open = True
        self._started = self._tracker.begin(self._kind)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Leave; leaving twice counts once."""
        if self._open:
            self._open = False
            self._tracker.end(self._kind, self._started)


class WorkTracker:
    """Counters by kind, and the tasks of one generation. Every task it starts is awaited or cancelled by the stop path."""

    def __init__(self, activity: Activity, metrics: ActorMetrics, log: Any, *, debug: bool = False) -> None:
        self._activity = activity
        self._metrics = metrics
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._counts = [0] * len(WorkKind)
        self._children: set[asyncio.Task[Any]] = set()
        self._uncounted: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._debug = debug

    def count(self, kind: WorkKind) -> int:
        """Units of that kind in progress."""
        return self._counts[kind]

    def begin(self, kind: WorkKind) -> float:
        """Count one up; prefer `region`. Returns when it began, for `end`."""
        self._counts[kind] += 1
        self._metrics.task_started(_LABELS[kind])
        if self._debug and kind in _KEEP_AWAKE:
            self._log.debug("sleep keep-awake engaged", kind=kind.label, count=self._counts[kind])
        self._activity.changed()
        return clock.monotonic()

    def end(self, kind: WorkKind, started: float) -> None:
        """Count one down; prefer `region`."""
        self._counts[kind] -= 1
        self._metrics.task_ended(_LABELS[kind], clock.monotonic() - started)
        if self._debug and kind in _KEEP_AWAKE:
            self._log.debug("sleep keep-awake disengaged", kind=kind.label, count=self._counts[kind])
        self._activity.changed()

    def region(self, kind: WorkKind) -> Region:
        """A context manager around one unit of work."""
        return Region(self, kind)

    @property
    def holds_grace(self) -> bool:
        """Whether any counted work holds grace open."""
        counts = self._counts
        return any(counts[kind] for kind in GRACE_HOLDERS)

    def spawn(self, kind: WorkKind, work: Coroutine[Any, Any, Any], *, name: str | None = None) -> asyncio.Task[Any] | None:
        """Run `work` as a child counted under `kind` until it ends by any path.

        After teardown began it is refused with a warning: None is returned and nothing runs (TASK-033).
        """
        if self._closed:
            # A coroutine that is never awaited would warn when it is collected, long after its cause.
            work.close()
            what = "shutdown task" if kind is WorkKind.WAIT_UNTIL else "actor work"
            self._log.warning(f"{what} spawned after teardown; aborting immediately", kind=kind.label)
            return None
        region = self.region(kind)
        # Counted from here and not from its first step: between the two the actor could find itself idle.
        region.__enter__()
        # Hooks and fires that a callback of a transaction happens to bring about are not its own; what it starts itself is (DB-029).
        child = self._loop.create_task(work, name=name, context=None if kind in _STARTED_BY_USERS else outside())
        self._children.add(child)

        def ended(done: asyncio.Task[Any]) -> None:
            self._children.discard(done)
            region.end()
            error = None if done.cancelled() else done.exception()
            if error is not None:
                self._report(kind, error)

        child.add_done_callback(ended)
        return child

    def adopt(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` as an uncounted child; its errors are its own business."""
        child = self._loop.create_task(work)
        # Kept, because the loop itself holds tasks only weakly.
        self._uncounted.add(child)
        child.add_done_callback(self._uncounted.discard)
        return child

    def _report(self, kind: WorkKind, error: BaseException) -> None:
        if kind is WorkKind.WAIT_UNTIL:
            self._log.warning(f"actor wait_until promise rejected: {said_by(error)}", error=_shown(error))
        elif kind is WorkKind.KEEP_AWAKE:
            self._log.warning(f"keepAwake promise rejected: {said_by(error)}", error=_shown(error))
        else:
            self._log.error("actor work failed", kind=kind.label, exc_info=error)

    def close(self) -> None:
        """Refuse new work from here on."""
        self._closed = True

    def cancel_all(self) -> int:
        """Cancel every child (grace deadline); returns how many there were."""
        self.cancel_uncounted()
        for child in self._children:
            child.cancel()
        return len(self._children) + len(self._uncounted)

    def cancel_uncounted(self) -> None:
        """Cancel what nobody waits for any more: actions and hooks that outlived their time."""
        for child in self._uncounted:
            child.cancel()

    async def drained(self) -> None:
        """Wait until no child is left."""
        while children := self._children | self._uncounted:
            await asyncio.wait(children)

    def snapshot(self) -> dict[str, int]:
        """Every counter that grace looks at, for the deadline record of SLEEP-051."""
        counts = self._counts
        return {
            "core_dispatched_hook_count": counts[WorkKind.CLEANUP_HOOK],
            "shutdown_task_count": counts[WorkKind.WAIT_UNTIL],
            "sleep_keep_awake_count": counts[WorkKind.KEEP_AWAKE],
            "sleep_internal_keep_awake_count": counts[WorkKind.INTERNAL_KEEP_AWAKE]
            + counts[WorkKind.ACTION]
            + counts[WorkKind.SCHEDULED_ACTION],
            "active_http_request_count": counts[WorkKind.HTTP],
            "websocket_callback_count": counts[WorkKind.WEBSOCKET_CALLBACK],
            "pending_disconnect_count": counts[WorkKind.DISCONNECT_CALLBACK],
        }


def _shown(error: BaseException) -> str:
    try:
        return repr(error)
    # Code of the user, as `__str__` is.
    except Exception:
        return type(error).__name__
