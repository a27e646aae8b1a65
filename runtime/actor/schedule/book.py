"""Schedules of one actor: one-shot (`c.schedule`) and recurring (`c.cron`) share one book, one table, one limit and one alarm.

Rows (table `schedule`, key: id, value: CBOR of the fields). The control plane holds the earliest trigger; an awake actor arms its own
timer besides (TASK-240, TASK-243).
"""

from __future__ import annotations

import asyncio
import math
import uuid
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.actor.lifecycle.work import WorkKind
from runtime.actor.observer import Part
from runtime.actor.rows import ACTOR_TABLE, ALARM_KEY, RUN_WAKE_KEY
from runtime.actor.schedule.cron import CronSpec, next_run
from runtime.actor.schedule.history import ScheduleHistory
from runtime.errors import ActorError, make_error, to_wire
from runtime.logs import error_fields
from runtime.protocol import cbor
from runtime.protocol.values import from_wire
from runtime.protocol.values import to_wire as value_to_wire
from runtime.storage.base import Delete, Op, Put

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from runtime.actor.lifecycle.task import ActorTask

TABLE = "schedule"
UNKNOWN = -1
"""The last pushed alarm when a push failed half-way: differs from every alarm, so that the next push happens."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One pending schedule; times are epoch milliseconds. `spec` is None for a one-shot."""

    id: str
    action: str
    args: list[Any]
    trigger_at: int
    spec: CronSpec | None = None
    last_run_at: int | None = None
    max_history: int = 100

    def put(self) -> Put:
        """The schedule as a row."""
        body = {
            "action": self.action,
            "args": [value_to_wire(item) for item in self.args],
            "trigger_at": self.trigger_at,
            "spec": None if self.spec is None else asdict(self.spec),
            "last_run_at": self.last_run_at,
            "max_history": self.max_history,
        }
        return Put(TABLE, self.id.encode(), cbor.dumps_exact(body))

    @classmethod
    def load(cls, key: bytes, value: bytes) -> Schedule:
        """The inverse of `put`."""
        body = cbor.loads(value)
        spec = body["spec"]
        args = [from_wire(item) for item in body["args"]]
        return cls(
            key.decode(), body["action"], args, int(body["trigger_at"]), None if spec is None else CronSpec(**spec),
            body["last_run_at"], body["max_history"],
        )  # fmt: skip


class ScheduleBook:
    """Every schedule of one generation, its timer and its alarm."""

    def __init__(self, task: ActorTask) -> None:
        self._task = task
        self._items: dict[str, Schedule] = {}
        self._creating = 0
        self._timer: asyncio.TimerHandle | None = None
        self._suspended = True
        self._run_wake: int | None = None
        self._pushed: int | None = None
        self._writes: set[asyncio.Task[Any]] = set()
        self._executing: set[str] = set()
        self.history = ScheduleHistory(task)

    def load(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> None:
        """Take over stored schedules; rows that cannot be read are logged and left alone (TASK-213)."""
        for key, value in rows.get(TABLE, ()):
            try:
                item = Schedule.load(key, value)
            except Exception as error:
                reason = make_error("schedule.invalid_schedule_row", schedule_id=key.decode(errors="replace"), reason=str(error))
                self._task.log.error("stored schedule is invalid", error=str(reason))
                continue
            self._items[item.id] = item
        stored = dict(rows.get(ACTOR_TABLE, ()))
        if RUN_WAKE_KEY in stored:
            self._run_wake = cbor.loads(stored[RUN_WAKE_KEY])
        if ALARM_KEY in stored:
            self._pushed = cbor.loads(stored[ALARM_KEY])
        self.history.load(rows)

    def resume(self) -> None:
        """Dispatch what is overdue and arm the timer; after the startup hooks (TASK-242)."""
        self._suspended = False
        self.fire_due()
        if self.next_trigger != self._pushed:
            # A crash may have come between a schedule and its alarm.
            self._task.work.spawn(WorkKind.INTERNAL_KEEP_AWAKE, self.sync_alarm())

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
        limit = self._task.options.max_schedules
        if item.id not in self._items and len(self._items) + self._creating >= limit:
            raise make_error("schedule.max_schedules_exceeded", maximum=limit)
        row = item.put()
        # As it will be read back: what the caller does to its arguments later changes nothing (TASK-214).
        item = Schedule.load(row.key, row.value)
        self._creating += 1
        await self._finish(self._store(item, row))

    async def _store(self, item: Schedule, row: Put) -> None:
        try:
            await self._task.commit([row])
            self._items[item.id] = item
        finally:
            self._creating -= 1
        self._task.metrics.mutations["scheduled_events_update"] += 1
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
        ops: list[Op] = [Delete(TABLE, item_id.encode())]
        if recurring:
            ops += self.history.clear(item_id)
        await self._finish(self._erase(self._items.pop(item_id), ops))
        return True

    async def _erase(self, item: Schedule, ops: list[Op]) -> None:
        try:
            await self._task.commit(ops)
        except BaseException:
            self._items.setdefault(item.id, item)
            raise
        await self.changed()

    async def put(self, item: Schedule) -> None:
        """Create or update a recurring schedule; an unchanged cadence keeps its next run (TASK-300)."""
        known = self.find(item.id, recurring=True)
        if known is not None and known.spec == item.spec:
            item = replace(item, trigger_at=known.trigger_at)
        if known is not None:
            item = replace(item, last_run_at=known.last_run_at)
        trimmed = self.history.trim(item.id, item.max_history)
        await self._create(item)
        if trimmed:
            await self._write(trimmed)

    # The alarm.

    async def set_run_wake(self, epoch_ms: int | None) -> None:
        """Remember when the run handler must be active (RUN-012)."""
        self._run_wake = epoch_ms
        row: Op = Delete(ACTOR_TABLE, RUN_WAKE_KEY) if epoch_ms is None else Put(ACTOR_TABLE, RUN_WAKE_KEY, cbor.dumps_exact(epoch_ms))
        await self._write([row])
        await self.changed()

    @property
    def next_trigger(self) -> int | None:
        """The earliest trigger of all, epoch milliseconds."""
        triggers = [item.trigger_at for item in self._items.values()]
        if self._run_wake is not None:
            triggers.append(self._run_wake)
        return min(triggers, default=None)

    async def changed(self) -> None:
        """Re-arm the timer and push the alarm if the earliest trigger changed (TASK-240, TASK-241)."""
        self._arm()
        await self.sync_alarm()

    async def sync_alarm(self, *, cancel: bool = False) -> None:
        """Push the earliest trigger, or none on `cancel`; skipped when it equals the last pushed value."""
        upcoming = None if cancel else self.next_trigger
        if upcoming == self._pushed:
            return
        self._pushed = upcoming
        try:
            await self._task.host.set_alarm(self._task.identity.actor_id, upcoming)
            await self._write([Put(ACTOR_TABLE, ALARM_KEY, cbor.dumps_exact(upcoming))])
        except BaseException:
            self._pushed = UNKNOWN
            raise

    async def drain(self) -> None:
        """Wait for writes that were started (STOP-016)."""
        while self._writes:
            await asyncio.wait(self._writes)

    async def _write(self, ops: Sequence[Op]) -> None:
        await self._finish(self._task.commit(ops))

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` to its end: a cancelled caller must not leave memory and storage apart; `drain` awaits it."""
        write = self._task.loop.create_task(work)
        self._writes.add(write)
        write.add_done_callback(self._written)
        await asyncio.shield(write)

    def _written(self, write: asyncio.Task[Any]) -> None:
        self._writes.discard(write)
        if not write.cancelled() and write.exception() is not None:
            self._task.log.debug("schedule write failed", error=repr(write.exception()))

    # Firing.

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._task.changed(Part.SCHEDULES)
        upcoming = self.next_trigger
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
                ops.append(Delete(TABLE, item.id.encode()))
            else:
                moved = replace(item, trigger_at=next_run(item.spec, item.trigger_at, now), last_run_at=now)
                self._items[item.id] = moved
                ops.append(moved.put())
        if self._run_wake is not None and self._run_wake <= now:
            self._run_wake = None
            ops.append(Delete(ACTOR_TABLE, RUN_WAKE_KEY))
            self._task.run.ensure_active()
        if ops:
            self._task.work.spawn(WorkKind.INTERNAL_KEEP_AWAKE, self._claim(ops, fires, now))
        self._arm()

    async def _claim(self, ops: list[Op], fires: list[tuple[Schedule, int]], now: int) -> None:
        """Make the claim durable, then dispatch: a crash in an action loses that fire and never repeats it (TASK-206)."""
        try:
            await self._write(ops)
            await self.sync_alarm()
        except Exception as error:
            self._task.log.error("schedule claim not durable", error=repr(error))
        for item, scheduled_at in fires:
            self._dispatch(item, scheduled_at, now)

    def _dispatch(self, item: Schedule, scheduled_at: int, fired_at: int) -> None:
        if item.spec is not None and item.id in self._executing:
            self._task.work.spawn(WorkKind.INTERNAL_KEEP_AWAKE, self.history.skipped(item, scheduled_at, fired_at))
            return
        self._task.work.spawn(WorkKind.SCHEDULED_ACTION, self._execute(item, scheduled_at, fired_at))

    async def _execute(self, item: Schedule, scheduled_at: int, fired_at: int) -> None:
        fire: dict[str, Any] = {"kind": "at" if item.spec is None else item.spec.kind, "id": item.id}
        if item.spec is not None:
            fire["name"] = item.id
        fire |= {"scheduledAt": scheduled_at, "firedAt": fired_at}
        self._executing.add(item.id)
        entry = None if item.spec is None else await self.history.started(item, scheduled_at, fired_at)
        error: Exception | None = None
        try:
            await self._task.calls.run_scheduled(item.action, [*item.args, fire])
        except Exception as caught:
            error = caught
            self._task.log.error("scheduled event execution failed", schedule_id=item.id, action=item.action, **error_fields(caught))
        finally:
            self._executing.discard(item.id)
        if entry is not None:
            await self.history.finished(entry, None if error is None else to_wire(error))
            await self._drop_if_gone(item, error)

    async def _drop_if_gone(self, item: Schedule, error: Exception | None) -> None:
        """A recurring schedule whose action no longer exists is deleted, unless it was replaced meanwhile (TASK-307)."""
        current = self._items.get(item.id)
        gone = isinstance(error, ActorError) and error.name == "actor.action_not_found"
        if gone and current is not None and current.action == item.action:
            del self._items[item.id]
            await self._write([Delete(TABLE, item.id.encode())])
            await self.changed()


def _milliseconds(value: float) -> int:
    number = float(value)
    return 0 if math.isnan(number) else int(number)
