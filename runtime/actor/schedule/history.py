"""Bounded history of recurring fires (TASK-306, TASK-308). Rows: table `schedule_history`, key: 8-byte big-endian number.

Fires are numbered through all schedules and not per name: the overall bound forgets the oldest of all, and a schedule that is deleted and
made again goes on with new numbers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from runtime import clock
from runtime.errors import make_error, to_wire
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.copies import own_copy
from runtime.protocol.decode_errors import reading
from runtime.protocol.payload import error_document
from runtime.storage.base import Delete, Op, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.schedule.records import Schedule
    from runtime.protocol.messages import WireError

TABLE = "schedule_history"
MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Fire:
    """One fire of a recurring schedule."""

    number: int
    name: str
    action: str
    scheduled_at: int
    fired_at: int
    result: str
    finished_at: int | None = None
    error: dict[str, Any] | None = None

    def put(self) -> Put:
        """The fire as a row."""
        return Put(TABLE, _key(self.number), cbor.dumps_exact({k: v for k, v in asdict(self).items() if k != "number"}))

    def view(self) -> dict[str, Any]:
        """What `c.cron.history` gives."""
        view: dict[str, Any] = {"action": self.action, "scheduledAt": self.scheduled_at, "firedAt": self.fired_at, "result": self.result}
        if self.finished_at is not None:
            view["finishedAt"] = self.finished_at
        if self.error is not None:
            view["error"] = own_copy(self.error)
        return view


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Fires that are on their way out: no longer shown, and their rows still to be deleted.

    Attributes:
        ops: The deletions.
        fires: What `ScheduleHistory.restore` brings back when they cannot be written.
    """

    ops: list[Op]
    fires: list[Fire]


class HistoryOwner(Protocol):
    """What the history asks of its actor."""

    @property
    def work(self) -> WorkTracker:
        """Who owns the repair at the start."""
        ...

    @property
    def log(self) -> Any:
        """Where failed writes are noted."""
        ...

    async def commit(self, ops: Sequence[Op]) -> None:
        """Write one durable batch."""

    async def commit_collected(self, collect: Callable[[], Sequence[Op]]) -> None:
        """Write the batch that `collect` gives when nothing is in its way any more."""


class ScheduleHistory:
    """The fires of one actor."""

    def __init__(self, owner: HistoryOwner) -> None:
        self._owner = owner
        self._fires: dict[int, Fire] = {}
        self._owed: dict[int, Put] = {}
        self._next = 1

    def load(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> None:
        """Take over stored fires; those still running were interrupted (TASK-308)."""
        interrupted = error_document(to_wire(make_error("schedule.interrupted")))
        repaired: list[Op] = []
        for key, value in rows.get(TABLE, ()):
            with reading("the history of schedules"):
                fire = msgspec.convert({**cbor.loads(value, STORED), "number": int.from_bytes(key, "big")}, Fire)
            if fire.result == "running":
                fire = replace(fire, result="error", finished_at=clock.now_ms(), error=interrupted)
                repaired.append(fire.put())
            self._fires[fire.number] = fire
        self._next = max(self._fires, default=0) + 1
        # Not awaited: the start need not wait for it, and a crash before it is durable repairs again.
        if repaired:
            self._owner.work.adopt(self._repair(repaired))

    def of(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Newest first."""
        found = [fire for fire in self._fires.values() if fire.name == name]
        return [fire.view() for fire in sorted(found, key=lambda fire: -fire.number)[:limit]]

    async def started(self, item: Schedule, scheduled_at: int, fired_at: int) -> Fire | None:
        """Record a fire as running; None when the schedule keeps no history."""
        return await self._add(item, scheduled_at, fired_at, "running")

    async def skipped(self, item: Schedule, scheduled_at: int, fired_at: int) -> None:
        """Record a fire that was skipped because the previous one still runs (TASK-303)."""
        await self._add(item, scheduled_at, fired_at, "skipped")

    async def finished(self, fire: Fire, error: WireError | None) -> None:
        """Record how a fire ended."""
        # Deleted or trimmed while its action ran: writing it now would leave a row that nobody forgets.
        if fire.number not in self._fires:
            return
        document = None if error is None else error_document(replace(error, actor=None))
        done = replace(fire, result="ok" if error is None else "error", finished_at=clock.now_ms(), error=document)
        # Encoded before it is owed: a row that cannot be would keep all later ones from being written.
        row = done.put()
        self._fires[fire.number], self._owed[fire.number] = done, row
        try:
            await self._commit([])
        except Exception as caught:
            # With the next fire, whichever schedule it is of: what is shown here is to be what storage says.
            self._owner.log.error("fire cannot be recorded as finished", schedule_id=fire.name, error=repr(caught))

    async def _add(self, item: Schedule, scheduled_at: int, fired_at: int, result: str) -> Fire | None:
        # Not even a running one: a schedule that keeps no history costs no write per fire.
        if item.max_history == 0:
            return None
        fire = Fire(self._next, item.id, item.action, scheduled_at, fired_at, result)
        # Numbered before the write: two fires that begin together must not take one row.
        self._next += 1
        self._fires[fire.number] = fire
        gone = self.trim(item.id, item.max_history)
        try:
            await self._commit([fire.put(), *gone.ops])
        except BaseException:
            self._fires.pop(fire.number, None)
            self.restore(gone)
            raise
        return fire

    async def _commit(self, ops: Sequence[Op]) -> None:
        """Write `ops` behind what an earlier write could not."""
        owed, self._owed = self._owed, {}
        # A row that was deleted meanwhile must not come back.
        late = [row for number, row in owed.items() if number in self._fires]
        try:
            await self._owner.commit_collected(lambda: [row for row in (*late, *ops) if not self._is_forgotten(row)])
        except BaseException:
            self._owed = owed | self._owed
            raise

    def _is_forgotten(self, row: Op) -> bool:
        # Asked when its turn has come: a transaction that it waited for may have deleted the schedule.
        return isinstance(row, Put) and int.from_bytes(row.key, "big") not in self._fires

    async def _repair(self, rows: Sequence[Op]) -> None:
        try:
            await self._owner.commit(rows)
        except Exception as error:
            self._owner.log.warning("interrupted fires cannot be recorded", error=repr(error))

    def trim(self, name: str, keep: int) -> Forgotten:
        """Forget all but the newest `keep` of a schedule and all but 10000 in all; the deletions still have to be committed."""
        # By number and not by time, which may stand still or go back.
        own = sorted(number for number, fire in self._fires.items() if fire.name == name)
        doomed = own[: max(0, len(own) - keep)]
        excess = len(self._fires) - len(doomed) - MAX_ROWS
        if excess > 0:
            doomed += sorted(set(self._fires) - set(doomed))[:excess]
        return self._forget(doomed)

    def clear(self, name: str) -> Forgotten:
        """Forget a schedule's fires; the deletions still have to be committed."""
        return self._forget([number for number, fire in self._fires.items() if fire.name == name])

    def restore(self, gone: Forgotten) -> None:
        """The deletions could not be written: what they were about is there as before."""
        for fire in gone.fires:
            self._fires.setdefault(fire.number, fire)

    def _forget(self, numbers: Sequence[int]) -> Forgotten:
        fires = [self._fires.pop(number) for number in numbers]
        return Forgotten([Delete(TABLE, _key(fire.number)) for fire in fires], fires)


def _key(number: int) -> bytes:
    return number.to_bytes(8, "big")
