"""Starts and stops generations: the state machine of a slot.

    ASLEEP -> STARTING -> RUNNING -> STOPPING -> ASLEEP | DESTROYED

Every transition runs in one task per slot, owned here, so that generations of one actor never overlap (STOP-030). Orders that arrive at
the wrong moment are remembered in the slot: a stop during a start, a wake or a destroy during a stop.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

import structlog

from runtime import clock
from runtime.actor.lifecycle.task import ActorTask
from runtime.actor.ports import HostPort, StopKind, StopReason
from runtime.errors import is_end, make_error
from runtime.gateway.actor_headers import actor_headers
from runtime.gateway.live_actor import Live
from runtime.hosting.generation import crash_text, declared, identify, stopped
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.hosting.standalone.records import erase_data
from runtime.hosting.standalone.slot import ActorSlot, SlotEvent, SlotState
from runtime.hosting.transitions import Transitions
from runtime.logs import FAULTS, LimitedLog, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Any

    from runtime.actor.database.pool import DatabasePool
    from runtime.declaration.registry import Registry
    from runtime.hosting.standalone.namespaces import Namespace
    from runtime.hosting.standalone.records import ActorRecord
    from runtime.hosting.standalone.write_behind import WriteBehind
    from runtime.storage.base import Storage

log = structlog.get_logger(__name__)

BURIAL_RETRY = 0.1
"""Seconds until the end of an actor that destroyed itself is recorded again after that failed; twice as many each time."""
BURIAL_RETRY_LONGEST = 2.0
NO_ENVOYS = "no_envoys"
"""The error of an actor whose pool nobody serves (WIRE-041)."""
ALARM_RETRY_BASE = 2.0
ALARM_RETRY_EXPONENT = 8


class SupervisedHost(HostPort, Protocol):
    """What the supervisor needs of a host, beside what the generations that it starts need."""

    @property
    def registry(self) -> Registry:
        """The declared actors."""
        ...

    @property
    def storage(self) -> Storage:
        """The data of all actors."""
        ...

    @property
    def databases(self) -> DatabasePool:
        """Runs the SQL of the actors."""
        ...

    @property
    def rows(self) -> WriteBehind:
        """Makes changed records durable."""
        ...

    @property
    def slots(self) -> Mapping[str, ActorSlot]:
        """Every actor that is not destroyed, by id."""
        ...

    def serves(self, namespace: Namespace, pool: str) -> bool:
        """Whether this process hosts actors of the pool."""
        ...

    def alarm(self, slot: ActorSlot, at_ms: int | None) -> None:
        """Replace the alarm of an actor."""


class Supervisor:
    """Carries out starts, stops and destroys for a host.

    Args:
        host: See `SupervisedHost`.
        on_destroyed: Called when an actor ceased to exist.

    Attributes:
        loads: Generations that there are, by namespace and pool.
    """

    def __init__(self, host: SupervisedHost, on_destroyed: Callable[[ActorSlot], None]) -> None:
        self._host = host
        self._on_destroyed = on_destroyed
        self._failed_starts = LimitedLog(log, "actor start failed", burst=FAULTS)
        self._failed_burials = LimitedLog.of_faults(log, "a destroy cannot be recorded")
        self._unserved: dict[tuple[str, str], dict[ActorSlot, None]] = {}
        self.loads = Counter[tuple[str, str]]()
        self._transitions = Transitions()
        self._closing = False

    @property
    def closing(self) -> bool:
        """Nothing starts any more."""
        return self._closing

    # Orders.

    def start(self, slot: ActorSlot, *, allocated: bool = False) -> None:
        """Begin a start attempt in the background. `allocated`: the record already carries this attempt's generation, durably."""
        record = slot.record
        if self._closing or not self._host.serves(slot.namespace, record.pool):
            slot.state = SlotState.ASLEEP
            if not self._closing:
                record.error = NO_ENVOYS
                self.unserved(slot)
            self._host.rows.mark(record)
            order, slot.order = slot.order, None
            # A creation that cannot go on to a start still carries out what was ordered meanwhile: somebody waits for it.
            if order is not None and order.kind is StopKind.DESTROY:
                self.stop(slot, order)
            return
        slot.state = SlotState.STARTING
        slot.wake = False
        if not allocated:
            record.generation += 1
            record.sleep_ts = None
        self._run(slot, self._start(slot, allocated))

    def unserved(self, slot: ActorSlot) -> None:
        """Remember an actor that could not be started because nobody serves its pool."""
        # A dict and no set: they start in the order in which they came.
        self._unserved.setdefault((slot.record.namespace_id, slot.record.pool), {})[slot] = None

    def take_unserved(self, namespace: Namespace, pool: str) -> list[ActorSlot]:
        """The actors that waited for a pool; they wait no more."""
        waited = self._unserved.pop((namespace.namespace_id, pool), {})
        return [slot for slot in waited if slot.record.error == NO_ENVOYS and slot.state is not SlotState.DESTROYED]

    def stop(self, slot: ActorSlot, reason: StopReason) -> None:
        """Order the actor to stop; during a start it is carried out afterwards, during a stop it is merged into it."""
        destroy = reason.kind is StopKind.DESTROY
        if slot.state is SlotState.RUNNING:
            self._begin_stop(slot, reason)
        elif slot.state is SlotState.STARTING:
            # The first order counts, but a destroy takes the place of a sleep.
            if slot.order is None or (destroy and slot.order.kind is not StopKind.DESTROY):
                slot.order = reason
        elif slot.state is SlotState.STOPPING:
            slot.destroy = slot.destroy or destroy
            slot.wake = slot.wake or (reason is StopReason.GOING_AWAY and not self._closing)
        elif slot.state is SlotState.ASLEEP:
            if destroy:
                slot.state = SlotState.STOPPING
                self._run(slot, self._bury(slot, wished=False))
            elif reason is StopReason.GOING_AWAY:
                self.start(slot)

    async def destroy(self, slot: ActorSlot) -> None:
        """Destroy the actor and return when that is done, durably (WIRE-100, DESTROY-001).

        Raises:
            ActorError: core.internal_error when it could not be recorded; the actor is then there as before.
        """
        self.stop(slot, StopReason.DESTROY)
        while slot.state is not SlotState.DESTROYED:
            if await slot.next_event() is SlotEvent.DESTROY_FAILED:
                raise make_error("core.internal_error")

    async def close(self) -> None:
        """Stop every actor with `GOING_AWAY` and wait for it; nothing starts any more (STOP-034)."""
        self._closing = True
        for slot in list(self._host.slots.values()):
            if slot.state in (SlotState.RUNNING, SlotState.STARTING):
                self.stop(slot, StopReason.GOING_AWAY)
        # A start under way turns into a stop when it ends.
        await self._transitions.ended()

    # Transitions.

    def _run(self, slot: ActorSlot, transition: Coroutine[Any, Any, None]) -> None:
        slot.transition = self._transitions.run(transition)

    def _occupy(self, slot: ActorSlot, task: ActorTask) -> None:
        slot.task = task
        self.loads[slot.record.namespace_id, slot.record.pool] += 1

    def _vacate(self, slot: ActorSlot) -> None:
        if slot.task is None:
            return
        slot.task = None
        place = (slot.record.namespace_id, slot.record.pool)
        self.loads[place] -= 1
        # Pools come and go: only those that are in use are counted.
        if not self.loads[place]:
            del self.loads[place]

    async def _start(self, slot: ActorSlot, allocated: bool) -> None:
        record = slot.record
        try:
            # The generation number becomes durable while the actor loads; nobody is let in before it is.
            saved = None if allocated else self._host.rows.write(record)
            definition = declared(self._host.registry, record.name)
            identity = identify(
                record.actor_id, record.name, record.key,
                namespace=slot.namespace.name, generation=record.generation, input_cbor=record.input,
            )  # fmt: skip
            storage = GenerationStorage(self._host.storage, record.actor_id, record.generation, self._host.databases)
            task = ActorTask(definition, identity, self._host, storage)
            self._occupy(slot, task)
            task.on_ended = lambda error: self._ended_by_itself(slot, error)
            await task.start()
            if saved is not None:
                await saved
        except BaseException as error:
            # Whatever it is: a slot that went on starting would take no call and no order any more.
            await self._start_failed(slot, error)
            if is_end(error):
                raise
        else:
            self._started(slot, task)

    def _started(self, slot: ActorSlot, task: ActorTask) -> None:
        record = slot.record
        record.connectable_ts = record.now_ms()
        record.start_ts = record.start_ts or record.connectable_ts
        record.error = None
        # From here on the actor has it in its own storage (START-026).
        record.input = None
        slot.alarm_failures = 0
        slot.live = Live(task, actor_headers(record.actor_id, record.generation, record.key))
        slot.state = SlotState.RUNNING
        self._host.rows.mark(record)
        # Before a stop that was ordered meanwhile: whoever waited was waiting for this generation.
        slot.announce(task)
        order, slot.order = slot.order, None
        if order is not None:
            self._begin_stop(slot, order)

    async def _start_failed(self, slot: ActorSlot, error: BaseException) -> None:
        record = slot.record
        # Anybody may create actors of names that nobody registered (WIRE-089).
        self._failed_starts.report(
            actor_id=record.actor_id, name=shown(record.name), generation=record.generation, error=shown(repr(error))
        )  # fmt: skip
        order, slot.order = slot.order, None
        self._vacate(slot)
        record.error = _crashed(error)
        if order is not None and order.kind is StopKind.DESTROY:
            await self._bury(slot, wished=False)
            return
        self._asleep(slot, SlotEvent.START_FAILED)
        if _alarm_is_due(record):
            self._retry_alarm(slot)

    def _retry_alarm(self, slot: ActorSlot) -> None:
        """The start that would have served an alarm failed: nobody else may ever ask again, so it comes back later, slower each time."""
        slot.alarm_failures += 1
        delay = ALARM_RETRY_BASE * 2 ** min(slot.alarm_failures - 1, ALARM_RETRY_EXPONENT)
        self._host.alarm(slot, clock.now_ms() + round(delay * 1000))

    def _begin_stop(self, slot: ActorSlot, reason: StopReason, failure: BaseException | None = None) -> None:
        record = slot.record
        slot.state = SlotState.STOPPING
        slot.stop_reason = reason
        record.connectable_ts = None
        if reason.kind is StopKind.SLEEP:
            record.sleep_ts = record.now_ms()  # SLEEP-026: shown from the intent on
        self._host.rows.mark(record)
        self._run(slot, self._stop(slot, reason, failure))

    async def _stop(self, slot: ActorSlot, reason: StopReason, failure: BaseException | None = None) -> None:
        assert slot.task is not None
        error = await stopped(slot.task, reason)
        await self._stopped(slot, reason, failure or error)

    async def _stopped(self, slot: ActorSlot, reason: StopReason, failure: BaseException | None) -> None:
        """What happens after *stopped* (STOP-002)."""
        self._vacate(slot)
        slot.stop_reason = None
        slot.live = None
        wished = failure is None and reason is StopReason.STOP_INTENT
        if slot.destroy or reason is StopReason.DESTROY or wished:
            await self._bury(slot, wished=wished)
            return
        if failure is not None:
            slot.record.error = _crashed(failure)
        again = reason is StopReason.GOING_AWAY or slot.wake
        self._asleep(slot, SlotEvent.STOPPED)
        # The alarm stays on record until the generation that it wakes has told the next one: a kill in between must not lose it.
        if again or _alarm_is_due(slot.record):
            self.start(slot)  # TASK-244

    def _ended_by_itself(self, slot: ActorSlot, failure: BaseException | None) -> None:
        """The generation cannot go on although nobody ordered its end: stop what is left of it and keep the fault on record."""
        if slot.state is SlotState.RUNNING:
            self._begin_stop(slot, StopReason.LOST, failure)
        elif slot.state is SlotState.STARTING:
            # Between its last hook and the number of its generation being durable: it has to end behind its start.
            self.stop(slot, StopReason.LOST)

    def _asleep(self, slot: ActorSlot, event: SlotEvent) -> None:
        record = slot.record
        record.connectable_ts = None
        record.sleep_ts = record.sleep_ts or record.now_ms()
        slot.state = SlotState.ASLEEP
        slot.transition = None
        self._host.rows.mark(record)
        slot.announce(event)

    async def _bury(self, slot: ActorSlot, *, wished: bool) -> None:
        """Make the end durable, let go of key and sockets, then remove the data (DESTROY-041, DESTROY-044, HIB-061, HIB-062).

        When it cannot be made durable the actor is not destroyed: who ordered it is told, and it sleeps as before. Nobody hears of the end
        that an actor `wished` for itself, so that is tried until it succeeds, or until the host closes and the actor is left whole.
        """
        record, delay = slot.record, BURIAL_RETRY
        while not await self._recorded_end(record):
            slot.destroy = False
            if not wished or self._closing:
                self._asleep(slot, SlotEvent.DESTROY_FAILED)
                if _alarm_is_due(record):
                    self.start(slot)
                return
            slot.announce(SlotEvent.DESTROY_FAILED)
            await clock.sleep(delay)
            delay = min(2 * delay, BURIAL_RETRY_LONGEST)
        slot.state = SlotState.DESTROYED
        self._vacate(slot)
        slot.transition = None
        self._unserved.get((record.namespace_id, record.pool), {}).pop(slot, None)
        try:
            self._on_destroyed(slot)
        finally:
            slot.announce(SlotEvent.DESTROYED)
        await erase_data(self._host.storage, record.actor_id)

    async def _recorded_end(self, record: ActorRecord) -> bool:
        """Whether the record is durably that of a destroyed actor; otherwise it is as it was."""
        kept = record.connectable_ts, record.alarm, record.input
        record.connectable_ts = record.alarm = record.input = None
        record.destroy_ts, record.ending = record.now_ms(), True
        try:
            await self._host.rows.save(record)
        except Exception as error:
            record.destroy_ts = None
            record.connectable_ts, record.alarm, record.input = kept
            # What was tried last is what the row would be tried with again.
            self._host.rows.mark(record)
            self._failed_burials.report(actor_id=record.actor_id, error=shown(repr(error)))
            return False
        finally:
            record.ending = False
        return True


def _alarm_is_due(record: ActorRecord) -> bool:
    return record.alarm is not None and record.alarm <= clock.now_ms()


def _crashed(error: BaseException) -> dict[str, Any]:
    """The `error` member of a record after a failed start or stop (WIRE-041)."""
    return {"crashed": {"message": crash_text(error)}}
