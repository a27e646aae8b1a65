"""`c.schedule` and `c.cron`: what actor code gets.

What is wrong with a request is found here, before the book is asked: the book raises for what it holds, its limit, and nothing else.
Views are plain dicts with the names of the wire, because actions return them to clients as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.actor.schedule.cron import MAX_HISTORY, check_max_history, check_name, cron_spec, every_spec, first_run
from runtime.actor.schedule.records import Schedule
from runtime.errors import make_error
from runtime.protocol.copies import own_copies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.actor.schedule.book import ScheduleBook
    from runtime.actor.schedule.cron import CronSpec


class ScheduleApi:
    """One-shot schedules: `await c.schedule.after(60, "remind", user_id)`. Survive sleep and crash (TASK-213)."""

    def __init__(self, book: ScheduleBook) -> None:
        self._book = book

    async def after(self, seconds: float, action: str, *args: Any) -> str:
        """Call `action(*args, fire)` in `seconds`; returns the schedule's id once it is durable.

        Raises:
            ActorError: schedule.max_schedules_exceeded; schedule.invalid_delay for a negative delay (TASK-209, TASK-210).
        """
        return await self._book.after(seconds, action, args)

    async def at(self, epoch_ms: float, action: str, *args: Any) -> str:
        """Call `action(*args, fire)` at a time in epoch milliseconds; a past time fires as soon as possible (TASK-202)."""
        return await self._book.at(epoch_ms, action, args)

    async def get(self, schedule_id: str) -> dict[str, Any] | None:
        """`{id, action, args, runAt}`, None after firing or cancelling (TASK-208)."""
        item = self._book.find(schedule_id, recurring=False)
        return None if item is None else _one_shot(item)

    async def list(self) -> list[dict[str, Any]]:
        """Pending one-shots by trigger time."""
        return [_one_shot(item) for item in self._book.pending()]

    async def cancel(self, schedule_id: str) -> bool:
        """True once; False afterwards and for unknown ids."""
        return await self._book.remove(schedule_id, recurring=False)


class CronApi:
    """Recurring schedules with unique names: `await c.cron.set(name="tick", expression="*/5 * * * *", action="tick")`."""

    def __init__(self, book: ScheduleBook) -> None:
        self._book = book

    async def set(
        self, *, name: str, expression: str, action: str, args: Sequence[Any] = (), timezone: str | None = None, max_history: int = 100
    ) -> None:
        """Create or update by a five-field expression in an IANA zone (TASK-300, TASK-301).

        Raises:
            ActorError: schedule.invalid_name, invalid_cron_expression, invalid_timezone, invalid_max_history, max_schedules_exceeded.
        """
        check_name(name)
        await self._put(name, cron_spec(expression, timezone), action, args, max_history)

    async def every(self, *, name: str, interval: float, action: str, args: Sequence[Any] = (), max_history: int = 100) -> None:
        """Create or update by an interval in seconds, at least 5 (TASK-302)."""
        check_name(name)
        await self._put(name, every_spec(interval * 1000), action, args, max_history)

    async def _put(self, name: str, spec: CronSpec, action: str, args: Sequence[Any], max_history: int) -> None:
        check_max_history(max_history)
        await self._book.put(Schedule(name, action, list(args), first_run(spec), spec, None, max_history))

    async def get(self, name: str) -> dict[str, Any] | None:
        """One recurring schedule, None when unknown (TASK-304)."""
        item = self._book.find(name, recurring=True)
        return None if item is None else _recurring(item)

    async def delete(self, name: str) -> bool:
        """True once; also removes the history."""
        return await self._book.remove(name, recurring=True)

    async def history(self, name: str, *, limit: int = 20) -> list[dict[str, Any]]:
        """Fires, newest first (TASK-306)."""
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_HISTORY:
            raise make_error("schedule.invalid_max_history", max_history=limit, maximum=MAX_HISTORY)
        return self._book.history.of(name, limit)

    async def list(self) -> list[dict[str, Any]]:
        """All recurring schedules by name."""
        return [_recurring(item) for item in self._book.recurring()]


def _one_shot(item: Schedule) -> dict[str, Any]:
    return {"id": item.id, "action": item.action, "args": own_copies(item.args), "runAt": item.trigger_at}


def _recurring(item: Schedule) -> dict[str, Any]:
    assert item.spec is not None
    args = own_copies(item.args)
    view = {"name": item.id, "action": item.action, "args": args, "nextRunAt": item.trigger_at, "maxHistory": item.max_history}
    if item.last_run_at is not None:
        view["lastRunAt"] = item.last_run_at
    if item.spec.kind == "cron":
        return {**view, "kind": "cron", "expression": item.spec.expression, "timezone": item.spec.timezone}
    return {**view, "kind": "every", "interval": item.spec.interval_ms}
