"""What each request of the WebSocket protocol does (section 13.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.inspector import database_view, snapshots
from runtime.inspector import messages as m
from runtime.inspector.versions import EVENTS_DROPPED
from runtime.inspector.workflow_view import history_bare
from runtime.protocol.payload import args_of, blob, load_value

if TYPE_CHECKING:
    from runtime.inspector.actor_view import ActorView

_RECURRING = {"at": False, "cron": True, "every": True}


async def answer(view: ActorView, request: m.Request) -> m.Message:
    """Do what a request asks for and return the answer.

    Raises:
        Exception: What went wrong; its text becomes an `Error` (INSP-151).
    """
    match request:
        case m.PatchStateRequest(state):
            await view.replace_state(load_value(state))
            # The request has no id and no answer of its own: the push that others get is the answer (INSP-152).
            return m.StateUpdated(snapshots.state(view))
        case m.StateRequest(rid):
            return m.StateResponse(rid, snapshots.optional_state(view), view.has_state)
        case m.ConnectionsRequest(rid):
            return m.ConnectionsResponse(rid, snapshots.connections(view))
        case m.ActionRequest(rid, name, args):
            output = await view.call_action(name, args_of(load_value(args)))
            return m.ActionResponse(rid, blob(output))
        case m.RpcsListRequest(rid):
            return m.RpcsListResponse(rid, view.actions())
        case m.TraceQueryRequest(rid):
            # No traces are kept, and no traces is what an empty payload means; an error would show as a failure.
            return m.TraceQueryResponse(rid, b"")
        case m.QueueRequest(rid, limit):
            return m.QueueResponse(rid, snapshots.queue(view, limit))
        case m.WorkflowHistoryRequest(rid):
            return m.WorkflowHistoryResponse(rid, history_bare(await view.workflow_history()), view.is_workflow)
        case m.WorkflowReplayRequest(rid, entry_id):
            return m.WorkflowReplayResponse(rid, history_bare(await view.replay_workflow(entry_id), emptied=True), view.is_workflow)
        case m.EventsRequest() | m.ClearEventsRequest():
            # Version 1 alone can ask, and nobody records events any more (INSP-171).
            return m.Error(EVENTS_DROPPED)
        case m.SchedulesRequest() | m.ScheduleHistoryRequest() | m.ScheduleDeleteRequest():
            return await _schedules(view, request)
        case m.DatabaseSchemaRequest() | m.DatabaseTableRowsRequest():
            return await _database(view, request)


async def _schedules(view: ActorView, request: m.SchedulesRequest | m.ScheduleHistoryRequest | m.ScheduleDeleteRequest) -> m.Message:
    match request:
        case m.SchedulesRequest(rid):
            return m.SchedulesResponse(rid, snapshots.schedules(view))
        case m.ScheduleHistoryRequest(rid, schedule_id, limit):
            return m.ScheduleHistoryResponse(rid, schedule_id, snapshots.fires(view, schedule_id, limit))
        case m.ScheduleDeleteRequest(rid, schedule_id, kind):
            if kind not in _RECURRING:
                raise ValueError(f'invalid inspector schedule kind "{kind}"')
            deleted = await view.remove_schedule(schedule_id, recurring=_RECURRING[kind])
            return m.ScheduleDeleteResponse(rid, schedule_id, deleted)


async def _database(view: ActorView, request: m.DatabaseSchemaRequest | m.DatabaseTableRowsRequest) -> m.Message:
    match request:
        case m.DatabaseSchemaRequest(rid):
            return m.DatabaseSchemaResponse(rid, blob(await database_view.schema(view)))
        case m.DatabaseTableRowsRequest(rid, table, limit, offset):
            return m.DatabaseTableRowsResponse(rid, blob(await database_view.rows(view, table, limit, offset)))
