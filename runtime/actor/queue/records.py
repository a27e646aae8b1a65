"""Queue messages as stored rows: pure functions.

Why bodies are kept as bytes: each receiver decodes a copy of its own, so that one that changes a body and fails does not change what the
next one gets (QUEUE-052).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.payload import blob, load_value
from runtime.protocol.storable import check_storable
from runtime.protocol.values import UNDEFINED
from runtime.storage.base import Delete, Op, Put

TABLE = "queue"
META_TABLE = "queue_meta"
NEXT_ID_KEY = b"next_id"
# The limit is about the peer's record and not about the row below: what fits there fits here (QUEUE-011).
_FIXED_BYTES = 2 + 12


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as it lies in storage. `body` is CBOR, `created_at` milliseconds since the epoch (QUEUE-001)."""

    id: int
    name: str
    body: bytes
    created_at: int

    @property
    def size(self) -> int:
        """Bytes of the encoded record, which `max_queue_message_size` limits (QUEUE-011)."""
        name = len(self.name.encode())
        return _FIXED_BYTES + _varint_length(name) + name + _varint_length(len(self.body)) + len(self.body)

    def value(self) -> Any:
        """A fresh copy of the body."""
        return load_value(self.body, limits=STORED)

    def put(self) -> Put:
        """The row of the message."""
        # A list and no map: field names would be most of a short message.
        return Put(TABLE, row_key(self.id), cbor.dumps([self.name, self.body, self.created_at]))

    def delete(self) -> Delete:
        """Removal of the row."""
        return Delete(TABLE, row_key(self.id))


def row_key(message_id: int) -> bytes:
    """Keys order like ids."""
    # Fixed width and big-endian, so that storage, which orders bytes, gives messages in the order of their ids.
    return message_id.to_bytes(8, "big")


def encode_body(body: Any) -> bytes:
    """A body as CBOR; a missing one is null (QUEUE-007).

    Raises:
        Unstorable: The body cannot be kept.
    """
    check_storable(body)
    return blob(None if body is UNDEFINED else body)


def put_next_id(next_id: int) -> Op:
    """The row that keeps ids from being used again (QUEUE-002)."""
    return Put(META_TABLE, NEXT_ID_KEY, next_id.to_bytes(8, "big"))


def load_messages(rows: list[tuple[bytes, bytes]]) -> dict[int, StoredMessage]:
    """Messages by id, ascending."""
    messages = {}
    for key, value in sorted(rows):
        name, body, created_at = cbor.loads(value, STORED)
        if not isinstance(name, str) or not isinstance(body, bytes):
            raise DecodeError("a row of the queue is damaged: no message")
        message_id = int.from_bytes(key, "big")
        messages[message_id] = StoredMessage(message_id, name, body, int(created_at))
    return messages


def load_next_id(rows: list[tuple[bytes, bytes]], messages: dict[int, StoredMessage]) -> int:
    """At least 1 and above every stored id (DB-025)."""
    # The row alone would do; messages are looked at as well, so that a lost row can't give an id to two messages (QUEUE-002).
    stored = int.from_bytes(dict(rows).get(NEXT_ID_KEY, b""), "big")
    return max(1, stored, max(messages, default=0) + 1)


def _varint_length(number: int) -> int:
    return max(1, (number.bit_length() + 6) // 7)
