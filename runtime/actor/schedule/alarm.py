"""The one alarm of an actor at its control plane: what wakes it when it sleeps (TASK-240, TASK-241).

Two rows belong to it. `run_wake` is a wish of the run handler, which takes part in the earliest trigger like a schedule does. `alarm` is
the value that the control plane was given last, so that the many changes which leave the earliest trigger alone cost no message.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from runtime.actor.rows import ACTOR_TABLE, ALARM_KEY, RUN_WAKE_KEY
from runtime.actor.schedule.cron import LATEST_MS
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import DecodeError
from runtime.storage.base import Delete, Op, Put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.actor.ports import ActorIdentity
    from runtime.actor.writes import Writes

UNKNOWN = -1
"""The last pushed alarm when a push failed half-way: differs from every alarm, so that the next push happens."""


class AlarmHost(Protocol):
    """The control plane, as the alarm sees it."""

    async def set_alarm(self, actor_id: str, generation: int, at_ms: int | None) -> None:
        """Replace the one alarm of the actor, durably; None clears it."""


class AlarmOwner(Protocol):
    """What the alarm asks of its actor."""

    @property
    def identity(self) -> ActorIdentity:
        """Whose alarm it is."""
        ...

    @property
    def host(self) -> AlarmHost:
        """Who keeps it."""
        ...

    async def commit(self, ops: Sequence[Op]) -> None:
        """Write one durable batch."""


class Alarm:
    """What the control plane was told, and when the run handler wants to be awake."""

    def __init__(self, owner: AlarmOwner, writes: Writes) -> None:
        self._owner = owner
        self._writes = writes
        self._pushed: int | None = None
        self._pushing: asyncio.Task[None] | None = None
        self._setting = 0
        self.run_wake: int | None = None

    def load(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> None:
        """Take over what the last generation left."""
        stored = dict(rows.get(ACTOR_TABLE, ()))
        if RUN_WAKE_KEY in stored:
            self.run_wake = _moment(stored[RUN_WAKE_KEY])
        if ALARM_KEY in stored:
            self._pushed = _moment(stored[ALARM_KEY])

    def is_pushed(self, upcoming: int | None) -> bool:
        """Whether that was the last push, as far as is known."""
        return upcoming == self._pushed

    async def push(self, upcoming: int | None) -> None:
        """Tell the control plane, unless it was told so last (TASK-241)."""
        if upcoming != self._pushed:
            # Noted before the first await: a second push of the same value meanwhile has nothing to do but to wait.
            self._pushed = upcoming
            self._pushing = self._writes.start(self._push(upcoming))
        # Also whoever came second: its schedule is no safer than the alarm that is under way for it.
        if self._pushing is not None and not self._pushing.done():
            await asyncio.shield(self._pushing)

    async def _push(self, upcoming: int | None) -> None:
        try:
            # The alarm first: a crash in between repeats a push at the next start, the other order would lose an alarm.
            await self.tell(upcoming)
            await self._write([self._row(upcoming)])
        except BaseException:
            # Whether it got through is unknown, also to a push that came meanwhile and went through before.
            self._pushed = UNKNOWN
            raise

    async def announce(self, upcoming: int | None) -> list[Op]:
        """As `push`, for a transaction that has to write the row: what is returned, once the control plane was told (DB-029)."""
        # While a push is under way its row may be waiting for that transaction, so whether it got through is not known here.
        if upcoming == self._pushed and (self._pushing is None or self._pushing.done()):
            return []
        self._pushed = upcoming
        try:
            await self._writes.finish(self.tell(upcoming))
        except BaseException:
            self._pushed = UNKNOWN
            raise
        return [self._row(upcoming)]

    def _row(self, upcoming: int | None) -> Op:
        return Put(ACTOR_TABLE, ALARM_KEY, cbor.dumps_exact(upcoming))

    async def tell(self, upcoming: int | None) -> None:
        """Tell the control plane, whatever it was told before."""
        await self._owner.host.set_alarm(self._owner.identity.actor_id, self._owner.identity.generation, upcoming)

    async def set_run_wake(self, epoch_ms: int | None) -> None:
        """Remember durably when the run handler must be active (RUN-012)."""
        if epoch_ms is not None:
            epoch_ms = min(epoch_ms, LATEST_MS)
        before, self.run_wake = self.run_wake, epoch_ms
        self._setting += 1
        try:
            await self._write([self.run_wake_row(epoch_ms)])
        except Exception:
            # Unless it was set again meanwhile.
            if self.run_wake == epoch_ms:
                self.run_wake = before
            raise
        finally:
            self._setting -= 1

    def run_wake_row(self, epoch_ms: int | None) -> Op:
        """The wake time as a row."""
        return Delete(ACTOR_TABLE, RUN_WAKE_KEY) if epoch_ms is None else Put(ACTOR_TABLE, RUN_WAKE_KEY, cbor.dumps_exact(epoch_ms))

    def joined_run_wake(self, epoch_ms: int | None) -> None:
        """A transaction has set the wake time; what others set while it was open comes behind it and stands."""
        if not self._setting:
            self.run_wake = epoch_ms

    def take_run_wake(self, now: int) -> int | None:
        """Forget a wake time that has come, and return it; the deletion still has to be committed. None when none has."""
        if self.run_wake is None or self.run_wake > now:
            return None
        taken, self.run_wake = self.run_wake, None
        return taken

    def put_back(self, wake: int | None) -> None:
        """A wake time that was taken could not be deleted; a new one that was set meanwhile stands."""
        if self.run_wake is None:
            self.run_wake = wake

    async def _write(self, ops: Sequence[Op]) -> None:
        await self._writes.finish(self._owner.commit(ops))


def _moment(row: bytes) -> int | None:
    value = cbor.loads(row, STORED)
    if value is not None and type(value) is not int:
        raise DecodeError(f"a row of the alarm is damaged: {value!r:.40}")
    return value
