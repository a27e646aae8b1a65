"""What open inspector sockets of one generation are told unasked (section 13.3).

Everything pushed is in memory while the actor is awake and is read at the moment of sending, so an older snapshot never follows a newer
one (INSP-165). Changes of one turn of the loop give one push; state changes give one per `STATE_INTERVAL` until they are saved.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime import clock
from runtime.actor.observer import Part
from runtime.inspector import messages as m
from runtime.inspector import snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.inspector.actor_view import ActorView

    Receiver = Callable[[m.Message], None]

STATE_INTERVAL = 0.05
"""Seconds between two pushes of unsaved state (INSP-160)."""


class Pushes:
    """The observer of a generation as long as it has inspector sockets. `of` finds or installs it."""

    def __init__(self, view: ActorView) -> None:
        self._view = view
        self._receivers: list[Receiver] = []
        self._changed: set[Part] = set()
        self._state_timer: asyncio.TimerHandle | None = None
        self._state_pushed = float("-inf")

    @classmethod
    def of(cls, view: ActorView) -> Pushes:
        """The pushes of that generation."""
        # One observer for all sockets of a generation: it is asked once per change, however many look on.
        observer = view.observer
        if not isinstance(observer, Pushes):
            observer = view.observer = cls(view)
        return observer

    def add(self, receiver: Receiver) -> None:
        """Tell this socket too."""
        self._receivers.append(receiver)

    def remove(self, receiver: Receiver) -> None:
        """The socket is gone; the last one takes the observer away."""
        if receiver in self._receivers:
            self._receivers.remove(receiver)
        # An actor that nobody watches pays nothing: its changes find no observer.
        if not self._receivers:
            if self._state_timer is not None:
                self._state_timer.cancel()
            self._view.observer = None

    def changed(self, part: Part) -> None:
        """Take a note of a change and send it in the next turn, or when the pace of state pushes allows."""
        if part is Part.STATE:
            # The first change starts the pace; what follows within it is in the state that is read when the time is up (INSP-160).
            if self._state_timer is None:
                wait = self._state_pushed + STATE_INTERVAL - asyncio.get_running_loop().time()
                self._state_timer = clock.call_later(max(0.0, wait), self._push_state)
            return
        # One push per turn of the loop, whatever a handler does in it.
        if not self._changed:
            asyncio.get_running_loop().call_soon(self._push_changed)
        self._changed.add(part)

    def _push_changed(self) -> None:
        changed, self._changed = self._changed, set()
        view = self._view
        # At once, pace or no pace: a save is what an operator waits for.
        if Part.SAVED in changed:
            self._push_state()
        if Part.CONNECTIONS in changed:
            self._send(m.ConnectionsUpdated(snapshots.connections(view)))
        if Part.QUEUE in changed:
            self._send(m.QueueUpdated(view.queue_size))
        if Part.SCHEDULES in changed:
            self._send(m.SchedulesUpdated(snapshots.schedules(view)))
        if Part.WORKFLOW in changed:
            history = snapshots.live_history(view)
            if history is not None:
                self._send(m.WorkflowHistoryUpdated(history))

    def _push_state(self) -> None:
        if self._state_timer is not None:
            self._state_timer.cancel()
            self._state_timer = None
        self._state_pushed = asyncio.get_running_loop().time()
        self._send(m.StateUpdated(snapshots.state(self._view)))

    def _send(self, message: m.Message) -> None:
        # A copy: sending may find a socket closed, and then it leaves the list.
        for receiver in tuple(self._receivers):
            receiver(message)
