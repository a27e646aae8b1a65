"""The six versions of the inspector's WebSocket protocol: which messages each knows, and what becomes of the rest (section 13.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.inspector import messages as m
from runtime.inspector.bare_records import read_record, write_record
from runtime.protocol.bare import Reader, Writer
from runtime.protocol.decode_errors import DecodeError

CURRENT: Final = 6
LEGACY: Final = 5
"""The version the server writes when frames carry their version (INSP-136)."""

# The order in each tuple is the wire: the index of a message is its tag, so nothing may be sorted or left out.
_BASE_REQUESTS = (
    m.PatchStateRequest, m.StateRequest, m.ConnectionsRequest, m.ActionRequest, m.RpcsListRequest, m.TraceQueryRequest, m.QueueRequest,
    m.WorkflowHistoryRequest,
)  # fmt: skip
_DATABASE_REQUESTS = (m.DatabaseSchemaRequest, m.DatabaseTableRowsRequest)
_SCHEDULE_REQUESTS = (m.SchedulesRequest, m.ScheduleHistoryRequest, m.ScheduleDeleteRequest)

REQUESTS: Final[dict[int, tuple[type, ...]]] = {
    1: (
        m.PatchStateRequest, m.StateRequest, m.ConnectionsRequest, m.ActionRequest, m.EventsRequest, m.ClearEventsRequest,
        m.RpcsListRequest,
    ),
    2: _BASE_REQUESTS,
    3: (*_BASE_REQUESTS, *_DATABASE_REQUESTS),
    4: (*_BASE_REQUESTS, m.WorkflowReplayRequest, *_DATABASE_REQUESTS),
    5: (*_BASE_REQUESTS, m.WorkflowReplayRequest, *_DATABASE_REQUESTS),
    6: (*_BASE_REQUESTS, m.WorkflowReplayRequest, *_DATABASE_REQUESTS, *_SCHEDULE_REQUESTS),
}  # fmt: skip
"""Client messages by version; the index is the union tag."""


@dataclass(frozen=True, slots=True)
class EventsResponse:
    """Version 1 only; takes a tag and is never sent."""


@dataclass(frozen=True, slots=True)
class EventsUpdated:
    """Version 1 only; takes a tag and is never sent."""


_UPDATES = (
    m.StateResponse, m.ConnectionsResponse, m.ActionResponse, m.ConnectionsUpdated, m.QueueUpdated, m.StateUpdated,
    m.WorkflowHistoryUpdated,
)  # fmt: skip
_LISTS = (m.RpcsListResponse, m.TraceQueryResponse, m.QueueResponse, m.WorkflowHistoryResponse)
_DATABASE = (m.DatabaseSchemaResponse, m.DatabaseTableRowsResponse)

MESSAGES: Final[dict[int, tuple[type, ...]]] = {
    1: (
        m.StateResponse, m.ConnectionsResponse, EventsResponse, m.ActionResponse, m.RpcsListResponse, m.ConnectionsUpdated,
        EventsUpdated, m.StateUpdated, m.Error, m.Init,
    ),
    2: (*_UPDATES, *_LISTS, m.Error, m.Init),
    3: (*_UPDATES, *_LISTS, m.Error, m.Init, *_DATABASE),
    4: (*_UPDATES, *_LISTS, m.WorkflowReplayResponse, m.Error, m.Init, *_DATABASE),
    5: (*_UPDATES, *_LISTS, m.WorkflowReplayResponse, m.Error, m.Init, *_DATABASE),
    6: (
        *_UPDATES, m.SchedulesUpdated, *_LISTS, m.WorkflowReplayResponse, m.SchedulesResponse, m.ScheduleHistoryResponse,
        m.ScheduleDeleteResponse, m.Error, m.Init, *_DATABASE,
    ),
}  # fmt: skip
"""Server messages by version; the index is the union tag."""

_INIT_FIELDS = {2: 8, 3: 8, 4: 8, 5: 9, 6: 10}
"""How many fields of `Init` a version knows; `tab_config` came with 5, `schedules` with 6."""


@dataclass(frozen=True, slots=True)
class InitV1:
    """`Init` of version 1; nobody records events, so their list is always empty."""

    connections: list[m.Connection]
    events: list[str]
    state: bytes | None
    is_state_enabled: bool
    rpcs: list[str]
    is_database_enabled: bool


_DROPPED: dict[type, str] = {
    m.QueueUpdated: "queue", m.QueueResponse: "queue",
    m.WorkflowHistoryUpdated: "workflow_history", m.WorkflowHistoryResponse: "workflow_history",
    m.WorkflowReplayResponse: "workflow_history",
    m.TraceQueryResponse: "trace",
    m.DatabaseSchemaResponse: "database", m.DatabaseTableRowsResponse: "database",
    m.SchedulesResponse: "schedules", m.ScheduleHistoryResponse: "schedules", m.ScheduleDeleteResponse: "schedules",
}  # fmt: skip

EVENTS_DROPPED: Final = "inspector.events_dropped"
"""The answer to the event requests of version 1 (INSP-171)."""


def parse_version(text: str) -> int | None:
    """The value of `protocol_version`; None when it is invalid (INSP-132)."""
    # Not `int(text)`: it would take " 6", "+6" and digits of other scripts.
    return int(text) if len(text) == 1 and text in "123456" else None


def decode_request(data: bytes, version: int | None) -> m.Request:
    """A client message; `version` is None for frames that carry their own (INSP-135, INSP-136).

    Raises:
        DecodeError: The bytes are no message of that version.
    """
    reader = Reader(data)
    if version is None:
        version = reader.u16()
        if version not in REQUESTS:
            raise DecodeError(f"unsupported inspector protocol version {version}")
    tag = reader.byte()
    known = REQUESTS[version]
    if tag >= len(known):
        raise DecodeError(f"unknown inspector request {tag} in protocol version {version}")
    request: m.Request = read_record(reader, known[tag])
    # A longer message is one of another version, whose beginning happens to fit.
    if not reader.at_end():
        raise DecodeError("trailing bytes after the message")
    return request


def encode_message(message: m.Message, version: int | None) -> bytes | None:
    """A server message in a version, or the error that stands for it there (INSP-171); None for what is left out (INSP-172)."""
    written = LEGACY if version is None else version
    if type(message) not in MESSAGES[written]:
        # Unasked for and unknown: an error in its place would be the answer to nothing (INSP-172).
        if isinstance(message, m.SchedulesUpdated):
            return None
        message = m.Error(f"inspector.{_DROPPED[type(message)]}_dropped")
    writer = Writer(written.to_bytes(2, "little") if version is None else b"")
    writer.byte(MESSAGES[written].index(type(message)))
    if isinstance(message, m.Init):
        _write_init(writer, message, written)
    else:
        write_record(writer, message)
    return writer.finish()


def _write_init(writer: Writer, init: m.Init, version: int) -> None:
    if version == 1:
        # Version 1 has a field in the middle; the later ones only grew at the end.
        older = InitV1(init.connections, [], init.state, init.is_state_enabled, init.rpcs, init.is_database_enabled)
        write_record(writer, older)
    else:
        write_record(writer, init, _INIT_FIELDS[version])
