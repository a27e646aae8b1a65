"""One generation as this host sees it, from the order to start it to the report of its end."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from runtime.hosting.engine.protocol.lives import SleepIntent, StopIntent

if TYPE_CHECKING:
    import asyncio

    from runtime.actor.lifecycle.task import ActorTask
    from runtime.actor.ports import StopReason
    from runtime.gateway.live_actor import Live
    from runtime.hosting.engine.ports import Life

Intent = SleepIntent | StopIntent


class GenerationState(StrEnum):
    """What the host is doing with a generation."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    OVER = "over"


class Generation:
    """A place in the table of generations; several of one actor may be there for a while (ENGINE-076).

    Attributes:
        task: The generation itself, once there is one.
        live: How requests reach it; made once, not per request.
        order: A stop that the engine ordered while it started, carried out when the start has ended (START-050).
        failure: Why it cannot go on, when that came before it ran.
        held: What it wanted before it ran: the engine takes no intents before (ENGINE section 7).
        asked: What the engine was told that it wants.
        stop_reason: Why it is being stopped.
        lost: The engine gave it up, so what becomes of it is an error whatever happened here.
        silent: Nothing of it is reported: another process took this envoy's place (ENGINE-052).
        destroying: Set when the engine has destroyed the actor or says so, where no intent could ask for it; None if nobody asked.
        mirror: The task that copies its inspector token.
    """

    __slots__ = (
        "asked", "destroying", "failure", "held", "life", "live", "lost", "mirror", "name", "order", "silent", "state",
        "stop_reason", "task",
    )  # fmt: skip

    # `destroying` is made by whoever asks: most are destroyed by an order, or not at all.
    def __init__(self, life: Life, name: str) -> None:
        self.life = life
        self.name = name
        self.state = GenerationState.STARTING
        self.task: ActorTask | None = None
        self.live: Live | None = None
        self.order: StopReason | None = None
        self.failure: BaseException | None = None
        self.held: list[Intent] = []
        self.asked: Intent | None = None
        self.stop_reason: StopReason | None = None
        self.lost = False
        self.silent = False
        self.destroying: asyncio.Event | None = None
        self.mirror: asyncio.Task[None] | None = None

    @property
    def actor_id(self) -> str:
        """The actor's id."""
        return self.life[0]
