# ruff: noqa: S608 - names of this file
"""What an actor has one of, as columns: init flag and input, state, and the one row of `_rivet_runtime`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.actor.rows import ACTOR_TABLE, ALARM_KEY, INIT_KEY, INSPECTOR_TOKEN_KEY, RUN_WAKE_KEY, STATE_KEY
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

QUEUE_META = "queue_meta"
NEXT_ID = b"next_id"


@dataclass(frozen=True, slots=True)
class Singleton:
    """One row of the seam that is one row, or one column, of the database.

    Attributes:
        put: Writes it; its placeholders are what `split` gives.
        clear: Removes it.
        select: Reads its columns; nothing, or NULL in the first, when there is none.
        split: The value of the row as columns.
        join: The inverse.
    """

    put: str
    clear: str
    select: str
    split: Callable[[bytes], tuple[Any, ...]]
    join: Callable[..., bytes]

    def read(self, connection: sqlite3.Connection) -> bytes | None:
        """The value of the row, None when there is none."""
        columns = connection.execute(self.select).fetchone()
        return None if columns is None or columns[0] is None else self.join(*columns)


def _column(name: str, cleared: str = "NULL") -> tuple[str, str, str]:
    return (
        f"UPDATE _rivet_runtime SET {name} = ?", f"UPDATE _rivet_runtime SET {name} = {cleared}", f"SELECT {name} FROM _rivet_runtime"
    )  # fmt: skip


def _value(row: bytes) -> tuple[Any, ...]:
    return (cbor.loads(row, STORED),)


def _split_init(row: bytes) -> tuple[Any, ...]:
    record = cbor.loads(row, STORED)
    return bool(record["has_initialized"]), cbor.dumps_exact(record["input"])


def _join_init(has_initialized: int, creation_input: bytes) -> bytes:
    return cbor.dumps_exact({"has_initialized": bool(has_initialized), "input": cbor.loads(creation_input, STORED)})


SINGLETONS = {
    (ACTOR_TABLE, INIT_KEY): Singleton(
        "INSERT OR REPLACE INTO _rivet_actor (id, has_initialized, input) VALUES (1, ?, ?)",
        "DELETE FROM _rivet_actor",
        "SELECT has_initialized, input FROM _rivet_actor",
        _split_init,
        _join_init,
    ),
    (ACTOR_TABLE, STATE_KEY): Singleton(
        "INSERT OR REPLACE INTO _rivet_actor_state (id, state) VALUES (1, ?)",
        "DELETE FROM _rivet_actor_state",
        "SELECT state FROM _rivet_actor_state",
        lambda row: (row,),
        bytes,
    ),
    (ACTOR_TABLE, INSPECTOR_TOKEN_KEY): Singleton(*_column("inspector_token"), _value, cbor.dumps_exact),
    (ACTOR_TABLE, ALARM_KEY): Singleton(*_column("last_pushed_alarm"), _value, cbor.dumps_exact),
    (ACTOR_TABLE, RUN_WAKE_KEY): Singleton(*_column("run_wake"), _value, cbor.dumps_exact),
    (QUEUE_META, NEXT_ID): Singleton(
        # Never back: a send that waits behind a transaction is stored after one of a higher id that was made in it (QUEUE-002).
        "UPDATE _rivet_runtime SET queue_next_id = max(coalesce(queue_next_id, 1), ?)",
        *_column("queue_next_id", "1")[1:],
        lambda row: (int.from_bytes(row, "big"),),
        lambda number: int(number).to_bytes(8, "big"),
    ),
}
