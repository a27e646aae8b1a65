"""How requests wake an actor of this host and get at its live generation, waiting for the next one where that is needed.

Nothing is polled: whoever waits is released by the slot's own events, so that waiting costs no turns of the loop and ends at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from runtime.errors import ActorError, make_error
from runtime.gateway.live_actor import Live, is_passing
from runtime.hosting.standalone.slot import SlotEvent, SlotState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from runtime.actor.lifecycle.task import ActorTask
    from runtime.hosting.standalone.slot import ActorSlot

MAX_REWAKES = 8
"""Starts beyond the first that a waiting request may see fail (WIRE-204)."""
MAX_ATTEMPTS = 16
"""Generations in a row that may refuse one request in passing."""


class Starter(Protocol):
    """Who starts generations: the supervisor."""

    @property
    def closing(self) -> bool:
        """Nothing starts any more."""
        ...

    def start(self, slot: ActorSlot) -> None:
        """Begin a start attempt in the background."""


class Waking:
    """Starts sleeping actors for those who need them, and tells these how it went.

    Args:
        starter: See `Starter`.
        ready_timeout: Seconds that a request waits for one start.
    """

    def __init__(self, starter: Starter, ready_timeout: float) -> None:
        self._starter = starter
        self._ready_timeout = ready_timeout

    async def ready(self, slot: ActorSlot) -> ActorTask:
        """The running generation, started if need be (WIRE-200..209, START-062).

        Raises:
            ActorError: `actor.not_found`, `actor.destroyed_while_waiting_for_ready`, `actor.destroying`, `guard.actor_ready_timeout`,
                `guard.actor_wake_retries_exceeded`, `guard.service_unavailable`.
        """
        failures = 0
        waited = False
        while True:
            if slot.state is SlotState.RUNNING:
                assert slot.task is not None
                return slot.task
            if slot.state is SlotState.DESTROYED:
                raise make_error("actor.destroyed_while_waiting_for_ready" if waited else "actor.not_found")
            if self._starter.closing:
                raise make_error("guard.service_unavailable")
            self.wake(slot)
            waited = True
            try:
                # For each start, not for all: one that fails at once leaves the whole time to the next.
                async with asyncio.timeout(self._ready_timeout):
                    outcome = await slot.next_event()
            except TimeoutError:
                raise make_error("guard.actor_ready_timeout", actor_id=slot.actor_id) from None
            if not isinstance(outcome, SlotEvent):
                return outcome
            # It destroyed itself, and that is being recorded again and again: whoever waits for its end would wait too long.
            if outcome is SlotEvent.DESTROY_FAILED and slot.state is SlotState.STOPPING:
                raise make_error("actor.destroying")
            if outcome is SlotEvent.START_FAILED:
                failures += 1
                if failures > MAX_REWAKES:
                    raise make_error("guard.actor_wake_retries_exceeded", actor_id=slot.actor_id,
                                     reason="actor_stopped_before_ready", wake_retries=MAX_REWAKES)  # fmt: skip

    def wake(self, slot: ActorSlot) -> None:
        """Start a sleeping actor, or remember to start it when its stop has ended (START-054)."""
        if slot.state is SlotState.ASLEEP:
            self._starter.start(slot)
        elif slot.state is SlotState.STOPPING:
            slot.wake = True


class SlotReach:
    """`Reach` on slots.

    Args:
        slots: Every actor that exists, by id.
        ready: Starts a slot's actor if need be; gives its running generation.
        patience: Seconds that a generation on its way out is waited for.
    """

    def __init__(self, slots: Mapping[str, ActorSlot], ready: Callable[[ActorSlot], Awaitable[ActorTask]], patience: float) -> None:
        self._slots = slots
        self._ready = ready
        self._patience = patience

    async def live(self, actor_id: str, *, skip_ready_wait: bool = False, refused_by: Live | None = None) -> Live:
        """The generation that takes the request; one on its way out is followed by the next (WIRE-202, WIRE-212, SLEEP-070).

        Raises:
            ActorError: `actor.not_found`, `guard.actor_ready_timeout`, or what `Waking.ready` raises.
        """
        for _ in range(MAX_ATTEMPTS):
            slot = self._slots.get(actor_id)
            if slot is None:
                raise make_error("actor.not_found")
            task = slot.task if slot.state is SlotState.RUNNING or skip_ready_wait else None
            if task is None:
                task = await self._ready(slot)
            live = slot.live
            if live is None or live.task is not task:
                live = Live(task)
            if skip_ready_wait:
                return live
            # A running slot does not prove that its generation takes work: it may have begun to stop since the wait was granted.
            try:
                task.accepting()
            except ActorError as error:
                if not is_passing(error):
                    return live  # a refusal for good is the actor's to tell, in the caller's encoding
            else:
                if refused_by is None or refused_by.task is not task:
                    return live
            try:
                async with asyncio.timeout(self._patience):
                    await slot.gone(task)
            except TimeoutError:
                break
        raise make_error("guard.actor_ready_timeout", actor_id=actor_id)
