"""The three inboxes of one generation, and the turn of the loop that serves them (TASK-001..011).

Why a callback and no task that awaits its inboxes: everything an inbox item causes is either instant or becomes a child task, so one
callback per turn of the loop can serve all inboxes in the order of TASK-010 without a wake-up in between. Commands that take time (start,
stop) run as tasks of the generation.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.lifecycle.inbox import Inbox
from runtime.errors import ActorError, make_refusal
from runtime.logs import LimitedLog, error_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.declaration.options import Options
    from runtime.metrics.registry import ActorMetrics


class Admitted(Protocol):
    """An item of the dispatch inbox."""

    def start(self) -> None:
        """Hand the work to user code."""

    def fail(self, error: ActorError) -> None:
        """The generation ended before the work could start."""


class Inboxes:
    """Lifecycle commands, lifecycle events and admitted calls, in the order in which they are served.

    Args:
        options: The capacities.
        metrics: Where overloads are counted.
        log: Where they are noted.
        broken: Called with what an item raised; the generation cannot go on (RUN-011).
        debug: Whether to note every event.
    """

    def __init__(
        self, options: Options, metrics: ActorMetrics, log: Any, broken: Callable[[BaseException], None], *, debug: bool = False
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._metrics = metrics
        self._log = log
        self._broken = broken
        self._debug = debug
        self._overloads = LimitedLog(log, "actor inbox overloaded")
        self._drain_due = False
        self.lifecycle: Inbox[Callable[[], None]] = self._box("lifecycle_inbox", options.lifecycle_command_inbox_capacity)
        self.events: Inbox[tuple[str, Callable[[], None]]] = self._box("lifecycle_event_inbox", options.lifecycle_event_inbox_capacity)
        self.dispatch: Inbox[Admitted] = self._box("dispatch_inbox", options.dispatch_command_inbox_capacity)

    def _box(self, channel: str, capacity: int) -> Inbox[Any]:
        return Inbox(channel, capacity, self._wake_up, self._overloaded)

    def send_event(self, event: str, apply: Callable[[], None]) -> None:
        """Have `apply` called when the event inbox is served.

        Raises:
            ActorError: actor.overloaded, or what the inbox was closed with.
        """
        self.events.try_send(event, lambda: (event, apply))
        if self._debug:
            # `event` is what structlog calls the text of a record (METRIC-053).
            self._log.debug("actor event enqueued", lifecycle_event=event, operation=event)

    def start_dispatch(self) -> None:
        """Hand everything that was admitted to user code."""
        while (admitted := self.dispatch.take()) is not None:
            admitted.start()

    def refuse_dispatch(self, name: str) -> None:
        """Fail what is still in the dispatch inbox, and refuse the rest, with this error of the catalogue (SLEEP-072)."""
        for admitted in self.dispatch.close(name):
            admitted.fail(make_refusal(name))

    def close(self) -> None:
        """The generation is over: no command and no event is taken any more."""
        self.lifecycle.close("actor.not_ready")
        self.events.close("actor.not_configured")

    def _wake_up(self) -> None:
        if not self._drain_due:
            self._drain_due = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Serve everything that is waiting, lifecycle commands first (TASK-010, TASK-011)."""
        # Cleared first: what an item sends in turn needs a turn of its own.
        self._drain_due = False
        try:
            self._serve()
        except Exception as error:
            # The generation lives on for the stop that follows, so what still waits is served too.
            self._wake_up()
            self._log.error("actor loop failed", **error_fields(error))
            self._broken(error)

    def _serve(self) -> None:
        while (command := self.lifecycle.take()) is not None:
            command()
        while (item := self.events.take()) is not None:
            event, apply = item
            apply()
            if self._debug:
                self._log.debug("actor event drained", lifecycle_event=event, operation=event)
                self._log.debug("actor lifecycle event drained", lifecycle_event=event)
        self.start_dispatch()

    def _overloaded(self, channel: str, operation: str, capacity: int) -> None:
        self._metrics.overloaded(channel, operation)
        self._overloads.report(channel=channel, operation=operation, capacity=capacity)
