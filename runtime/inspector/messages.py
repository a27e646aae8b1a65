"""The messages of the inspector's WebSocket protocol, version 6 (section 13.2). Annotations are the wire layout, see `bare_records.py`.

Times are epoch milliseconds; `bytes` hold CBOR values, except workflow histories, which are BARE.
"""

from __future__ import annotations

from dataclasses import dataclass

# Parts of messages.


@dataclass(frozen=True, slots=True)
class Connection:
    """One open connection; `details` is the object of INSP-040."""

    id: str
    details: bytes


@dataclass(frozen=True, slots=True)
class Schedule:
    """One pending schedule; `kind` is `at`, `cron` or `every`."""

    id: str
    name: str | None
    kind: str
    action: str
    args: bytes
    next_run_at: int
    last_run_at: int | None
    expression: str | None
    timezone: str | None
    interval_ms: int | None
    max_history: int | None


@dataclass(frozen=True, slots=True)
class FireError:
    """Why a fire failed."""

    group: str
    code: str
    message: str
    metadata: bytes | None


@dataclass(frozen=True, slots=True)
class ScheduleFire:
    """One recorded fire of a recurring schedule."""

    action: str
    scheduled_at: int
    fired_at: int
    finished_at: int | None
    result: str
    error: FireError | None


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A stored queue message without its body (INSP-062)."""

    id: int
    name: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The queue as far as the limit goes."""

    size: int
    max_size: int
    messages: list[QueuedMessage]
    truncated: bool


@dataclass(frozen=True, slots=True)
class TabConfig:
    """A declared tab (INSP-118)."""

    id: str
    label: str | None
    icon: str | None
    hidden: bool


# Requests.


@dataclass(frozen=True, slots=True)
class PatchStateRequest:
    """Replace the state (INSP-152)."""

    state: bytes


@dataclass(frozen=True, slots=True)
class StateRequest:
    """Ask for the state."""

    id: int


@dataclass(frozen=True, slots=True)
class ConnectionsRequest:
    """Ask for the open connections."""

    id: int


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """Run an action; `args` is a CBOR list (INSP-154)."""

    id: int
    name: str
    args: bytes


@dataclass(frozen=True, slots=True)
class RpcsListRequest:
    """Ask for the action names."""

    id: int


@dataclass(frozen=True, slots=True)
class TraceQueryRequest:
    """Ask for traces."""

    id: int
    start_ms: int
    end_ms: int
    limit: int


@dataclass(frozen=True, slots=True)
class QueueRequest:
    """Ask for the first messages of the queue."""

    id: int
    limit: int


@dataclass(frozen=True, slots=True)
class WorkflowHistoryRequest:
    """Ask for the workflow history."""

    id: int


@dataclass(frozen=True, slots=True)
class WorkflowReplayRequest:
    """Restart the workflow, from a step if one is named."""

    id: int
    entry_id: str | None


@dataclass(frozen=True, slots=True)
class DatabaseSchemaRequest:
    """Ask for the tables."""

    id: int


@dataclass(frozen=True, slots=True)
class DatabaseTableRowsRequest:
    """Ask for rows of one table."""

    id: int
    table: str
    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class SchedulesRequest:
    """Ask for the pending schedules."""

    id: int


@dataclass(frozen=True, slots=True)
class ScheduleHistoryRequest:
    """Ask for the newest fires of a recurring schedule."""

    id: int
    schedule_id: str
    limit: int


@dataclass(frozen=True, slots=True)
class ScheduleDeleteRequest:
    """Cancel a schedule (INSP-157)."""

    id: int
    schedule_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class EventsRequest:
    """Version 1 only: asks for events, which nobody records any more."""

    id: int


@dataclass(frozen=True, slots=True)
class ClearEventsRequest:
    """Version 1 only."""

    id: int


# Answers and pushes.


@dataclass(frozen=True, slots=True)
class StateResponse:
    """The state, if the actor has one."""

    rid: int
    state: bytes | None
    is_state_enabled: bool


@dataclass(frozen=True, slots=True)
class ConnectionsResponse:
    """The open connections."""

    rid: int
    connections: list[Connection]


@dataclass(frozen=True, slots=True)
class ActionResponse:
    """What the action returned."""

    rid: int
    output: bytes


@dataclass(frozen=True, slots=True)
class ConnectionsUpdated:
    """A connection opened, closed or changed (INSP-161)."""

    connections: list[Connection]


@dataclass(frozen=True, slots=True)
class QueueUpdated:
    """The size of the queue changed (INSP-162)."""

    queue_size: int


@dataclass(frozen=True, slots=True)
class StateUpdated:
    """The state changed (INSP-160)."""

    state: bytes


@dataclass(frozen=True, slots=True)
class WorkflowHistoryUpdated:
    """The workflow history changed (INSP-164)."""

    history: bytes


@dataclass(frozen=True, slots=True)
class SchedulesUpdated:
    """Schedules were set, cancelled or fired (INSP-163)."""

    schedules: list[Schedule]


@dataclass(frozen=True, slots=True)
class RpcsListResponse:
    """The action names in order."""

    rid: int
    rpcs: list[str]


@dataclass(frozen=True, slots=True)
class TraceQueryResponse:
    """Traces; none are kept."""

    rid: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class QueueResponse:
    """The queue."""

    rid: int
    status: QueueStatus


@dataclass(frozen=True, slots=True)
class WorkflowHistoryResponse:
    """The history, None until there is an entry."""

    rid: int
    history: bytes | None
    is_workflow_enabled: bool


@dataclass(frozen=True, slots=True)
class WorkflowReplayResponse:
    """The history after the deletion."""

    rid: int
    history: bytes | None
    is_workflow_enabled: bool


@dataclass(frozen=True, slots=True)
class SchedulesResponse:
    """The pending schedules."""

    rid: int
    schedules: list[Schedule]


@dataclass(frozen=True, slots=True)
class ScheduleHistoryResponse:
    """Fires, newest first."""

    rid: int
    schedule_id: str
    history: list[ScheduleFire]


@dataclass(frozen=True, slots=True)
class ScheduleDeleteResponse:
    """Whether the schedule existed."""

    rid: int
    schedule_id: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class Error:
    """A request failed, or an answer cannot be expressed (INSP-151, INSP-171)."""

    message: str


@dataclass(frozen=True, slots=True)
class Init:
    """The first message (INSP-137)."""

    connections: list[Connection]
    state: bytes | None
    is_state_enabled: bool
    rpcs: list[str]
    is_database_enabled: bool
    queue_size: int
    workflow_history: bytes | None
    is_workflow_enabled: bool
    tab_config: list[TabConfig]
    schedules: list[Schedule]


@dataclass(frozen=True, slots=True)
class DatabaseSchemaResponse:
    """CBOR of the `schema` value of INSP-080."""

    rid: int
    schema: bytes


@dataclass(frozen=True, slots=True)
class DatabaseTableRowsResponse:
    """CBOR list of rows."""

    rid: int
    result: bytes


Request = (
    PatchStateRequest | StateRequest | ConnectionsRequest | ActionRequest | RpcsListRequest | TraceQueryRequest | QueueRequest
    | WorkflowHistoryRequest | WorkflowReplayRequest | DatabaseSchemaRequest | DatabaseTableRowsRequest | SchedulesRequest
    | ScheduleHistoryRequest | ScheduleDeleteRequest | EventsRequest | ClearEventsRequest
)  # fmt: skip
Message = (
    StateResponse | ConnectionsResponse | ActionResponse | ConnectionsUpdated | QueueUpdated | StateUpdated | WorkflowHistoryUpdated
    | SchedulesUpdated | RpcsListResponse | TraceQueryResponse | QueueResponse | WorkflowHistoryResponse | WorkflowReplayResponse
    | SchedulesResponse | ScheduleHistoryResponse | ScheduleDeleteResponse | Error | Init | DatabaseSchemaResponse
    | DatabaseTableRowsResponse
)  # fmt: skip
