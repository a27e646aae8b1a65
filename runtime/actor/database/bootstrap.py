"""What an actor database holds before user code sees it, and which names user code may not touch."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.actor.tables import layout
from runtime.storage.directory_lock import StorageVersionError
from runtime.storage.group_commit import immediate

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 1
RESERVED = ("_rivet_", "__drizzle_", "__rivet_on_migrate")

_HARMLESS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_PRAGMA,
        # They look through every table, and change what is in none.
        sqlite3.SQLITE_ANALYZE,
        sqlite3.SQLITE_REINDEX,
    }
)


def bootstrap(connection: sqlite3.Connection, *, claim: bool = False) -> None:
    """Make the tables of the runtime, or check what `_rivet_meta` says (DB-010..015).

    Args:
        connection: Of the actor's database.
        claim: Say that the rows of the actor are in this database, where they can be nowhere else.

    Raises:
        StorageVersionError: The database was written by a newer runtime.
        RuntimeError: The legacy import state is not one this runtime knows.
    """
    # A wake finds everything as it should be and takes no lock for writing.
    if layout.is_complete(connection) and _is_current(connection) and (not claim or layout.holds_rows(connection)):
        return
    # IMMEDIATE takes the lock for writing first: what is read below is still true when it is written back.
    with immediate(connection):
        layout.create(connection)
        if not _is_current(connection):
            rows = [
                ("schema_version", SCHEMA_VERSION.to_bytes(8, "little", signed=True)),
                ("kv_import_state", b"done"),
            ]
            connection.executemany("INSERT OR REPLACE INTO _rivet_meta VALUES (?, ?)", rows)
        if claim:
            layout.claim(connection)


def _is_current(connection: sqlite3.Connection) -> bool:
    stored = dict(connection.execute("SELECT key, value FROM _rivet_meta").fetchall())
    version = int.from_bytes(stored["schema_version"], "little", signed=True) if "schema_version" in stored else 0
    # A newer layout may mean its rows otherwise: refuse before anything is touched (DB-012).
    if version > SCHEMA_VERSION:
        raise StorageVersionError(version, SCHEMA_VERSION)
    # There is no legacy data to import here, so an import that was cut off elsewhere is simply done.
    if stored.get("kv_import_state", b"done") not in (b"done", b"importing"):
        raise RuntimeError(f"unknown kv_import_state {stored['kv_import_state']!r}")
    return version == SCHEMA_VERSION and stored.get("kv_import_state") == b"done"


@contextmanager
def reserved_names_guarded(connection: sqlite3.Connection, sql: str) -> Iterator[None]:
    """Let user SQL read runtime tables but not change them (DB-040, DB-041).

    The check costs nothing for SQL that does not contain a reserved name at all.

    Raises:
        ValueError: The statement creates, alters or writes a reserved name.
    """
    # With an authorizer SQLite asks for every column of a statement, so it is set for suspicious texts alone. A false alarm, such as
    # the name in a text value, does no harm: refused is what SQLite says it touches, not what the text contains.
    if not mentions_reserved(sql):
        yield
        return
    refused: list[str] = []

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        name = reserved_name(action, first, second, mentioned=True)
        if name is None:
            return sqlite3.SQLITE_OK
        refused.append(name)
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)
    try:
        yield
    except sqlite3.DatabaseError:
        refuse_reserved(refused)
        raise
    finally:
        connection.set_authorizer(None)


def mentions_reserved(sql: str) -> bool:
    """Whether a reserved name is anywhere in the text."""
    lowered = sql.lower()
    return any(name in lowered for name in RESERVED)


def reserved_name(action: int, first: str | None, second: str | None, *, mentioned: bool) -> str | None:
    """The reserved name that a step of a statement changes; `mentioned` says that the statement contains one."""
    if action in _HARMLESS:
        return None
    for name in (first, second):
        if name is not None and name.lower().startswith(RESERVED):
            return name
    # The new name of ALTER TABLE ... RENAME is not shown here, so no ALTER that mentions a reserved name passes.
    return second or "" if mentioned and action == sqlite3.SQLITE_ALTER_TABLE else None


def refuse_reserved(names: list[str]) -> None:
    """Say which name it was: SQLite says no more than "not authorized"."""
    if names:
        raise ValueError(f"the name {names[0]} is reserved for the runtime") from None
