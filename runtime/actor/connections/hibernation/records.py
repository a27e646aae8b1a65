"""Persisted hibernatable connections: one row for what never changes, one for what does (HIB section 3.2).

Why two rows: the changing one is written with every save of a busy connection and stays small; headers and parameters need not be
written again each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.actor.state.tracking import plain
from runtime.errors import ActorError
from runtime.http import Request
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.values import from_wire, to_wire
from runtime.storage.base import Delete, Op, Put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONN = "conn"
CONN_STATE = "conn_state"
_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class ConnRecord:
    """One restored or to be persisted connection; `index` is the watermark (`serverMessageIndex`).

    Raises:
        ActorError: `actor.invalid_request` for a gateway or request id that is not 4 bytes long (HIB-010).
    """

    conn_id: str
    params: Any
    state: Any
    subscriptions: tuple[str, ...]
    gateway_id: bytes
    request_id: bytes
    index: int
    request: Request

    def __post_init__(self) -> None:
        for name, value in (("gatewayId", self.gateway_id), ("requestId", self.request_id)):
            if len(value) != _ID_BYTES:
                message = f"Hibernatable websocket {name} must be exactly {_ID_BYTES} bytes, got {len(value)}."
                raise ActorError("actor", "invalid_request", message)


def encode_value(value: Any) -> Any:
    """A user value as it goes into a row; raises `ValueError` when it has no such form."""
    return to_wire(plain(value))


def put_fixed(record: ConnRecord) -> Op:
    """The row of what never changes."""
    value = {
        "parameters": encode_value(record.params),
        "gatewayId": record.gateway_id,
        "requestId": record.request_id,
        # Also for a client that is gone: no socket is left that could tell which kind of connection it was.
        "requestUrl": record.request.url,
        "requestHeaders": dict(record.request.headers),
    }
    return Put(CONN, record.conn_id.encode(), cbor.dumps_exact(value))


def put_changing(record: ConnRecord) -> Op:
    """The row of what changes; written in the same batch as the actor's state (HIB-011)."""
    # Sorted, because a set has another order in each process, and equal records should be equal rows.
    value = {"state": encode_value(record.state), "subscriptions": sorted(record.subscriptions), "serverMessageIndex": record.index}
    return Put(CONN_STATE, record.conn_id.encode(), cbor.dumps_exact(value))


def delete(conn_id: str) -> tuple[Op, Op]:
    """The rows of a connection that ended."""
    return Delete(CONN, conn_id.encode()), Delete(CONN_STATE, conn_id.encode())


def load(rows: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> tuple[list[ConnRecord], list[str]]:
    """The complete records, and the ids of those that lack a part and count as gone (START-042)."""
    changing = dict(rows.get(CONN_STATE, ()))
    found: list[ConnRecord] = []
    broken: list[str] = []
    for key, value in rows.get(CONN, ()):
        conn_id = key.decode(errors="replace")
        try:
            found.append(_decode(conn_id, cbor.loads(value, STORED), cbor.loads(changing.pop(key), STORED)))
        # Whatever is wrong with one record, the actor starts, and the others keep their connections (START-042).
        except Exception:
            broken.append(conn_id)
    # What the loop left over has lost its other row, or that one cannot be read.
    return found, broken + [key.decode(errors="replace") for key in changing]


def _decode(conn_id: str, fixed: Any, changing: Any) -> ConnRecord:
    request = Request("GET", fixed["requestUrl"], fixed["requestHeaders"])
    kinds = ((request.url, str), (request.headers, dict), (fixed["gatewayId"], bytes), (fixed["requestId"], bytes))
    if not all(isinstance(value, kind) for value, kind in (*kinds, (changing["serverMessageIndex"], int))):
        raise TypeError("a part of a connection is of another type")
    return ConnRecord(
        conn_id,
        from_wire(fixed["parameters"]),
        from_wire(changing["state"]),
        tuple(changing["subscriptions"]),
        fixed["gatewayId"],
        fixed["requestId"],
        changing["serverMessageIndex"],
        request,
    )
