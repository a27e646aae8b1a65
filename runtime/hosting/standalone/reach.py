"""How requests get at a live actor of this host: through its slot, waiting for the next generation where one is needed.

Nothing is polled: whoever waits is released by the slot's own events, so that waiting costs no turns of the loop and ends at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.errors import ActorError, make_error
from runtime.gateway.live_actor import Live, is_passing
from runtime.hosting.standalone.slot import SlotState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from runtime.actor.lifecycle.task import ActorTask
    from runtime.hosting.standalone.slot import ActorSlot

MAX_ATTEMPTS = 16
"""Generations in a row that may refuse one request in passing."""


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
            ActorError: `actor.not_found`, `guard.actor_ready_timeout`, or what `Supervisor.ready` raises.
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
