"""One actor as its host sees it: the durable record and, while it lives, its generation."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.actor.ports import StopReason
    from runtime.gateway.live_actor import Live
    from runtime.hosting.standalone.namespaces import Namespace
    from runtime.hosting.standalone.records import ActorRecord


class SlotState(StrEnum):
    """What the host is doing with the actor."""

    ASLEEP = "asleep"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DESTROYED = "destroyed"


class SlotEvent(StrEnum):
    """Why a wait for readiness ended without a generation."""

    START_FAILED = "start_failed"
    STOPPED = "stopped"
    DESTROYED = "destroyed"
    DESTROY_FAILED = "destroy_failed"


class ActorSlot:
    """The place of one actor in its host; a sleeping one holds nothing but its record.

    Attributes:
        task: The generation; set from the beginning of a start to the end of a stop.
        order: A stop ordered while starting, carried out when the start has ended (START-050).
        stop_reason: Why the generation is being stopped.
        created: Set while the record is being made durable for the first time; waited for by callers that found the key taken.
        wake: Start again as soon as the stop has ended (START-054).
        destroy: Destroy as soon as the stop has ended (DESTROY-007).
        alarm_failures: Starts in a row that failed while an alarm was due.
        live: How the gateway reaches the generation while it runs: made once, not per request.
    """

    # Most slots are asleep, and there may be very many: no dictionary, and no list before somebody waits.
    __slots__ = (
        "_waiters", "alarm_failures", "created", "destroy", "live", "namespace", "order", "record", "state",
        "stop_reason", "task", "transition", "wake",
    )  # fmt: skip

    def __init__(self, record: ActorRecord, namespace: Namespace) -> None:
        self.record = record
        self.namespace = namespace
        self.state = SlotState.ASLEEP
        self.task: ActorTask | None = None
        self.transition: asyncio.Task[None] | None = None
        self.order: StopReason | None = None
        self.stop_reason: StopReason | None = None
        self.created: asyncio.Event | None = None
        self.wake = False
        self.destroy = False
        self.alarm_failures = 0
        self.live: Live | None = None
        self._waiters: list[asyncio.Future[ActorTask | SlotEvent]] | None = None

    @property
    def actor_id(self) -> str:
        """The actor's id."""
        return self.record.actor_id

    def begin_creation(self) -> None:
        """The record is about to become durable; requests wait as for a start."""
        self.created = asyncio.Event()
        self.state = SlotState.STARTING

    def abandon(self) -> None:
        """The record could not be made durable: there is no such actor."""
        self.state = SlotState.DESTROYED
        self.announce(SlotEvent.DESTROYED)

    def end_creation(self) -> None:
        """The record is durable, or the creation failed and the slot is forgotten."""
        if self.created is not None:
            self.created.set()
            self.created = None

    async def next_event(self) -> ActorTask | SlotEvent:
        """The next generation that runs, or why there is none. Cancelling one waiter leaves the others alone."""
        future: asyncio.Future[ActorTask | SlotEvent] = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(future)
        return await future

    async def gone(self, task: ActorTask) -> None:
        """Return when `task` is not the generation any more."""
        while self.task is task:
            await self.next_event()

    def announce(self, event: ActorTask | SlotEvent) -> None:
        """Release everybody who waits in `next_event`."""
        # Who is released may wait for the next event at once.
        waiters, self._waiters = self._waiters, None
        for future in waiters or ():
            if not future.done():
                future.set_result(event)
