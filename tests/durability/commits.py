"""Connections that number every commit of a process, and end or refuse the chosen one.

A commit is the end of a transaction that wrote something, or one statement that writes outside of any. It makes no difference which file it
goes to: this is the class of all connections of a storage, those to the databases of actors, too.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WRITES = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER"})
ENDS = frozenset({"COMMIT", "END"})
OBJECT = re.compile(
    r"INSERT(?:\s+OR\s+\w+)?\s+INTO\s+(\w+)|REPLACE\s+INTO\s+(\w+)|UPDATE\s+(\w+)|DELETE\s+FROM\s+(\w+)"
    r"|(?:CREATE|DROP|ALTER)\s+\w+\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(\w+)",
    re.IGNORECASE,
)
ROW_TABLES = ("rows", "_rivet_rows")
"""They hold rows by (table, key): the label names the table of the row."""

FAULTS = {
    "full": (sqlite3.SQLITE_FULL, "SQLITE_FULL", "database or disk is full"),
    "io": (sqlite3.SQLITE_IOERR, "SQLITE_IOERR", "disk I/O error"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to which commit.

    Attributes:
        at: Its number, from 1; 0 for none.
        how: `before` and `after` kill the process; `full` and `io` refuse it.
        times: How many are refused in a row.
    """

    at: int = 0
    how: str = "before"
    times: int = 1

    @property
    def kills(self) -> bool:
        """Whether the process dies of it."""
        return self.how in ("before", "after")


class Commits:
    """The commits of one process.

    Args:
        plan: What happens to which.
        say: Where each is told: `begin` with number and label, then `done`.
    """

    def __init__(self, plan: Plan, say: Callable[..., None]) -> None:
        self._plan = plan
        self._say = say
        self.count = 0

    def perform(self, label: str, act: Callable[[], Any], undo: Callable[[], None]) -> Any:
        """Commit with `act`, unless the plan says otherwise; `undo` ends a transaction as a full disk does."""
        self.count += 1
        number, plan = self.count, self._plan
        self._say("begin", number, label)
        if plan.at and plan.at <= number < plan.at + plan.times and not plan.kills:
            code, name, text = FAULTS[plan.how]
            # SQLite ends the transaction by itself in some faults, and leaves it to its user in others.
            if plan.how == "full":
                undo()
            error = sqlite3.OperationalError(text)
            error.sqlite_errorcode, error.sqlite_errorname = code, name
            raise error
        if plan.at == number and plan.how == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = act()
        self._say("done", number)
        if plan.at == number and plan.how == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def connection_class(commits: Commits) -> type[sqlite3.Connection]:
    """The class of connections whose commits these are."""

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = (), /) -> Any:
            return self._watched(sql, [parameters], lambda: super(Cursor, self).execute(sql, parameters))

        def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
            given = list(parameters)
            return self._watched(sql, given, lambda: super(Cursor, self).executemany(sql, given))

        def _watched(self, sql: str, parameters: Sequence[Any], act: Callable[[], Any]) -> Any:
            connection = self.connection
            assert isinstance(connection, Watched)
            verb = sql.split(None, 1)[0].rstrip(";").upper()
            if verb in WRITES:
                label = sorted({label_of(sql, row) for row in parameters})
                if connection.in_transaction:
                    connection.written += [one for one in label if one not in connection.written]
                    return act()
                return commits.perform(", ".join(label), act, lambda: None)
            if not connection.in_transaction:
                connection.written = []
            elif verb in ENDS and connection.written:
                written, connection.written = connection.written, []
                return commits.perform(", ".join(sorted(written)), act, connection.undo)
            return act()

    class Watched(sqlite3.Connection):
        written: list[str] = []

        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, parameters: Any = (), /) -> Any:
            return self.cursor().execute(sql, parameters)

        def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
            return self.cursor().executemany(sql, parameters)

        def undo(self) -> None:
            sqlite3.Connection.rollback(self)

    return Watched


def label_of(sql: str, row: Any) -> str:
    """What a statement writes: `host actors`, `queue`, `-schedule` for a deletion, or verb and table of SQL."""
    verb = sql.split(None, 1)[0].lower()
    found = OBJECT.search(sql)
    table = next(filter(None, found.groups()), "?") if found else "?"
    texts = [value for value in row if isinstance(value, str)] if isinstance(row, (tuple, list)) else []
    if table not in ROW_TABLES or verb not in ("insert", "replace", "update", "delete"):
        return f"{verb} {table}"
    if verb == "delete" and "tbl" not in sql:
        return "erase"
    return ("host " if texts[0] == "" else "") + ("-" if verb == "delete" else "") + texts[-1]
