"""The idle predicate and timer (section 3.1), and the grace predicate (SLEEP-040)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import clock
from runtime.actor.lifecycle.work import IDLE_BLOCKERS, WorkKind
from runtime.actor.ports import StopKind

if TYPE_CHECKING:
    import asyncio

    from runtime.actor.lifecycle.task import ActorTask


def awake_reason(task: ActorTask) -> str | None:
    """Why the actor must stay awake, None when it is idle; rows in the order of SLEEP-010."""
    if not task.is_started:
        return "NotReady"
    if task.options.no_sleep:
        return "NoSleep"
    count = task.work.count
    for kind, reason in IDLE_BLOCKERS:
        if count(kind):
            return reason
    if task.run.active and not count(WorkKind.QUEUE_WAIT):
        return "ActiveRunHandler"
    if count(WorkKind.DISCONNECT_CALLBACK):
        return "ActiveDisconnectCallbacks"
    if len(task.conns):
        return "ActiveConnections"
    if count(WorkKind.WEBSOCKET_CALLBACK):
        return "ActiveWebSocketCallbacks"
    return None


def grace_is_over(task: ActorTask, kind: StopKind) -> bool:
    """Whether nothing holds grace open any more; the run handler does for sleep only."""
    if task.work.holds_grace:
        return False
    return kind is StopKind.DESTROY or not task.run.active


class IdleTimer:
    """Asks for sleep after `sleep_timeout` of idleness. Every activity restarts the full time (SLEEP-012)."""

    def __init__(self, task: ActorTask) -> None:
        self._task = task
        self._timeout = task.options.sleep_timeout
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0

    def evaluate(self) -> None:
        """Activity: move the deadline, or disarm when the actor must stay awake.

        An armed timer is left in place and re-armed when it fires early: moving a deadline is far more frequent than reaching it.
        """
        if awake_reason(self._task) is not None:
            self._deadline = 0.0
            return
        self._deadline = self._task.loop.time() + self._timeout
        if self._task.debug:
            self._task.log.debug("sleep activity reset", sleep_timeout_ms=round(self._timeout * 1000))
        if self._timer is None:
            self._timer = clock.call_later(self._timeout, self._elapsed)

    def disarm(self) -> None:
        """Stop for good."""
        self._deadline = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _elapsed(self) -> None:
        self._timer = None
        if not self._deadline:
            return
        remaining = self._deadline - self._task.loop.time()
        if remaining > 0:
            self._timer = clock.call_later(remaining, self._elapsed)
            return
        reason = awake_reason(self._task)
        if reason is not None:
            self._task.log.debug("sleep idle deadline elapsed but actor stayed awake", reason=reason)
            self.evaluate()
            return
        self._task.log.debug("sleep idle deadline elapsed", sleep_timeout_ms=round(self._timeout * 1000))
        self._task.request_sleep()
