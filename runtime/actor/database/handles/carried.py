"""What a connection carries beside its file: read before it is closed, given to the one that is opened in its place.

Asked of SQLite and not gathered from the texts of statements: whether a pragma took effect depends on more than its text (within a
transaction `foreign_keys` does nothing), and a text that nobody foresaw would be missed.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.actor.database.handles.carrying import CarryingConnection

PRAGMAS = (
    "analysis_limit", "automatic_index", "busy_timeout", "cache_size", "cache_spill", "cell_size_check", "checkpoint_fullfsync",
    "count_changes", "defer_foreign_keys", "empty_result_callbacks", "foreign_keys", "full_column_names", "fullfsync",
    "ignore_check_constraints", "journal_size_limit", "legacy_alter_table", "max_page_count", "mmap_size", "read_uncommitted",
    "recursive_triggers", "reverse_unordered_selects", "secure_delete", "short_column_names", "synchronous", "temp_store", "threads",
    "trusted_schema", "wal_autocheckpoint", "writable_schema", "query_only",
)  # fmt: skip
"""Those of a connection that can be read and set. The last forbids to write, so it is set last."""
MOST_CHANGES = 10_000
"""Rows of one statement up to which `changes()` is brought back, by changing as many: a few milliseconds."""
_NAMES = {("secure_delete", 2): "fast"}
_SPARE = "_rivet_carried"


@dataclass(frozen=True, slots=True)
class Carried:
    """All of it. `additions` are those of `CarryingConnection`, `attributes` of `sqlite3.Connection`."""

    pragmas: dict[str, Any]
    case_sensitive_like: bool
    changes: int
    total_changes: int
    last_insert_rowid: int
    additions: dict[tuple[Any, ...], tuple[str, tuple[Any, ...], dict[str, Any]]]
    attributes: tuple[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """It carries what cannot be brought back: an open transaction, temporary tables, attached databases, a journal or lock of its own.

    Attributes:
        attached: Files that it has open beside its own database.
    """

    attached: int = 0


def read(connection: CarryingConnection) -> Carried | Kept:
    """What the connection carries; it is as before if it is to be kept.

    Raises:
        sqlite3.Error: SQLite does not say; the connection is as before.
    """
    if connection.in_transaction or connection.keep:
        return Kept()
    attributes = (connection.row_factory, connection.text_factory, connection.isolation_level)
    connection.hush()
    connection.row_factory, connection.text_factory = None, str
    try:
        if isinstance(carried := _asked(connection), Carried):
            return replace(carried, attributes=attributes)
    except sqlite3.Error:
        _undo(connection, attributes)
        raise
    _undo(connection, attributes)
    return carried


def give(carried: Carried, connection: CarryingConnection) -> None:
    """Let a new connection be as the one was that this was read from.

    Raises:
        sqlite3.Error: SQLite refuses.
    """
    _count(carried, connection)
    if carried.case_sensitive_like:
        connection.execute("PRAGMA case_sensitive_like = ON")
    for name, value in carried.pragmas.items():
        if connection.execute(f"PRAGMA {name}").fetchone() != (value,):
            connection.execute(f"PRAGMA {name} = {_NAMES.get((name, value), value)}").fetchall()
    connection.row_factory, connection.text_factory, connection.isolation_level = carried.attributes
    connection.give(carried.additions)


def _asked(connection: CarryingConnection) -> Carried | Kept:
    attached = [file for _, name, file in connection.execute("PRAGMA database_list").fetchall() if name not in ("main", "temp")]
    one = connection.execute
    if (
        attached
        or one("SELECT count(*) FROM sqlite_temp_schema").fetchone()[0]
        or one("PRAGMA journal_mode").fetchone()[0] != "wal"
        or one("PRAGMA locking_mode").fetchone()[0] != "normal"
        or one("SELECT changes()").fetchone()[0] > MOST_CHANGES
    ):
        return Kept(len([file for file in attached if file]))
    return Carried(
        {name: row[0] for name in PRAGMAS if (row := one(f"PRAGMA {name}").fetchone()) is not None},
        not one("SELECT 'a' LIKE 'A'").fetchone()[0],
        one("SELECT changes()").fetchone()[0],
        connection.total_changes,
        one("SELECT last_insert_rowid()").fetchone()[0],
        dict(connection.additions),
        (None, None, None),
    )


def _undo(connection: CarryingConnection, attributes: tuple[Any, Any, Any]) -> None:
    connection.row_factory, connection.text_factory, connection.isolation_level = attributes
    connection.give(dict(connection.additions))


def _count(carried: Carried, connection: CarryingConnection) -> None:
    """Make the last insert the same, and the number of rows that the last statement changed (DB-129)."""
    if carried.last_insert_rowid or carried.changes:
        rowid, changes = carried.last_insert_rowid, carried.changes
        # A database of its own, gone afterwards: no lock of the file, nothing that could be seen.
        connection.execute(f"ATTACH ':memory:' AS {_SPARE}")
        try:
            connection.execute(f"CREATE TABLE {_SPARE}.t (id INTEGER PRIMARY KEY, n)")
            # As many rows as were changed, the one that counts last; towards zero, where there are always some.
            first, step = max(changes, 1) - 1, -1 if rowid > 0 else 1
            numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i - 1 FROM n WHERE i > 0)"  # noqa: S608 - a number
            connection.execute(f"INSERT INTO {_SPARE}.t {numbers} SELECT {rowid} + {step} * i, 0 FROM n")  # noqa: S608 - numbers
            if not changes:
                connection.execute(f"DELETE FROM {_SPARE}.t WHERE n")  # noqa: S608 - a name of ours
        finally:
            connection.execute(f"DETACH {_SPARE}")
    connection.count_on_from(carried.total_changes)
