"""An actor as the WebSocket protocol shows it: the parts of `ActorView` as message parts with CBOR inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.inspector import messages as m
from runtime.inspector.workflow_view import history_bare
from runtime.protocol.payload import blob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.actor.schedule.records import Schedule
    from runtime.inspector.actor_view import ActorView
    from runtime.workflow.history import History

QUEUE_LIMIT = 200
HISTORY_LIMIT = 1000


def state(view: ActorView) -> bytes:
    """The state as CBOR; the actor must have one."""
    return blob(view.state())


def optional_state(view: ActorView) -> bytes | None:
    """The state as CBOR, None without one."""
    return state(view) if view.has_state else None


def connections(view: ActorView) -> list[m.Connection]:
    """Open connections."""
    return [m.Connection(shown["id"], blob(shown["details"])) for shown in view.connections()]


def queue(view: ActorView, limit: int) -> m.QueueStatus:
    """The queue, at most 200 messages of it (INSP-153)."""
    # Cut here and not in the view: HTTP has no upper bound.
    wanted = min(limit, QUEUE_LIMIT)
    size, messages = view.queued(wanted)
    shown = [m.QueuedMessage(item.id, item.name, item.created_at) for item in messages]
    return m.QueueStatus(size, view.max_queue_size, shown, size > wanted)


def schedules(view: ActorView) -> list[m.Schedule]:
    """Pending one-shots by time, then recurring schedules by name."""
    return [_schedule(item) for item in view.schedules()]


def fires(view: ActorView, schedule_id: str, limit: int) -> list[m.ScheduleFire]:
    """Recorded fires, newest first; the limit is cut to 1..1000 (INSP-153)."""
    found = view.fires(schedule_id, max(1, min(limit, HISTORY_LIMIT)))
    return [_fire(shown) for shown in found]


def tabs(view: ActorView) -> list[m.TabConfig]:
    """The declared tabs."""
    return [m.TabConfig(tab.id, tab.label, tab.icon, tab.hidden) for tab in view.tabs]


def live_history(view: ActorView) -> bytes | None:
    """The history in memory as BARE; None when there is no workflow or no entry."""
    return history_bare(view.live_history)


def init(view: ActorView, history: History | None) -> m.Init:
    """The first message of a socket."""
    return m.Init(
        connections=connections(view),
        state=optional_state(view),
        is_state_enabled=view.has_state,
        rpcs=view.actions(),
        is_database_enabled=True,
        queue_size=view.queue_size,
        workflow_history=history_bare(history),
        is_workflow_enabled=view.is_workflow,
        tab_config=tabs(view),
        schedules=schedules(view),
    )


def _schedule(item: Schedule) -> m.Schedule:
    spec = item.spec
    return m.Schedule(
        id=item.id,
        # A recurring schedule is known by its name, which is its id; a one-shot has none.
        name=None if spec is None else item.id,
        kind="at" if spec is None else spec.kind,
        action=item.action,
        args=blob(item.args),
        # The wire type is unsigned, and user code may give a time before 1970.
        next_run_at=max(0, item.trigger_at),
        last_run_at=item.last_run_at,
        expression=None if spec is None else spec.expression,
        timezone=None if spec is None else spec.timezone,
        interval_ms=None if spec is None else spec.interval_ms,
        max_history=None if spec is None else item.max_history,
    )


def _fire(shown: Mapping[str, Any]) -> m.ScheduleFire:
    error = shown.get("error")
    return m.ScheduleFire(
        action=shown["action"],
        scheduled_at=max(0, shown["scheduledAt"]),
        fired_at=shown["firedAt"],
        finished_at=shown.get("finishedAt"),
        result=shown["result"],
        error=None if error is None else _fire_error(error),
    )


def _fire_error(error: Mapping[str, Any]) -> m.FireError:
    metadata = blob(error["metadata"]) if "metadata" in error else None
    return m.FireError(error["group"], error["code"], error["message"], metadata)
