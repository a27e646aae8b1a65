"""What happens when a schedule is due: its action runs, and recurring ones record it (TASK-204..207, TASK-303..307)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.errors import ActorError, to_wire
from runtime.logs import error_fields
from runtime.protocol.copies import own_copies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.schedule.history import Fire, ScheduleHistory
    from runtime.actor.schedule.records import Schedule


class ActionRunner(Protocol):
    """Who runs actions."""

    async def run_scheduled(self, name: str, args: list[Any]) -> Any:
        """Run an action without a connection; raises what it raises."""


class FiringOwner(Protocol):
    """What firing asks of its actor."""

    @property
    def log(self) -> Any:
        """Where failed actions are noted."""
        ...

    @property
    def work(self) -> WorkTracker:
        """A fire is work until its action ended (TASK-211)."""
        ...

    @property
    def actions(self) -> ActionRunner:
        """Who runs the actions."""
        ...


class Firing:
    """Runs what the book claimed.

    Args:
        owner: The actor.
        history: The record of recurring fires.
        action_is_gone: Called when the action of a recurring schedule no longer exists (TASK-307).
    """

    def __init__(self, owner: FiringOwner, history: ScheduleHistory, action_is_gone: Callable[[Schedule], Awaitable[None]]) -> None:
        self._owner = owner
        self._history = history
        self._action_is_gone = action_is_gone
        self._executing: set[str] = set()

    def dispatch(self, item: Schedule, scheduled_at: int, fired_at: int) -> None:
        """Start the action of a claimed fire; times are epoch milliseconds."""
        work = self._owner.work
        # Recurring ones only: a one-shot is gone from the book when it fires, so it can't meet itself.
        if item.spec is not None and item.id in self._executing:
            work.spawn(WorkKind.INTERNAL_KEEP_AWAKE, self._history.skipped(item, scheduled_at, fired_at))
            return
        work.spawn(WorkKind.SCHEDULED_ACTION, self._execute(item, scheduled_at, fired_at))

    async def _execute(self, item: Schedule, scheduled_at: int, fired_at: int) -> None:
        fire: dict[str, Any] = {"kind": "at" if item.spec is None else item.spec.kind, "id": item.id}
        if item.spec is not None:
            fire["name"] = item.id
        fire |= {"scheduledAt": scheduled_at, "firedAt": fired_at}
        self._executing.add(item.id)
        try:
            entry, error = await self._run(item, fire)
        finally:
            # Whatever ended it: a name that stayed here would be skipped for the rest of the generation.
            self._executing.discard(item.id)
        # One-shots are gone already; a recurring schedule that keeps no history stays, because nothing recorded that its action is missing.
        if entry is None:
            return
        await self._history.finished(entry, None if error is None else to_wire(error))
        if isinstance(error, ActorError) and error.name == "actor.action_not_found":
            await self._action_is_gone(item)

    async def _run(self, item: Schedule, fire: dict[str, Any]) -> tuple[Fire | None, Exception | None]:
        """The action of one fire, recorded as running; what became of it, and its record if it has one."""
        entry: Fire | None = None
        if item.spec is not None:
            try:
                entry = await self._history.started(item, fire["scheduledAt"], fire["firedAt"])
            except Exception as caught:
                # The fire was claimed: without a record it happens all the same (TASK-245).
                self._owner.log.error("scheduled fire cannot be recorded", schedule_id=item.id, **error_fields(caught))
        try:
            # Its own: what the action does to them is not in the next fire, nor in the row that is written anew with each (TASK-214).
            await self._owner.actions.run_scheduled(item.action, [*own_copies(item.args), fire])
        except Exception as caught:
            self._owner.log.error("scheduled event execution failed", schedule_id=item.id, action=item.action, **error_fields(caught))
            return entry, caught
        return entry, None
