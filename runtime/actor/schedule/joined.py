"""Schedules that are made, changed and cancelled from within a transaction of the database: there with its COMMIT, or not at all (DB-029).

The alarm is told at the call, so before the COMMIT; one that is too early does no harm. Until the transaction has ended nothing that it
changes fires, and only its own code sees it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from runtime.actor.joining import JoinedRows
from runtime.actor.schedule.records import Schedule, deletion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actor.joining import Join
    from runtime.actor.schedule.alarm import Alarm
    from runtime.actor.schedule.history import Forgotten, ScheduleHistory
    from runtime.actor.schedule.hold import Hold
    from runtime.storage.base import Op, Put


class Book(Protocol):
    """The book, as its joined changes see it."""

    items: dict[str, Schedule]
    history: ScheduleHistory

    def hold(self, *triggers: int | None) -> Hold:
        """Have the alarm come no later than these."""
        ...

    @property
    def next_alarm(self) -> int | None:
        """The earliest trigger that storage may hold."""
        ...

    def settle(self) -> None:
        """Arm the timer and push the alarm, in the background."""


class JoinedChanges:
    """What the open transaction of the actor changes.

    Attributes:
        items: Schedules that are there when it commits, by id.
    """

    def __init__(self, book: Book, alarm: Alarm) -> None:
        self._book = book
        self._alarm = alarm
        self.items: dict[str, Schedule] = {}

    @property
    def created(self) -> int:
        """How many schedules there will be more."""
        return sum(item_id not in self._book.items for item_id in self.items)

    async def create(self, join: Join, item: Schedule, row: Put) -> None:
        """Add a schedule or replace one."""
        known = self._book.items.get(item.id)
        hold = self._book.hold(item.trigger_at, None if known is None else known.trigger_at)

        def end() -> None:
            hold.end()
            if self.items.get(item.id) is item:
                del self.items[item.id]
            self._book.settle()

        def committed() -> None:
            self._book.items[item.id] = item
            end()

        # Before the first await, or a burst of creations would pass the limit together.
        self.items[item.id] = item
        await self._join(join, [row], committed, end)

    def remove(self, join: Join, item_id: str) -> None:
        """Cancel one: it does not fire from now on."""
        book = self._book
        known = book.items.get(item_id)
        hold = book.hold(None if known is None else known.trigger_at)
        gone = book.history.clear(item_id)

        def committed() -> None:
            hold.end()
            book.items.pop(item_id, None)
            book.settle()

        def rolled_back() -> None:
            hold.end()
            if known is not None:
                # Not over one of the same name that was made meanwhile.
                book.items.setdefault(item_id, known)
            book.history.restore(gone)
            book.settle()

        try:
            join(JoinedRows([deletion(item_id), *gone.ops], committed, rolled_back))
        except BaseException:
            rolled_back()
            raise
        book.items.pop(item_id, None)
        self.items.pop(item_id, None)

    def forget(self, join: Join, gone: Forgotten) -> None:
        """Delete fires."""
        if gone.ops:
            join(JoinedRows(gone.ops, lambda: None, partial(self._book.history.restore, gone)))

    async def set_run_wake(self, join: Join, moment: int | None) -> None:
        """Set the wake time of the run handler."""
        hold = self._book.hold(self._alarm.run_wake, moment)

        def end() -> None:
            hold.end()
            self._book.settle()

        def committed() -> None:
            self._alarm.joined_run_wake(moment)
            end()

        await self._join(join, [self._alarm.run_wake_row(moment)], committed, end)

    async def _join(self, join: Join, ops: Sequence[Op], committed: Callable[[], None], end: Callable[[], None]) -> None:
        try:
            mark = await self._alarm.announce(self._book.next_alarm)
            join(JoinedRows([*ops, *mark], committed, end))
        except BaseException:
            end()
            raise
