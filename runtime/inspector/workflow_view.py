"""A workflow's history in the inspector's two shapes: JSON (INSP-090) and BARE (section 13.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.inspector.render import render
from runtime.protocol.bare import Writer
from runtime.protocol.payload import blob
from runtime.protocol.values import UNDEFINED
from runtime.workflow.history import path_text

if TYPE_CHECKING:
    from runtime.workflow.history import Entry, History, Location, Metadata

_TAGS = {
    "step": "WorkflowStepEntry",
    "loop": "WorkflowLoopEntry",
    "sleep": "WorkflowSleepEntry",
    "message": "WorkflowMessageEntry",
    "rollback_checkpoint": "WorkflowRollbackCheckpointEntry",
    "join": "WorkflowJoinEntry",
    "race": "WorkflowRaceEntry",
    "removed": "WorkflowRemovedEntry",
    "version_check": "WorkflowVersionCheckEntry",
}
# The order of the table is the order of the tags on the wire.
_KINDS = list(_TAGS)
_STATUSES = ["pending", "running", "completed", "failed", "exhausted"]
_SLEEP_STATES = ["pending", "completed", "interrupted"]
_BRANCH_STATUSES = ["pending", "running", "completed", "failed", "cancelled"]


def ordered(history: History) -> list[Entry]:
    """Entries by the text of their path (INSP-094)."""
    # By text and not by order of recording: so iteration 10 comes before 2, as at the peer.
    return sorted(history.entries.values(), key=lambda entry: path_text(entry.location))


def names(history: History) -> list[str]:
    """The name registry in the order of its indexes."""
    return sorted(history.names, key=history.names.__getitem__)


def history_json(history: History | None, *, emptied: bool = False) -> dict[str, Any] | None:
    """`{nameRegistry, entries, entryMetadata}`, None until there was an entry (INSP-092); `emptied`: also without (INSP-100)."""
    if history is None or not (history.names or emptied):
        return None
    entries = ordered(history)
    return {
        "nameRegistry": names(history),
        "entries": [
            {
                "id": entry.id,
                "location": [_location_json(history, entry.location, index) for index in range(len(entry.location))],
                "kind": {"tag": _TAGS[entry.kind], "val": _kind_json(entry)},
            }
            for entry in entries
        ],
        "entryMetadata": {entry.id: _meta_json(entry.meta) for entry in entries if entry.meta is not None},
    }


def _location_json(history: History, location: Location, index: int) -> dict[str, Any]:
    item = location[index]
    if isinstance(item, int):
        return {"tag": "WorkflowLoopIterationMarker", "val": {"loop": history.names[str(location[index - 1])], "iteration": item}}
    return {"tag": "WorkflowNameIndex", "val": history.names[item]}


def _kind_json(entry: Entry) -> dict[str, Any]:
    data = entry.data
    if entry.kind == "step":
        return {"output": render(data.get("output")), "error": None if entry.meta is None else entry.meta.error}
    if entry.kind == "loop":
        shown = {"iteration": data["iteration"], "output": render(data.get("output"))}
        # A loop without state has no `state` at all; one whose state is null shows null.
        return shown if data.get("state") is UNDEFINED else {"state": render(data.get("state")), **shown}
    if entry.kind == "sleep":
        return {"deadline": data["deadline"], "state": data["state"].upper()}
    if entry.kind in ("join", "race"):
        branches = {
            name: {"status": item["status"].upper(), "output": render(item.get("output")), "error": item.get("error")}
            for name, item in data["branches"].items()
        }
        return {"branches": branches} if entry.kind == "join" else {"winner": data.get("winner"), "branches": branches}
    if entry.kind == "removed":
        return {"originalType": data["originalType"], "originalName": data.get("originalName")}
    return {name: render(value) for name, value in data.items()}


def _meta_json(meta: Metadata) -> dict[str, Any]:
    return {
        "status": meta.status.upper(),
        "error": meta.error,
        "attempts": meta.attempts,
        "lastAttemptAt": meta.last_attempt_at,
        "createdAt": meta.created_at,
        "completedAt": meta.completed_at,
        "rollbackCompletedAt": meta.rollback_completed_at,
        "rollbackError": meta.rollback_error,
    }


def history_bare(history: History | None, *, emptied: bool = False) -> bytes | None:
    """The history as BARE without a header, None until there was an entry; `emptied`: also when there never was."""
    if history is None or not (history.names or emptied):
        return None
    writer = Writer()
    registry, entries = names(history), ordered(history)
    writer.uint(len(registry))
    for name in registry:
        writer.str(name)
    writer.uint(len(entries))
    for entry in entries:
        _write_entry(writer, history, entry)
    described = [entry for entry in entries if entry.meta is not None]
    writer.uint(len(described))
    for entry in described:
        assert entry.meta is not None
        writer.str(entry.id)
        _write_meta(writer, entry.meta)
    return writer.finish()


def _write_entry(writer: Writer, history: History, entry: Entry) -> None:
    writer.str(entry.id)
    writer.uint(len(entry.location))
    for index, item in enumerate(entry.location):
        if isinstance(item, int):
            _u32(_u32(writer.byte(1), history.names[str(entry.location[index - 1])]), item)
        else:
            _u32(writer.byte(0), history.names[item])
    writer.byte(_KINDS.index(entry.kind))
    _write_kind(writer, entry)


def _write_kind(writer: Writer, entry: Entry) -> None:
    data = entry.data
    if entry.kind == "step":
        _optional_data(writer, data.get("output", UNDEFINED))
        _optional_str(writer, None if entry.meta is None else entry.meta.error)
    elif entry.kind == "loop":
        writer.data(blob(data.get("state")))
        _u32(writer, data["iteration"])
        _optional_data(writer, data.get("output", UNDEFINED))
    elif entry.kind == "sleep":
        writer.u64(data["deadline"]).byte(_SLEEP_STATES.index(data["state"]))
    elif entry.kind == "message":
        writer.str(data["name"]).data(blob(data["messageData"]))
    elif entry.kind == "rollback_checkpoint":
        writer.str(data["name"])
    elif entry.kind in ("join", "race"):
        if entry.kind == "race":
            _optional_str(writer, data.get("winner"))
        writer.uint(len(data["branches"]))
        for name, item in data["branches"].items():
            writer.str(name).byte(_BRANCH_STATUSES.index(item["status"]))
            _optional_data(writer, item.get("output", UNDEFINED))
            _optional_str(writer, item.get("error"))
    elif entry.kind == "removed":
        writer.str(data["originalType"])
        _optional_str(writer, data.get("originalName"))
    else:
        _u32(_u32(writer, data["resolved"]), data["latest"])


def _write_meta(writer: Writer, meta: Metadata) -> None:
    writer.byte(_STATUSES.index(meta.status))
    _optional_str(writer, meta.error)
    _u32(writer, meta.attempts).u64(meta.last_attempt_at).u64(meta.created_at)
    for moment in (meta.completed_at, meta.rollback_completed_at):
        if moment is None:
            writer.byte(0)
        else:
            writer.byte(1).u64(moment)
    _optional_str(writer, meta.rollback_error)


def _u32(writer: Writer, value: int) -> Writer:
    # A version may be any whole number from 1, but the field has four bytes.
    value = min(value, 0xFFFF_FFFF)
    # The writer knows only the widths that the client protocol needs.
    return writer.u16(value & 0xFFFF).u16(value >> 16)


def _optional_str(writer: Writer, value: str | None) -> None:
    if value is None:
        writer.byte(0)
    else:
        writer.byte(1).str(value)


def _optional_data(writer: Writer, value: Any) -> None:
    if value is UNDEFINED:
        writer.byte(0)
    else:
        writer.byte(1).data(blob(value))
