# ruff: noqa: S608 - names of this room
"""Operations of the storage seam as SQL on the runtime's tables, and the reads."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from runtime.actor.tables.columns import COLUMNS
from runtime.actor.tables.singletons import SINGLETONS
from runtime.storage.base import LAZY_TABLES, Delete, Put

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from runtime.storage.base import Op

Rows = dict[str, list[tuple[bytes, bytes]]]
Step = tuple[str, tuple[Any, ...]]


def steps(ops: Iterable[Op]) -> list[Step]:
    """What applies the operations, in order.

    Raises:
        Exception: A row cannot be taken apart, or belongs to no table.
    """
    return [step for op in ops for step in _steps(op)]


def _steps(op: Op) -> Iterator[Step]:
    columns = COLUMNS.get(op.table)
    if columns is None:
        yield _singleton_step(op)
    elif isinstance(op, Put):
        yield columns.put, (columns.to_key(op.key), *columns.split(op.value))
    elif isinstance(op, Delete):
        yield f"DELETE FROM {columns.table} WHERE {columns.names[0]} = ?", (columns.to_key(op.key),)
    else:
        condition, params = _range(columns.names[0], columns.to_key, op.start, op.end)
        yield f"DELETE FROM {columns.table}{condition}", params


def _singleton_step(op: Op) -> Step:
    single = SINGLETONS.get((op.table, op.key)) if isinstance(op, Put | Delete) else None
    if single is None:
        raise ValueError(f"no table of the runtime has the row {op!r:.80}")
    return (single.put, single.split(op.value)) if isinstance(op, Put) else (single.clear, ())


def apply(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Run the steps in order; runs of the same statement share one call into SQLite."""
    for sql, run in groupby(steps, key=lambda step: step[0]):
        connection.executemany(sql, (params for _, params in run))


def get(connection: sqlite3.Connection, table: str, key: bytes) -> bytes | None:
    """One row's value."""
    columns = COLUMNS.get(table)
    if columns is None:
        single = SINGLETONS.get((table, key))
        return None if single is None else single.read(connection)
    found = connection.execute(f"{columns.select} WHERE {columns.names[0]} = ?", (columns.to_key(key),)).fetchone()
    return None if found is None else columns.row(found)[1]


def scan(
    connection: sqlite3.Connection, table: str, start: bytes = b"", end: bytes | None = None, *,
    reverse: bool = False, limit: int | None = None,
) -> list[tuple[bytes, bytes]]:  # fmt: skip
    """Rows with start <= key < end in key order, at most `limit` of them counted after ordering."""
    columns = COLUMNS[table]
    condition, params = _range(columns.names[0], columns.to_key, start, end)
    order = f" ORDER BY {columns.names[0]} {'DESC' if reverse else 'ASC'} LIMIT ?"
    found = connection.execute(columns.select + condition + order, (*params, -1 if limit is None else limit))
    return [columns.row(row) for row in found]


def load(connection: sqlite3.Connection) -> Rows:
    """Every row except those of `LAZY_TABLES`, by table, in key order."""
    rows: Rows = {}
    for (table, key), single in SINGLETONS.items():
        value = single.read(connection)
        if value is not None:
            rows.setdefault(table, []).append((key, value))
    for table in COLUMNS.keys() - LAZY_TABLES:
        found = scan(connection, table)
        if found:
            rows[table] = found
    return rows


def _range(name: str, to_key: Any, start: bytes, end: bytes | None) -> tuple[str, tuple[Any, ...]]:
    conditions = [*((f"{name} >= ?",) if start else ()), *((f"{name} < ?",) if end is not None else ())]
    params = [*((to_key(start),) if start else ()), *((to_key(end),) if end is not None else ())]
    return (" WHERE " + " AND ".join(conditions) if conditions else ""), tuple(params)
