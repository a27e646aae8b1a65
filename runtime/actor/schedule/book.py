"""Schedules of one actor: one-shot (`c.schedule`) and recurring (`c.cron`) share one book, one table, one limit and one alarm.

The control plane holds the earliest trigger; an awake actor arms its own timer besides (TASK-240, TASK-243). Why both: the alarm comes
through a host and its inbox and may be refused there, the timer needs nobody; whichever is first claims the fire, the other finds nothing.
"""

from __future__ import annotations

import contextlib
import math
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from runtime import clock
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.observer import Part
from runtime.actor.schedule.alarm import Alarm, AlarmOwner
from runtime.actor.schedule.cron import LATEST_MS, next_run
from runtime.actor.schedule.firing import Firing, FiringOwner
from runtime.actor.schedule.history import Forgotten, ScheduleHistory
from runtime.actor.schedule.records import TABLE, Schedule, deletion
from runtime.actor.writes import Writes
from runtime.errors import make_error

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from runtime.declaration.options import Options
    from runtime.metrics.registry import ActorMetrics
    from runtime.storage.base import Op, Put


class RunHandler(Protocol):
    """The run handler, as a wake time sees it."""

    def ensure_active(self) -> None:
        """Start it again if it has ended."""


class ScheduleOwner(AlarmOwner, FiringOwner, Protocol):
    """What the schedules ask of their actor."""

    @property
    def options(self) -> Options:
        """How many schedules there may be."""
        ...

    @property
    def metrics(self) -> ActorMetrics:
        """Where changes are counted."""
        ...

    @property
    def run(self) -> RunHandler:
        """Who is woken by a wake time."""
        ...

    def changed(self, part: Part) -> None:
        """Tell whoever watches."""


class ScheduleBook:
    """Every schedule of one generation, its timer and its alarm."""

    def __init__(self, owner: ScheduleOwner) -> None:
        self._owner = owner
        self._items: dict[str, Schedule] = {}
        self._coming: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._suspended = True
        # One set of writes for book and alarm: a stop waits for both at once.
        self._writes = Writes(owner.log, "schedule")
        self._alarm = Alarm(owner, self._writes)
        self.history = ScheduleHistory(owner)
        self._firing = Firing(owner, self.history, self._drop)

    def load(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> None:
        """Take over stored schedules; rows that cannot be read are logged and left alone (TASK-213)."""
        for key, value in rows.get(TABLE, ()):
            try:
                item = Schedule.load(key, value)
            except Exception as error:
                # One row of a newer version, or a damaged one, must not keep the actor from starting.
                reason = make_error("schedule.invalid_schedule_row", schedule_id=key.decode(errors="replace"), reason=str(error))
                self._owner.log.error("stored schedule is invalid", error=str(reason))
                continue
            self._items[item.id] = item
        self._alarm.load(rows)
        self.history.load(rows)

    def resume(self) -> None:
        """Dispatch what is overdue and arm the timer; after the startup hooks (TASK-242)."""
        self._suspended = False
        self.fire_due()
        upcoming = self.next_trigger
        if not self._alarm.is_pushed(upcoming):
            # A crash may have come between a schedule and its alarm.
            self._owner.work.spawn(WorkKind.INTERNAL_KEEP_AWAKE, self.sync_alarm())
        elif upcoming is not None:
            # The mark is a row of the actor, the alarm is the control plane's: restored rows, or another host, may have only the one.
            self._writes.start(self._alarm.tell(upcoming))

    def suspend(self) -> None:
        """Fire nothing any more; what falls due waits for the next generation (TASK-212)."""
        self._suspended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # One-shots.

    async def at(self, epoch_ms: float, action: str, args: Sequence[Any]) -> str:
        """Store a one-shot durably and return its id (TASK-200)."""
        item = Schedule(str(uuid.uuid4()), action, list(args), _milliseconds(epoch_ms))
        await self._create(item)
        return item.id

    async def after(self, seconds: float, action: str, args: Sequence[Any]) -> str:
        """`at`, `seconds` from now; raises schedule.invalid_delay when negative (TASK-210)."""
        if seconds < 0:
            raise make_error("schedule.invalid_delay", delay_ms=round(seconds * 1000))
        return await self.at(clock.now_ms() + (0 if math.isnan(seconds) else seconds * 1000), action, args)

    async def _create(self, item: Schedule) -> None:
        limit = self._owner.options.max_schedules
        if item.id not in self._items and len(self._items) + len(self._coming) >= limit:
            raise make_error("schedule.max_schedules_exceeded", maximum=limit)
        item.check()
        row = item.put()
        # As it will be read back: what the caller does to its arguments later changes nothing (TASK-214).
        item = Schedule.load(row.key, row.value)
        # Counted while it is being written, or a burst of creations would pass the limit together (TASK-209).
        self._coming.append(item.trigger_at)
        await self._writes.finish(self._store(item, row))

    async def _store(self, item: Schedule, row: Put) -> None:
        try:
            # The alarm first: killed in between, the actor is woken for nothing, and not left with a schedule that wakes nobody.
            await self.sync_alarm()
            await self._owner.commit([row])
            self._items[item.id] = item
        except BaseException:
            self._coming.remove(item.trigger_at)
            # One that is too early does no harm; it is put right with the next change at the latest.
            with contextlib.suppress(Exception):
                await self.sync_alarm()
            raise
        self._coming.remove(item.trigger_at)
        self._owner.metrics.mutations["scheduled_events_update"] += 1
        await self.changed()

    def pending(self) -> list[Schedule]:
        """One-shots by trigger time (TASK-208)."""
        return sorted((item for item in self._items.values() if item.spec is None), key=lambda item: item.trigger_at)

    def recurring(self) -> list[Schedule]:
        """Recurring schedules by name."""
        return sorted((item for item in self._items.values() if item.spec is not None), key=lambda item: item.id)

    def find(self, item_id: str, *, recurring: bool) -> Schedule | None:
        """One schedule of that kind."""
        item = self._items.get(item_id)
        return item if item is not None and (item.spec is not None) is recurring else None

    async def remove(self, item_id: str, *, recurring: bool) -> bool:
        """Cancel; True once (TASK-208, TASK-304)."""
        if self.find(item_id, recurring=recurring) is None:
            return False
        # Out of the book before the write: whoever cancels second gets False, and the timer can't fire it meanwhile.
        await self._writes.finish(self._erase(self._items.pop(item_id)))
        return True

    async def _erase(self, item: Schedule) -> None:
        # A one-shot has no history, and its id is nobody's name.
        gone = self.history.clear(item.id)
        try:
            await self._owner.commit([deletion(item.id), *gone.ops])
        except BaseException:
            # Not over one of the same name that was made meanwhile.
            self._items.setdefault(item.id, item)
            self.history.restore(gone)
            raise
        await self.changed()

    async def put(self, item: Schedule) -> None:
        """Create or update a recurring schedule; an unchanged cadence keeps its next run (TASK-300)."""
        known = self.find(item.id, recurring=True)
        if known is not None and known.spec == item.spec:
            item = replace(item, trigger_at=known.trigger_at)
        if known is not None:
            item = replace(item, last_run_at=known.last_run_at)
        await self._create(item)
        # Not before: a schedule that could not be stored keeps the history of the one that it was to replace.
        await self._writes.finish(self._forget(self.history.trim(item.id, item.max_history)))

    async def _forget(self, gone: Forgotten) -> None:
        """Delete fires durably; they are back when that fails, as they are in storage."""
        try:
            if gone.ops:
                await self._owner.commit(gone.ops)
        except BaseException:
            self.history.restore(gone)
            raise

    # The alarm.

    async def set_run_wake(self, epoch_ms: int | None) -> None:
        """Remember when the run handler must be active (RUN-012)."""
        if epoch_ms is None:
            await self._alarm.set_run_wake(None)
            await self.changed()
            return
        # As for a schedule, the alarm goes first.
        moment = min(epoch_ms, LATEST_MS)
        self._coming.append(moment)
        try:
            await self.sync_alarm()
            await self._alarm.set_run_wake(moment)
        finally:
            self._coming.remove(moment)
            await self.changed()

    @property
    def next_trigger(self) -> int | None:
        """The earliest trigger of all, epoch milliseconds, what is being stored included."""
        stored = self._next_stored
        return min([*self._coming, *(() if stored is None else (stored,))], default=None)

    @property
    def _next_stored(self) -> int | None:
        # Computed and not kept: there are at most `max_schedules`, and a cached minimum would have to follow every change.
        triggers = [item.trigger_at for item in self._items.values()]
        if self._alarm.run_wake is not None:
            triggers.append(self._alarm.run_wake)
        return min(triggers, default=None)

    async def changed(self) -> None:
        """Re-arm the timer and push the alarm if the earliest trigger changed (TASK-240, TASK-241)."""
        self._arm()
        await self.sync_alarm()

    async def sync_alarm(self, *, cancel: bool = False) -> None:
        """Push the earliest trigger, or none on `cancel`; skipped when it equals the last pushed value."""
        await self._alarm.push(None if cancel else self.next_trigger)

    async def drain(self) -> None:
        """Wait for writes that were started (STOP-016)."""
        await self._writes.drain()

    async def _write(self, ops: Sequence[Op]) -> None:
        await self._writes.finish(self._owner.commit(ops))

    # Firing.

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.changed(Part.SCHEDULES)
        # Not for what is still being stored, which may take long behind a transaction: it could not fire yet, again and again.
        upcoming = self._next_stored
        if upcoming is not None and not self._suspended:
            self._timer = clock.call_later((upcoming - clock.now_ms()) / 1000, self.fire_due)

    def fire_due(self) -> None:
        """Dispatch everything that is due, in trigger order (TASK-205). Called by the timer and by the host's alarm."""
        if self._suspended:
            return
        now = clock.now_ms()
        due = sorted((item for item in self._items.values() if item.trigger_at <= now), key=lambda item: item.trigger_at)
        ops: list[Op] = []
        fires: list[tuple[Schedule, int]] = []
        for item in due:
            fires.append((item, item.trigger_at))
            if item.spec is None:
                del self._items[item.id]
                ops.append(deletion(item.id))
            else:
                # Moved on before its action runs: however long that takes, the cadence stays (TASK-302).
                moved = replace(item, trigger_at=next_run(item.spec, item.trigger_at, now), last_run_at=now)
                self._items[item.id] = moved
                ops.append(moved.put())
        if wake := self._alarm.take_run_wake(now):
            ops += wake
            self._owner.run.ensure_active()
        if ops:
            # Counted as work, or the actor could fall asleep between the claim and the action (TASK-211).
            self._owner.work.spawn(WorkKind.INTERNAL_KEEP_AWAKE, self._claim(ops, fires, now))
        self._arm()

    async def _claim(self, ops: list[Op], fires: list[tuple[Schedule, int]], now: int) -> None:
        """Make the claim durable, then dispatch: a crash in an action loses that fire and never repeats it (TASK-206)."""
        try:
            await self._write(ops)
            await self.sync_alarm()
        except Exception as error:
            # The fires go on (TASK-245): better once more after a crash than not at all.
            self._owner.log.error("schedule claim not durable", error=repr(error))
        for item, scheduled_at in fires:
            self._firing.dispatch(item, scheduled_at, now)

    async def _drop(self, item: Schedule) -> None:
        """Delete a recurring schedule whose action no longer exists, unless it was replaced meanwhile (TASK-307)."""
        current = self._items.get(item.id)
        if current is not None and current.action == item.action:
            del self._items[item.id]
            try:
                await self._write([deletion(item.id)])
            except Exception:
                # Its row is still there, so it is; the next fire finds out again that there is nothing to run.
                self._items.setdefault(item.id, item)
                raise
            finally:
                await self.changed()


def _milliseconds(value: float) -> int:
    number = float(value)
    # Times travel and are stored as integers that a JS date can hold; what lies beyond is as good as never, or long over.
    return 0 if math.isnan(number) else int(max(-LATEST_MS, min(number, LATEST_MS)))
