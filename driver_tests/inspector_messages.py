"""The inspector's WebSocket protocol from the client's side, written from its table, not from a runtime's code.

A layout is a text: `name:type` per field; types are `uint str data bool`, `?type` (optional), `[Struct]` and `[str]` (lists).
"""

from __future__ import annotations

from typing import Any

from harness.testing.codecs import Reader, Writer

STRUCTS = {
    "Connection": "id:str details:data",
    "Schedule": (
        "id:str name:?str kind:str action:str args:data nextRunAt:uint lastRunAt:?uint expression:?str timezone:?str intervalMs:?uint "
        "maxHistory:?uint"
    ),
    "Fire": "action:str scheduledAt:uint firedAt:uint finishedAt:?uint result:str error:?FireError",
    "FireError": "group:str code:str message:str metadata:?data",
    "Queued": "id:uint name:str createdAtMs:uint",
    "Queue": "size:uint maxSize:uint messages:[Queued] truncated:bool",
    "Tab": "id:str label:?str icon:?str hidden:bool",
}

_REQUESTS = {
    "PatchState": "state:data",
    "State": "id:uint",
    "Connections": "id:uint",
    "Action": "id:uint name:str args:data",
    "RpcsList": "id:uint",
    "TraceQuery": "id:uint startMs:uint endMs:uint limit:uint",
    "Queue": "id:uint limit:uint",
    "WorkflowHistory": "id:uint",
    "WorkflowReplay": "id:uint entryId:?str",
    "DatabaseSchema": "id:uint",
    "DatabaseTableRows": "id:uint table:str limit:uint offset:uint",
    "Schedules": "id:uint",
    "ScheduleHistory": "id:uint scheduleId:str limit:uint",
    "ScheduleDelete": "id:uint scheduleId:str kind:str",
    "Events": "id:uint",
    "ClearEvents": "id:uint",
}
_MESSAGES = {
    "StateResponse": "rid:uint state:?data isStateEnabled:bool",
    "ConnectionsResponse": "rid:uint connections:[Connection]",
    "ActionResponse": "rid:uint output:data",
    "ConnectionsUpdated": "connections:[Connection]",
    "QueueUpdated": "queueSize:uint",
    "StateUpdated": "state:data",
    "WorkflowHistoryUpdated": "history:data",
    "SchedulesUpdated": "schedules:[Schedule]",
    "RpcsListResponse": "rid:uint rpcs:[str]",
    "TraceQueryResponse": "rid:uint payload:data",
    "QueueResponse": "rid:uint status:Queue",
    "WorkflowHistoryResponse": "rid:uint history:?data isWorkflowEnabled:bool",
    "WorkflowReplayResponse": "rid:uint history:?data isWorkflowEnabled:bool",
    "SchedulesResponse": "rid:uint schedules:[Schedule]",
    "ScheduleHistoryResponse": "rid:uint scheduleId:str history:[Fire]",
    "ScheduleDeleteResponse": "rid:uint scheduleId:str deleted:bool",
    "Error": "message:str",
    "DatabaseSchemaResponse": "rid:uint schema:data",
    "DatabaseTableRowsResponse": "rid:uint result:data",
    "EventsResponse": "",
    "EventsUpdated": "",
}
_INIT = {
    1: "connections:[Connection] events:[str] state:?data isStateEnabled:bool rpcs:[str] isDatabaseEnabled:bool",
    2: (
        "connections:[Connection] state:?data isStateEnabled:bool rpcs:[str] isDatabaseEnabled:bool queueSize:uint workflowHistory:?data "
        "isWorkflowEnabled:bool"
    ),
}
_INIT[3] = _INIT[4] = _INIT[2]
_INIT[5] = f"{_INIT[2]} tabConfig:[Tab]"
_INIT[6] = f"{_INIT[5]} schedules:[Schedule]"

_ASK_2 = "PatchState State Connections Action RpcsList TraceQuery Queue WorkflowHistory"
_ASK_4 = f"{_ASK_2} WorkflowReplay DatabaseSchema DatabaseTableRows"
ASK = {
    1: "PatchState State Connections Action Events ClearEvents RpcsList",
    2: _ASK_2,
    3: f"{_ASK_2} DatabaseSchema DatabaseTableRows",
    4: _ASK_4,
    5: _ASK_4,
    6: f"{_ASK_4} Schedules ScheduleHistory ScheduleDelete",
}
_FIRST = "StateResponse ConnectionsResponse ActionResponse ConnectionsUpdated QueueUpdated StateUpdated WorkflowHistoryUpdated"
_LISTS = "RpcsListResponse TraceQueryResponse QueueResponse WorkflowHistoryResponse"
_DATABASE = "DatabaseSchemaResponse DatabaseTableRowsResponse"
_TELL_4 = f"{_FIRST} {_LISTS} WorkflowReplayResponse Error Init {_DATABASE}"
TELL = {
    1: (
        "StateResponse ConnectionsResponse EventsResponse ActionResponse RpcsListResponse ConnectionsUpdated EventsUpdated StateUpdated "
        "Error Init"
    ),
    2: f"{_FIRST} {_LISTS} Error Init",
    3: f"{_FIRST} {_LISTS} Error Init {_DATABASE}",
    4: _TELL_4,
    5: _TELL_4,
    6: (
        f"{_FIRST} SchedulesUpdated {_LISTS} WorkflowReplayResponse SchedulesResponse ScheduleHistoryResponse ScheduleDeleteResponse "
        f"Error Init {_DATABASE}"
    ),
}


def encode(name: str, version: int, fields: dict[str, Any]) -> bytes:
    """A request as the bare union of a version."""
    writer = Writer()
    writer.byte(ASK[version].split().index(name))
    for field in _REQUESTS[name].split():
        label, _, kind = field.partition(":")
        _write(writer, kind, fields[label])
    return writer.finish()


def decode(data: bytes, version: int) -> tuple[str, dict[str, Any]]:
    """A server message: its name and fields; nothing may be left over."""
    reader = Reader(data)
    name = TELL[version].split()[reader.byte()]
    fields = _read_fields(reader, _INIT[version] if name == "Init" else _MESSAGES[name])
    assert reader.at_end(), f"trailing bytes after {name}"
    return name, fields


def _write(writer: Writer, kind: str, value: Any) -> None:
    if kind.startswith("?"):
        writer.bool(value is not None)
        if value is not None:
            _write(writer, kind[1:], value)
    else:
        getattr(writer, kind)(value)


def _read_fields(reader: Reader, layout: str) -> dict[str, Any]:
    return {label: _read(reader, kind) for label, _, kind in (field.partition(":") for field in layout.split())}


def _read(reader: Reader, kind: str) -> Any:
    if kind.startswith("?"):
        return _read(reader, kind[1:]) if reader.bool() else None
    if kind.startswith("["):
        return [_read(reader, kind[1:-1]) for _ in range(reader.uint())]
    return _read_fields(reader, STRUCTS[kind]) if kind in STRUCTS else getattr(reader, kind)()


ENTRY_KINDS = ("step", "loop", "sleep", "message", "rollback_checkpoint", "join", "race", "removed", "version_check")
STATUSES = ("pending", "running", "completed", "failed", "exhausted")
SLEEP_STATES = ("pending", "completed", "interrupted")
BRANCH_STATUSES = ("pending", "running", "completed", "failed", "cancelled")


def decode_history(data: bytes) -> dict[str, Any]:
    """A workflow history: entries by path, with the metadata of each; all bytes must be used."""
    reader = Reader(data)
    names = [reader.str() for _ in range(reader.uint())]
    entries = [_entry(reader, names) for _ in range(reader.uint())]
    metadata = {reader.str(): _metadata(reader) for _ in range(reader.uint())}
    assert reader.at_end(), "trailing bytes after the history"
    return {entry["path"]: {**entry, "metadata": metadata.get(entry["id"])} for entry in entries}


def _entry(reader: Reader, names: list[str]) -> dict[str, Any]:
    entry_id, path = reader.str(), []
    for _ in range(reader.uint()):
        if reader.byte() == 0:
            path.append(names[_u32(reader)])
        else:
            path.append(f"{names[_u32(reader)]}~{_u32(reader)}")
    kind = ENTRY_KINDS[reader.byte()]
    return {"id": entry_id, "path": "/".join(path), "kind": kind, **_KINDS[kind](reader)}


def _u32(reader: Reader) -> int:
    return int.from_bytes(reader.take(4), "little")


def _optional(reader: Reader, read: Any) -> Any:
    return read() if reader.bool() else None


def _branches(reader: Reader) -> dict[str, Any]:
    return {
        reader.str(): {
            "status": BRANCH_STATUSES[reader.byte()],
            "output": _optional(reader, reader.data),
            "error": _optional(reader, reader.str),
        }
        for _ in range(reader.uint())
    }


_KINDS = {
    "step": lambda r: {"output": _optional(r, r.data), "error": _optional(r, r.str)},
    "loop": lambda r: {"state": r.data(), "iteration": _u32(r), "output": _optional(r, r.data)},
    "sleep": lambda r: {"deadline": r.u64(), "state": SLEEP_STATES[r.byte()]},
    "message": lambda r: {"name": r.str(), "messageData": r.data()},
    "rollback_checkpoint": lambda r: {"name": r.str()},
    "join": lambda r: {"branches": _branches(r)},
    "race": lambda r: {"winner": _optional(r, r.str), "branches": _branches(r)},
    "removed": lambda r: {"originalType": r.str(), "originalName": _optional(r, r.str)},
    "version_check": lambda r: {"resolved": _u32(r), "latest": _u32(r)},
}


def _metadata(reader: Reader) -> dict[str, Any]:
    return {
        "status": STATUSES[reader.byte()],
        "error": _optional(reader, reader.str),
        "attempts": _u32(reader),
        "lastAttemptAt": reader.u64(),
        "createdAt": reader.u64(),
        "completedAt": _optional(reader, reader.u64),
        "rollbackCompletedAt": _optional(reader, reader.u64),
        "rollbackError": _optional(reader, reader.str),
    }
