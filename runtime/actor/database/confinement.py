"""SQL of a stranger who may read and write one database: it stays inside that file (INSP-173).

What is refused is what SQLite says a statement does, never what its text looks like: comments, literals, table-valued pragmas, triggers and
views all come to the authorizer. It is set for every statement here; that of the actor's own code trusts its author.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.actor.database.bootstrap import mentions_reserved, refuse_reserved, reserved_name

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from typing import Any

    from runtime.actor.database.session import DatabaseSession, Row

READ_PRAGMAS = frozenset(
    {
        "analysis_limit", "application_id", "auto_vacuum", "busy_timeout", "cache_size", "cache_spill", "collation_list",
        "compile_options", "data_version", "database_list", "defer_foreign_keys", "encoding", "foreign_key_check", "foreign_key_list",
        "foreign_keys", "freelist_count", "function_list", "index_info", "index_list", "index_xinfo", "integrity_check", "journal_mode",
        "journal_size_limit", "max_page_count", "module_list", "page_count", "page_size", "pragma_list", "quick_check",
        "recursive_triggers", "schema_version", "secure_delete", "synchronous", "table_info", "table_list", "table_xinfo", "temp_store",
        "user_version", "wal_autocheckpoint", "incremental_vacuum", "optimize", "wal_checkpoint",
    }
)  # fmt: skip
"""Pragmas that tell about the file, or tend it. All others reach out of it, unlock it, or change how the actor's own code works on it."""
PRAGMAS_WITH_VALUE = frozenset(
    {
        "application_id", "foreign_key_check", "foreign_key_list", "incremental_vacuum", "index_info", "index_list", "index_xinfo",
        "integrity_check", "optimize", "quick_check", "table_info", "table_list", "table_xinfo", "user_version", "wal_checkpoint",
    }
)  # fmt: skip
"""Those that name what they look at, or keep a number in the file."""
VIRTUAL_TABLES = frozenset({"fts3", "fts4", "fts4aux", "fts5", "fts5vocab", "geopoly", "rtree", "rtree_i32"})
"""Modules that keep their rows in the same file."""
REACHING_FUNCTIONS = frozenset({"edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"})
REACHING_TABLES = frozenset({"sqlite_dbdata", "sqlite_dbpage", "sqlite_dbptr"})
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)


class ConfinedClient:
    """The database of an actor for its inspector."""

    def __init__(self, session: DatabaseSession) -> None:
        self._session = session

    def execute(self, sql: str, *args: Any) -> asyncio.Future[list[Row]]:
        """As `DatabaseClient.execute`, within the file."""
        return self._session.execute(sql, args, guard=confined)


@contextmanager
def confined(connection: sqlite3.Connection, sql: str) -> Iterator[None]:
    """Keep one statement within its file, and off the names of the runtime.

    Raises:
        sqlite3.DatabaseError: It reaches out.
        ValueError: It creates, alters or writes a reserved name.
    """
    mentioned = mentions_reserved(sql)
    first = _FIRST_WORD.match(sql)
    vacuum = first is not None and first[1].lower() == "vacuum"
    outside: list[str] = []
    reserved: list[str] = []

    def authorize(action: int, one: str | None, two: str | None, *_: str | None) -> int:
        reached = _reached(action, (one or "").lower(), (two or "").lower(), attaches=vacuum and one == "")
        # VACUUM names nothing: what it writes are copies of the tables that are there.
        name = None if vacuum else reserved_name(action, one, two, mentioned=mentioned)
        outside.extend([reached] if reached else [])
        reserved.extend([name] if name is not None else [])
        return sqlite3.SQLITE_OK if not reached and name is None else sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)
    try:
        yield
    except sqlite3.DatabaseError:
        if outside:
            raise sqlite3.DatabaseError(f"an inspector may not use {outside[0]}") from None
        refuse_reserved(reserved)
        raise
    finally:
        connection.set_authorizer(None)


def _reached(action: int, one: str, two: str, *, attaches: bool) -> str:
    """What a step of a statement reaches out with, empty when it does not. `attaches`: VACUUM copies through a database without a file."""
    if action == sqlite3.SQLITE_ATTACH:
        return "" if attaches else "ATTACH"
    if action == sqlite3.SQLITE_DETACH:
        return "DETACH"
    if action == sqlite3.SQLITE_PRAGMA:
        # The value of a pragma comes second, and an empty one is one.
        return "" if one in (PRAGMAS_WITH_VALUE if two else READ_PRAGMAS) else f"PRAGMA {one}"
    if action == sqlite3.SQLITE_FUNCTION:
        return f"the function {two}" if two in REACHING_FUNCTIONS else ""
    if action == sqlite3.SQLITE_CREATE_VTABLE:
        return "" if two in VIRTUAL_TABLES else f"virtual tables of {two}"
    return f"the table {one}" if one in REACHING_TABLES else ""
