"""Schedules of one actor: one-shot (`c.schedule`) and recurring (`c.cron`) share one book, one table, one limit and one alarm.

The control plane holds the earliest trigger; an awake actor arms its own timer besides (TASK-240, TASK-243). Why both: the alarm comes
through a host and its inbox and may be refused there, the timer needs nobody; whichever is first claims the fire, the other finds nothing.
"""

from __future__ import annotations

import contextlib
import math
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.observer import Part
from runtime.actor.schedule.alarm import Alarm
from runtime.actor.schedule.cron import LATEST_MS, next_run
from runtime.actor.schedule.firing import Firing
from runtime.actor.schedule.history import Forgotten, ScheduleHistory
from runtime.actor.schedule.hold import Hold
from runtime.actor.schedule.joined import JoinedChanges
from runtime.actor.schedule.records import TABLE, Schedule, deletion
from runtime.actor.writes import Writes
from runtime.errors import make_error

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from runtime.actor.schedule.ports import ScheduleOwner
    from runtime.storage.base import Op, Put

    Claimed = tuple[Schedule, Schedule | None]  # as it was, and as it stands in the book while the claim is written

CLAIM_RETRY = 0.1
"""Seconds until what is due is claimed again after that could not be written; twice as many each time."""
CLAIM_RETRY_LONGEST = 10.0


class ScheduleBook:
    """Every schedule of one generation, its timer and its alarm."""

    def __init__(self, owner: ScheduleOwner) -> None:
        self._owner = owner
        self.items: dict[str, Schedule] = {}
        self._creating = 0
        self._unsettled: dict[object, int] = {}
        self._claim_failures = 0
        self._claim_again = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._suspended = True
        # One set of writes for book and alarm: a stop waits for both at once.
        self._writes = Writes(owner.log, "schedule")
        self._alarm = Alarm(owner, self._writes)
        self.history = ScheduleHistory(owner)
        self._joined = JoinedChanges(self, self._alarm)
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
            self.items[item.id] = item
        self._alarm.load(rows)
        self.history.load(rows)

    def resume(self) -> None:
        """Dispatch what is overdue and arm the timer; after the startup hooks (TASK-242)."""
        self._suspended = False
        self.fire_due()
        upcoming = self.next_alarm
        if not self._alarm.is_pushed(upcoming):
            # A crash may have come between a schedule and its alarm.
            self._owner.work.spawn(WorkKind.INTERNAL_KEEP_AWAKE, self.sync_alarm())
        else:
            # None, too: the mark is a row of the actor, the alarm is the control plane's, and a crash may have come between the two. One
            # that nobody takes back would wake the actor again and again.
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
        known = item.id in self.items or item.id in self._joined.items
        if not known and len(self.items) + self._creating + self._joined.created >= limit:
            raise make_error("schedule.max_schedules_exceeded", maximum=limit)
        item.check()
        row = item.put()
        # As it will be read back: what the caller does to its arguments later changes nothing (TASK-214).
        item = Schedule.load(row.key, row.value)
        join = self._owner.joinable()
        if join is not None:
            await self._joined.create(join, item, row)
            return
        # Counted while it is being written, or a burst of creations would pass the limit together (TASK-209).
        self._creating += 1
        await self._writes.finish(self._store(item, row))

    async def _store(self, item: Schedule, row: Put) -> None:
        try:
            with self.hold(item.trigger_at):
                # The alarm first: a crash in between costs a wake for nothing, the other order would leave a schedule that wakes nobody.
                await self.sync_alarm()
                await self._owner.commit([row])
                self.items[item.id] = item
        except BaseException:
            # An alarm that is too early does no harm; it is put right with the next change at the latest.
            with contextlib.suppress(Exception):
                await self.sync_alarm()
            raise
        finally:
            self._creating -= 1
        self._owner.metrics.mutations["scheduled_events_update"] += 1
        await self.changed()

    def pending(self) -> list[Schedule]:
        """One-shots by trigger time (TASK-208)."""
        return sorted((item for item in self._seen().values() if item.spec is None), key=lambda item: item.trigger_at)

    def recurring(self) -> list[Schedule]:
        """Recurring schedules by name."""
        return sorted((item for item in self._seen().values() if item.spec is not None), key=lambda item: item.id)

    def find(self, item_id: str, *, recurring: bool) -> Schedule | None:
        """One schedule of that kind."""
        item = self._seen().get(item_id)
        return item if item is not None and (item.spec is not None) is recurring else None

    def _seen(self) -> Mapping[str, Schedule]:
        """Every schedule, as the caller sees it: what a transaction has made, its own code sees before the commit."""
        if self._joined.items and self._owner.joinable() is not None:
            return self.items | self._joined.items
        return self.items

    async def remove(self, item_id: str, *, recurring: bool) -> bool:
        """Cancel; True once (TASK-208, TASK-304)."""
        if self.find(item_id, recurring=recurring) is None:
            return False
        join = self._owner.joinable()
        if join is not None:
            self._joined.remove(join, item_id)
            return True
        # Out of the book before the write: whoever cancels second gets False, and the timer can't fire it meanwhile.
        item = self.items.pop(item_id)
        await self._writes.finish(self._erase(item, self.hold(item.trigger_at)))
        return True

    async def _erase(self, item: Schedule, hold: Hold) -> None:
        # A one-shot has no history, and its id is nobody's name.
        gone = self.history.clear(item.id)
        try:
            with hold:
                await self._owner.commit([deletion(item.id), *gone.ops])
            # One that a transaction has made while this waited behind it.
            self.items.pop(item.id, None)
        except BaseException:
            # Not over one of the same name that was made meanwhile.
            self.items.setdefault(item.id, item)
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
        gone = self.history.trim(item.id, item.max_history)
        join = self._owner.joinable()
        if join is not None:
            self._joined.forget(join, gone)
        else:
            await self._writes.finish(self._forget(gone))

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
        moment = None if epoch_ms is None else min(epoch_ms, LATEST_MS)
        join = self._owner.joinable()
        if join is not None:
            await self._joined.set_run_wake(join, moment)
        else:
            await self._writes.finish(self._set_run_wake(moment))

    async def _set_run_wake(self, moment: int | None) -> None:
        try:
            with self.hold(self._alarm.run_wake, moment):
                # As for a schedule, the alarm goes first.
                await self.sync_alarm()
                await self._alarm.set_run_wake(moment)
        finally:
            await self.changed()

    @property
    def next_trigger(self) -> int | None:
        """The earliest trigger of all, epoch milliseconds."""
        # Computed and not kept: there are at most `max_schedules`, and a cached minimum would have to follow every change.
        # What the open transaction replaces does not fire before that has ended; the alarm counts it with the writes that are under way.
        triggers = [item.trigger_at for item in self.items.values() if item.id not in self._joined.items]
        if self._alarm.run_wake is not None:
            triggers.append(self._alarm.run_wake)
        return min(triggers, default=None)

    @property
    def next_alarm(self) -> int | None:
        """The earliest trigger that storage holds or may hold, what is being written included."""
        triggers = [trigger for trigger in (self.next_trigger, *self._unsettled.values()) if trigger is not None]
        return min(triggers, default=None)

    async def changed(self) -> None:
        """Re-arm the timer and push the alarm if the earliest trigger changed (TASK-240, TASK-241)."""
        self._arm()
        await self.sync_alarm()

    def hold(self, *triggers: int | None) -> Hold:
        """Have the alarm come no later than these triggers; `Hold` says how long."""
        return Hold(self._unsettled, *triggers)

    def settle(self) -> None:
        """`changed`, by a write of its own."""
        self._writes.start(self.changed())

    async def sync_alarm(self, *, cancel: bool = False) -> None:
        """Push the earliest trigger, or none on `cancel`; skipped when it equals the last pushed value."""
        await self._alarm.push(None if cancel else self.next_alarm)

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
        upcoming = self.next_trigger
        if upcoming is not None and not self._suspended:
            due_in = (upcoming - clock.now_ms()) / 1000
            self._timer = clock.call_later(max(due_in, self._claim_again - clock.monotonic()), self.fire_due)

    def fire_due(self) -> None:
        """Dispatch everything that is due, in trigger order (TASK-205). Called by the timer and by the host's alarm."""
        if self._suspended:
            return
        now = clock.now_ms()
        due = sorted(
            (item for item in self.items.values() if item.trigger_at <= now and item.id not in self._joined.items),
            key=lambda item: item.trigger_at,
        )
        claimed: list[Claimed] = []
        for item in due:
            moved = None
            if item.spec is None:
                del self.items[item.id]
            else:
                # Moved on before its action runs: however long that takes, the cadence stays (TASK-302).
                moved = replace(item, trigger_at=next_run(item.spec, item.trigger_at, now), last_run_at=now)
                self.items[item.id] = moved
            claimed.append((item, moved))
        wake = self._alarm.take_run_wake(now)
        # Asked now: one that is at work when its time comes is all that was wanted, also if it ends while this is being written (RUN-012).
        start_run = wake is not None and not self._owner.run.active
        if claimed or wake is not None:
            hold = self.hold(wake, *(item.trigger_at for item, _ in claimed))
            # Counted as work, or the actor could fall asleep between the claim and the action (TASK-211).
            self._owner.work.spawn(WorkKind.INTERNAL_KEEP_AWAKE, self._writes.finish(self._claim(claimed, wake, start_run, now, hold)))
        self._arm()

    async def _claim(self, claimed: list[Claimed], wake: int | None, start_run: bool, now: int, hold: Hold) -> None:
        """Make the claim durable, then dispatch: a crash in an action loses that fire and never repeats it (TASK-206)."""
        try:
            with hold:
                await self._owner.commit_collected(partial(self._claim_rows, claimed, wake))
        except Exception as error:
            # What storage still holds would fire once more in the next generation: nothing has fired, and all is tried again.
            self._owner.log.error("schedule claim not durable", error=repr(error))
            self._put_back(claimed, wake)
            return
        self._claim_failures = 0
        if start_run:
            self._owner.run.ensure_active()
        for item, _ in claimed:
            self._firing.dispatch(item, item.trigger_at, now)
        try:
            await self.sync_alarm()
        except Exception as error:
            # The fires are under way whatever becomes of it (TASK-245).
            self._owner.log.error("alarm of the next schedule not pushed", error=repr(error))

    def _claim_rows(self, claimed: list[Claimed], wake: int | None) -> list[Op]:
        # Asked for when their turn has come: what a transaction has set meanwhile is newer.
        ops = [self._alarm.run_wake_row(None)] if wake is not None and self._alarm.run_wake is None else []
        for item, moved in claimed:
            if moved is None:
                ops.append(deletion(item.id))
            elif self.items.get(item.id) is moved:
                ops.append(moved.put())
        return ops

    def _put_back(self, claimed: list[Claimed], wake: int | None) -> None:
        for item, moved in claimed:
            # Not over one that was made meanwhile, and not one that was deleted.
            if self.items.get(item.id) is moved:
                self.items[item.id] = item
        self._alarm.put_back(wake)
        delay = min(CLAIM_RETRY_LONGEST, CLAIM_RETRY * 2**self._claim_failures)
        self._claim_failures = min(self._claim_failures + 1, 16)
        self._claim_again = clock.monotonic() + delay
        self._arm()

    async def _drop(self, item: Schedule) -> None:
        """Delete a recurring schedule whose action no longer exists, unless it was replaced meanwhile (TASK-307)."""
        current = self.items.get(item.id)
        if current is not None and current.action == item.action:
            del self.items[item.id]
            try:
                with self.hold(item.trigger_at):
                    await self._write([deletion(item.id)])
            except Exception:
                # Its row is still there, so it is; the next fire finds out again that there is nothing to run.
                self.items.setdefault(item.id, item)
                raise
            finally:
                await self.changed()


def _milliseconds(value: float) -> int:
    number = float(value)
    # Times travel and are stored as integers that a JS date can hold; what lies beyond is as good as never, or long over.
    return 0 if math.isnan(number) else int(max(-LATEST_MS, min(number, LATEST_MS)))
