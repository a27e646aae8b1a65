"""When an actor is idle, and how long it has been (section 3.1): the predicate and the timer of idle sleep."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from runtime import clock
from runtime.actor.lifecycle.tracked_work import IDLE_BLOCKERS, WorkKind

if TYPE_CHECKING:
    from collections.abc import Sized

    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.declaration.options import Options


class RunState(Protocol):
    """The run handler, as idleness and grace see it."""

    @property
    def active(self) -> bool:
        """Whether it runs or is held."""
        ...


class IdleOwner(Protocol):
    """What idleness depends on, and who is asked for sleep."""

    @property
    def options(self) -> Options:
        """Whether and after how long the actor sleeps."""
        ...

    @property
    def log(self) -> Any:
        """Where it is noted."""
        ...

    @property
    def debug(self) -> bool:
        """Whether to note every evaluation."""
        ...

    @property
    def is_started(self) -> bool:
        """Ready and not stopping."""
        ...

    @property
    def work(self) -> WorkTracker:
        """What is in progress."""
        ...

    @property
    def run(self) -> RunState:
        """The run handler."""
        ...

    @property
    def conns(self) -> Sized:
        """The live connections."""
        ...

    def request_sleep(self) -> None:
        """Ask the host for a stop."""


def awake_reason(owner: IdleOwner) -> str | None:
    """Why the actor must stay awake, None when it is idle; rows in the order of SLEEP-010."""
    if not owner.is_started:
        return "NotReady"
    if owner.options.no_sleep:
        return "NoSleep"
    count = owner.work.count
    for kind, reason in IDLE_BLOCKERS:
        if count(kind):
            return reason
    # A handler that waits for a message has nothing to do until one comes, and a message wakes the actor.
    if owner.run.active and not count(WorkKind.QUEUE_WAIT):
        return "ActiveRunHandler"
    if count(WorkKind.DISCONNECT_CALLBACK):
        return "ActiveDisconnectCallbacks"
    if len(owner.conns):
        return "ActiveConnections"
    if count(WorkKind.WEBSOCKET_CALLBACK):
        return "ActiveWebSocketCallbacks"
    return None


class IdleTimer:
    """Asks for sleep after `sleep_timeout` of idleness. Every activity restarts the full time (SLEEP-012)."""

    def __init__(self, owner: IdleOwner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._timeout = owner.options.sleep_timeout
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0

    def evaluate(self) -> None:
        """Activity: move the deadline, or disarm when the actor must stay awake.

        An armed timer is left in place and re-armed when it fires early: moving a deadline is far more frequent than reaching it.
        """
        if awake_reason(self._owner) is not None:
            self._deadline = 0.0
            return
        self._deadline = self._loop.time() + self._timeout
        if self._owner.debug:
            self._owner.log.debug("sleep activity reset", sleep_timeout_ms=round(self._timeout * 1000))
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
        remaining = self._deadline - self._loop.time()
        if remaining > 0:
            self._timer = clock.call_later(remaining, self._elapsed)
            return
        # Asked once more: an input may have changed in this turn, and its evaluation comes in the next one.
        reason = awake_reason(self._owner)
        if reason is not None:
            self._owner.log.debug("sleep idle deadline elapsed but actor stayed awake", reason=reason)
            self.evaluate()
            return
        self._owner.log.debug("sleep idle deadline elapsed", sleep_timeout_ms=round(self._timeout * 1000))
        self._owner.request_sleep()
