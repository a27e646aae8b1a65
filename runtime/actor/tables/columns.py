# ruff: noqa: S608 - names of this file
"""Rows of the storage seam as columns of the runtime's tables, and back: pure functions (section 3.2 of the storage specification).

Every part of an actor encodes its own rows as (table, key, value). In a database that user code can read they must be columns, so each
table has a codec here, which takes the value of a row apart and puts it together again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DAMAGED = b"\xff"
"""The value of a row whose columns cannot be put together: no CBOR at all, so that its owner finds out as it does with any damaged row."""

_RESULTS = ("running", "ok", "error", "skipped")
_KINDS = (None, "cron", "every")
_NUMBER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Columns:
    """How the rows of one table of the seam lie in one table of the database.

    Attributes:
        table: The name in the database.
        names: Its columns; the first is the key.
        to_key: The key of a row as the value of the first column.
        from_key: The inverse.
        split: The value of a row as the other columns.
        join: The inverse.
        put: The statement that inserts or replaces a row.
        select: The statement that reads rows, without a condition.
    """

    table: str
    names: tuple[str, ...]
    to_key: Callable[[bytes], Any]
    from_key: Callable[[Any], bytes]
    split: Callable[[bytes], Sequence[Any]]
    join: Callable[[Sequence[Any]], bytes]
    put: str = field(init=False)
    select: str = field(init=False)

    def __post_init__(self) -> None:
        names = ", ".join(self.names)
        object.__setattr__(self, "put", f"INSERT OR REPLACE INTO {self.table} ({names}) VALUES ({', '.join('?' * len(self.names))})")
        object.__setattr__(self, "select", f"SELECT {names} FROM {self.table}")

    def row(self, columns: Sequence[Any]) -> tuple[bytes, bytes]:
        """A row of the seam."""
        try:
            value = self.join(columns[1:])
        except Exception:
            value = DAMAGED
        return self.from_key(columns[0]), value


def number_of(key: bytes) -> int:
    """A key of eight bytes as the number it is; raises `ValueError` for any other length."""
    if len(key) != _NUMBER_BYTES:
        raise ValueError(f"a row of a numbered table has the key {key!r:.40}")
    return int.from_bytes(key, "big", signed=True)


def key_of(number: int) -> bytes:
    """The inverse of `number_of`."""
    return number.to_bytes(_NUMBER_BYTES, "big", signed=True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text is {value!r:.40}")
    return value


def _split_message(value: bytes) -> Sequence[Any]:
    name, body, created_at = cbor.loads(value, STORED)
    if not isinstance(body, bytes):
        raise TypeError(f"the body of a message is {body!r:.40}")
    return _text(name), body, int(created_at)


def _split_connection(value: bytes) -> Sequence[Any]:
    fixed = cbor.loads(value, STORED)
    return (
        cbor.dumps_exact(fixed["parameters"]), fixed["gatewayId"], fixed["requestId"], _text(fixed["requestUrl"]),
        cbor.dumps_exact(fixed["requestHeaders"]),
    )  # fmt: skip


def _join_connection(columns: Sequence[Any]) -> bytes:
    parameters, gateway_id, request_id, path, headers = columns
    return cbor.dumps_exact(
        {
            "parameters": cbor.loads(parameters, STORED), "gatewayId": gateway_id, "requestId": request_id, "requestUrl": path,
            "requestHeaders": cbor.loads(headers, STORED),
        }
    )  # fmt: skip


def _split_connection_state(value: bytes) -> Sequence[Any]:
    changing = cbor.loads(value, STORED)
    # What a client has received is not counted here; the column is there for who reads the table.
    return cbor.dumps_exact(changing["state"]), changing["serverMessageIndex"], 0, cbor.dumps_exact(changing["subscriptions"])


def _join_connection_state(columns: Sequence[Any]) -> bytes:
    state, index, _, subscriptions = columns
    value = {"state": cbor.loads(state, STORED), "subscriptions": cbor.loads(subscriptions, STORED), "serverMessageIndex": index}
    return cbor.dumps_exact(value)


def _split_schedule(value: bytes) -> Sequence[Any]:
    body = cbor.loads(value, STORED)
    spec = body["spec"] or {"kind": None, "expression": None, "timezone": None, "interval_ms": None}
    return (
        body["trigger_at"], _text(body["action"]), cbor.dumps_exact(body["args"]), _KINDS.index(spec["kind"]), spec["expression"],
        spec["timezone"], spec["interval_ms"], body["last_run_at"], body["max_history"],
    )  # fmt: skip


def _join_schedule(columns: Sequence[Any]) -> bytes:
    trigger_at, action, args, kind, expression, timezone, interval_ms, last_run_at, max_history = columns
    spec = {"kind": _KINDS[kind], "expression": expression, "timezone": timezone, "interval_ms": interval_ms} if kind else None
    return cbor.dumps_exact(
        {
            "action": action, "args": cbor.loads(args, STORED), "trigger_at": trigger_at, "spec": spec, "last_run_at": last_run_at,
            "max_history": max_history,
        }
    )  # fmt: skip


def _split_fire(value: bytes) -> Sequence[Any]:
    fire = cbor.loads(value, STORED)
    error = fire["error"] or {}
    metadata = cbor.dumps_exact(error["metadata"]) if "metadata" in error else None
    return (
        _text(fire["name"]), _text(fire["action"]), fire["scheduled_at"], fire["fired_at"], fire["finished_at"],
        _RESULTS.index(fire["result"]), error.get("group"), error.get("code"), error.get("message"), metadata,
    )  # fmt: skip


def _join_fire(columns: Sequence[Any]) -> bytes:
    name, action, scheduled_at, fired_at, finished_at, result, group, code, message, metadata = columns
    error = None if group is None else {"group": group, "code": code, "message": message}
    if error is not None and metadata is not None:
        error["metadata"] = cbor.loads(metadata, STORED)
    return cbor.dumps_exact(
        {
            "name": name, "action": action, "scheduled_at": scheduled_at, "fired_at": fired_at, "result": _RESULTS[result],
            "finished_at": finished_at, "error": error,
        }
    )  # fmt: skip


def _same(key: bytes) -> bytes:
    return key


COLUMNS = {
    "queue": Columns("_rivet_queue", ("id", "name", "body", "created_at"), number_of, key_of, _split_message, cbor.dumps),
    "conn": Columns(
        "_rivet_conns", ("conn_id", "parameters", "gateway_id", "request_id", "request_path", "request_headers"),
        bytes.decode, str.encode, _split_connection, _join_connection,
    ),
    "conn_state": Columns(
        "_rivet_conn_state", ("conn_id", "state", "server_message_index", "client_message_index", "subscriptions"),
        bytes.decode, str.encode, _split_connection_state, _join_connection_state,
    ),
    "schedule": Columns(
        "_rivet_schedule_events",
        ("event_id", "trigger_at", "action", "args", "kind", "cron_expression", "timezone", "interval_ms", "last_started_at",
         "max_history"),
        bytes.decode, str.encode, _split_schedule, _join_schedule,
    ),
    "schedule_history": Columns(
        "_rivet_schedule_history",
        ("id", "schedule_id", "action", "scheduled_at", "fired_at", "finished_at", "result", "error_group", "error_code", "error_message",
         "error_metadata"),
        number_of, key_of, _split_fire, _join_fire,
    ),
    "kv": Columns("_rivet_user_kv", ("key", "value"), _same, _same, lambda value: (value,), lambda columns: columns[0]),
    "workflow": Columns("_rivet_wf_kv", ("key", "value"), _same, _same, lambda value: (value,), lambda columns: columns[0]),
}  # fmt: skip
"""By table of the seam; what is one of a kind is in `singletons`."""
