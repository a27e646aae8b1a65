"""The storage seam: durable ordered rows per actor, committed in atomic batches.

Why rows of (table, key, value) and not one SQL schema per concept: every owner (state, queue, schedules, connections, key-value, workflow)
encodes its own rows, one batch of any of them is atomic (DB-023..027), and a store needs five methods to be complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

HOST_SCOPE = ""
"""The scope of rows that belong to the host (actor records, namespaces, pools), not to an actor."""

# These two grow with use and without bound: a wake that read them would take the longer the older its actor is.
LAZY_TABLES = frozenset({"kv", "workflow"})
"""Tables that `Storage.load` leaves out because their owners read them on demand."""


@dataclass(frozen=True, slots=True)
class Put:
    """Insert or replace one row."""

    table: str
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one row; a missing row is no error."""

    table: str
    key: bytes


@dataclass(frozen=True, slots=True)
class DeleteRange:
    """Remove rows with start <= key < end (`end=None`: to the end of the table)."""

    table: str
    start: bytes = b""
    end: bytes | None = None


Op = Put | Delete | DeleteRange


def check_batch(ops: Sequence[Op]) -> None:
    """Refuse a malformed batch before anything of it is applied.

    Raises:
        TypeError: An operation of an unknown kind, or a key, bound or value that is not bytes.
    """
    for op in ops:
        if isinstance(op, Put):
            # SQLite would take a `str` as text, and never find it again under the same bytes.
            parts: tuple[object, ...] = (op.key, op.value)
        elif isinstance(op, Delete):
            parts = (op.key,)
        elif isinstance(op, DeleteRange):
            parts = (op.start,) if op.end is None else (op.start, op.end)
        else:
            raise TypeError(f"not a storage operation: {op!r}")
        if not all(isinstance(part, bytes) for part in parts):
            raise TypeError(f"storage keys and values must be bytes: {op!r}")


class Storage(Protocol):
    """Where a host keeps everything durable. All methods may be called concurrently."""

    @property
    def database_synchronous(self) -> str:
        """The value of `PRAGMA synchronous` for actor databases."""
        ...

    @property
    def connection_class(self) -> type[sqlite3.Connection]:
        """What every connection is made of, those to actor databases, too: who watches commits gives a class of its own."""
        ...

    async def open(self) -> None:
        """Open or create; raises when the data is newer than this runtime supports (DB-012)."""
        ...

    async def close(self) -> None:
        """Flush and close."""
        ...

    async def commit(self, scope: str, ops: Sequence[Op]) -> None:
        """Apply `ops` in order as one atomic batch; returns when durable. Batches of one scope keep their order."""
        ...

    async def get(self, scope: str, table: str, key: bytes) -> bytes | None:
        """One row's value."""
        ...

    async def scan(
        self,
        scope: str,
        table: str,
        start: bytes = b"",
        end: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[bytes, bytes]]:
        """Rows with start <= key < end in key order."""
        ...

    async def load(self, scope: str) -> dict[str, list[tuple[bytes, bytes]]]:
        """Every row of the scope except `LAZY_TABLES`, by table, in key order: what a start needs in one read."""
        ...

    async def erase(self, scope: str) -> None:
        """Remove every row and the database of the scope (destroy)."""
        ...

    def database_path(self, scope: str) -> str:
        """The SQLite path (or `file:...?mode=memory` URI) of the scope's own database."""
        ...

    def has_database(self, scope: str) -> bool:
        """Whether the scope's own database exists."""
        ...
