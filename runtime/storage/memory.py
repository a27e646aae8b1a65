"""Storage in memory: the same ordering and atomicity as SQLite, lost with the process.

One `MemoryStorage` object is one "disk": closing and opening it again keeps its data, so that a host restart can be simulated inside one
process. Every write copies its bytes, and a batch is checked completely before the first of its operations is applied.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from runtime.storage.base import LAZY_TABLES, Delete, Put, check_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.storage.base import Op

_names = itertools.count(1)


class _Table:
    """Rows of one table in key order."""

    __slots__ = ("keys", "values")

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.values: dict[bytes, bytes] = {}

    def bounds(self, start: bytes, end: bytes | None) -> tuple[int, int]:
        low = bisect_left(self.keys, start)
        high = len(self.keys) if end is None else bisect_left(self.keys, end)
        # A range whose end is before its start is empty, as it is in SQL.
        return low, max(low, high)

    def apply(self, op: Op) -> None:
        if isinstance(op, Put):
            key = bytes(op.key)
            if key not in self.values:
                insort(self.keys, key)
            self.values[key] = bytes(op.value)
        elif isinstance(op, Delete):
            if self.values.pop(op.key, None) is not None:
                del self.keys[bisect_left(self.keys, op.key)]
        else:
            low, high = self.bounds(op.start, op.end)
            for key in self.keys[low:high]:
                del self.values[key]
            del self.keys[low:high]


class MemoryStorage:
    """`Storage` without files. Actor databases are named in-memory SQLite databases that live until `erase` or the end of the object."""

    def __init__(self) -> None:
        self._scopes: dict[str, dict[str, _Table]] = {}
        self._anchors: dict[str, sqlite3.Connection] = {}
        # Names of memory databases are of the whole process: two storages must not share an actor of the same id.
        self._name = f"actors-{next(_names)}"
        self._open = False

    @property
    def database_synchronous(self) -> str:
        """Memory needs none."""
        return "off"

    @property
    def connection_class(self) -> type[sqlite3.Connection]:
        """Nobody watches what ends with the process."""
        return sqlite3.Connection

    async def open(self) -> None:
        """Make the storage usable; data of an earlier open is still there."""
        self._open = True

    async def close(self) -> None:
        """Refuse further calls until the next `open`."""
        self._open = False

    async def commit(self, scope: str, ops: Sequence[Op]) -> None:
        """Apply `ops` as one atomic batch (DB-027)."""
        check_batch(ops)
        self._check_open()
        tables = self._scopes.setdefault(scope, {})
        for op in ops:
            tables.setdefault(op.table, _Table()).apply(op)
        # A durable store never answers in the same tick; neither does this one, so that code under test meets the same interleavings.
        await asyncio.sleep(0)

    async def get(self, scope: str, table: str, key: bytes) -> bytes | None:
        """One row's value."""
        self._check_open()
        rows = self._scopes.get(scope, {}).get(table)
        return rows.values.get(key) if rows else None

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
        """Rows with start <= key < end in key order, at most `limit` of them counted after ordering."""
        self._check_open()
        rows = self._scopes.get(scope, {}).get(table)
        if rows is None:
            return []
        low, high = rows.bounds(start, end)
        if limit is not None and limit >= 0:
            low, high = (max(low, high - limit), high) if reverse else (low, min(high, low + limit))
        keys = rows.keys[low:high]
        if reverse:
            keys.reverse()
        return [(key, rows.values[key]) for key in keys]

    async def load(self, scope: str) -> dict[str, list[tuple[bytes, bytes]]]:
        """Every row of the scope except the tables read on demand, by table, in key order."""
        self._check_open()
        tables = self._scopes.get(scope, {})
        return {
            name: [(key, rows.values[key]) for key in rows.keys]
            for name, rows in tables.items()
            if name not in LAZY_TABLES and rows.keys
        }  # fmt: skip

    async def erase(self, scope: str) -> None:
        """Remove every row and the database of the scope."""
        self._check_open()
        self._scopes.pop(scope, None)
        # The last connection that is closed takes the database with it.
        anchor = self._anchors.pop(scope, None)
        if anchor is not None:
            anchor.close()
        await asyncio.sleep(0)

    def database_path(self, scope: str) -> str:
        """A `memdb` URI. A connection held here keeps the database alive while the actor sleeps."""
        uri = f"file:/{self._name}/{scope}?vfs=memdb"
        if scope not in self._anchors:
            anchor = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            # A memdb without content is not shared; one page makes it so.
            anchor.execute("PRAGMA page_size = 4096")
            anchor.execute("PRAGMA encoding = 'UTF-8'")
            self._anchors[scope] = anchor
        return uri

    def has_database(self, scope: str) -> bool:
        """Whether `database_path` was asked for since the last `erase`."""
        return scope in self._anchors

    def __del__(self) -> None:
        for anchor in self._anchors.values():
            anchor.close()

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("storage is closed")
