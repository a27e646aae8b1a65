"""Which generation takes a request that came through the tunnel.

Nothing is waited for and nothing is started: the gateway at the engine does both. What comes to a generation on its way out is sent back
for the next one: the gateway learns of a stop some tens of milliseconds late, and no client should see that (ENGINE-120).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime import clock
from runtime.actor.ports import StopKind
from runtime.errors import ActorError, make_error
from runtime.gateway.generations import Generations as TwoPeriods
from runtime.gateway.live_actor import is_passing
from runtime.hosting.engine.ports import TryAgainError

if TYPE_CHECKING:
    from runtime.gateway.live_actor import Live
    from runtime.hosting.engine.generation import Generation

LATELY = 120.0
"""Seconds at least that an actor is remembered after its last generation here; the gateway looks again for about 19."""


class Newest(Protocol):
    """The table of generations, as requests see it."""

    def newest(self, actor_id: str) -> Generation | None:
        """The generation that requests go to (ENGINE-076)."""
        ...


class Lately:
    """The actors that lived here and do not any more."""

    def __init__(self) -> None:
        self._met = TwoPeriods[bool](LATELY)

    def add(self, actor_id: str, destroyed: bool = False) -> None:
        """A generation of it is over; with `destroyed` none follows."""
        self._met.turn(clock.monotonic())
        self._met.current[actor_id] = destroyed

    def destroyed(self, actor_id: str) -> bool | None:
        """Whether it was destroyed; None for an actor that did not live here lately."""
        self._met.turn(clock.monotonic())
        destroyed = self._met.current.get(actor_id)
        return self._met.before.get(actor_id) if destroyed is None else destroyed


class EngineReach:
    """`Reach` on the generations of this process."""

    def __init__(self, generations: Newest, lately: Lately) -> None:
        self._generations = generations
        self._lately = lately

    async def live(self, actor_id: str, *, skip_ready_wait: bool = False, refused_by: Live | None = None) -> Live:
        """The newest generation, if it takes work or refuses it for good.

        Raises:
            TryAgainError: It is on its way out or in, or over: another one may answer.
            ActorError: `envoy.actor_not_found`: it never lived here.
        """
        generation = self._generations.newest(actor_id)
        live = None if generation is None else generation.live
        if generation is None or live is None:
            if generation is not None:
                raise TryAgainError
            destroyed = self._lately.destroyed(actor_id)
            if destroyed is None:
                raise make_error("envoy.actor_not_found")
            # The gateway learns late of a destruction, too: a socket must not be told to come back.
            raise TryAgainError(make_error("actor.destroying") if destroyed else None)
        if skip_ready_wait:
            return live
        try:
            live.task.accepting()
        except ActorError as error:
            if not is_passing(error):
                return live  # a refusal for good is the actor's to tell, in the caller's encoding
            reason = generation.stop_reason
            raise TryAgainError(error if reason is not None and reason.kind is StopKind.DESTROY else None) from error
        if refused_by is not None and refused_by.task is live.task:
            raise TryAgainError
        return live
