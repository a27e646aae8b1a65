"""`sqlite3.Cursor` on apsw."""

from __future__ import annotations

import re
import sqlite3
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from runtime.hosting.engine.storage.translation import reraise
from runtime.hosting.engine.storage.vfs import FIXED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

    from runtime.hosting.engine.storage.connection import EngineConnection

Row = tuple[Any, ...]
Description = tuple[tuple[str, None, None, None, None, None, None], ...]

_CHANGING = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:insert|update|delete|replace)\b", re.IGNORECASE | re.DOTALL)
_NOTHING = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*", re.DOTALL)
_CACHED = 2000
"""Characters of texts that are remembered; a longer one is mostly one with its values inside, which never comes again."""
_ANSWERS = {answer: name for name, answer in FIXED.items()}
_NO_ROWS: Iterator[Row] = iter(())


class EngineCursor:
    """Rows of one statement at a time, as `sqlite3` hands them out: the next one is stepped to before one is given.

    So a statement that changes something and returns rows is through when its last row was fetched.
    """

    __slots__ = (
        "_ahead", "_begun", "_changing", "_cursor", "_rows", "_sql", "arraysize", "connection", "description", "lastrowid", "rowcount"
    )  # fmt: skip

    def __init__(self, connection: EngineConnection) -> None:
        self.arraysize = 1
        self.connection = connection
        self.description: Description | None = None
        self.lastrowid: int | None = None
        self.rowcount = -1
        self._cursor: apsw.Cursor | None = None
        self._rows = _NO_ROWS
        self._ahead: Row | None = None
        self._changing = False
        self._begun = False
        self._sql = ""

    def execute(self, sql: str, parameters: Any = (), /) -> EngineCursor:
        """Run one statement.

        Raises:
            sqlite3.Error: As `sqlite3` does.
        """
        self._begin(sql)
        try:
            cursor = self._cursor = self.connection.raw.cursor()
            # The only place where columns can be asked for when there are no rows.
            cursor.exec_trace = self._before
            self._rows = cursor.execute(sql, parameters)
        except BaseException as error:
            self._fail(error)
        self._step()
        if self._begun:
            self.lastrowid = self.connection.raw.last_insert_rowid()
        return self

    def executemany(self, sql: str, rows: Iterable[Any], /) -> EngineCursor:
        """Run one statement for each row of values.

        Raises:
            sqlite3.Error: As `sqlite3` does.
        """
        self._begin(sql)
        if not self._changing:
            raise sqlite3.ProgrammingError("executemany() can only execute DML statements.")
        raw = self.connection.raw
        try:
            before = raw.total_changes()
            self._cursor = raw.cursor()
            for _ in self._cursor.executemany(sql, rows):
                pass
        except BaseException as error:
            self._fail(error)
        self.rowcount = raw.total_changes() - before
        return self

    def executescript(self, sql: str, /) -> EngineCursor:
        """Commit what is open, and run all statements of the text."""
        self.connection.commit()
        self._begin("")
        try:
            self._cursor = self.connection.raw.cursor()
            for _ in self._cursor.execute(sql):
                pass
        except BaseException as error:
            self._fail(error)
        return self

    def __iter__(self) -> EngineCursor:
        return self

    def __next__(self) -> Row:
        row = self._ahead
        if row is None:
            raise StopIteration
        self._step()
        return row

    def fetchone(self) -> Row | None:
        """The next row, None after the last."""
        return next(self, None)

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """At most `size` more rows."""
        wanted = self.arraysize if size is None else size
        return [row for _, row in zip(range(wanted), self, strict=False)]

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        if self._ahead is None:
            return []
        try:
            rows = [self._ahead, *self._rows]
        except BaseException as error:
            self._fail(error)
        self._through()
        return rows

    def close(self) -> None:
        """Let the statement go."""
        cursor, self._cursor, self._ahead, self._rows = self._cursor, None, None, _NO_ROWS
        if cursor is not None:
            cursor.close(True)

    def setinputsizes(self, sizes: Any, /) -> None:
        """Nothing, as in `sqlite3`."""

    def setoutputsize(self, size: Any, column: Any = None, /) -> None:
        """Nothing, as in `sqlite3`."""

    def _begin(self, sql: str) -> None:
        if not isinstance(sql, str):
            raise TypeError(f"execute() argument 1 must be str, not {type(sql).__name__}")
        if self._cursor is not None:
            self.close()
        self.connection.check()
        self.description, self._sql, self._begun = None, sql, False
        self._changing = _changes(sql) if len(sql) <= _CACHED else _changes.__wrapped__(sql)
        self.rowcount = 0 if self._changing else -1

    def _before(self, cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        # What follows is blank, which apsw runs, too.
        if self._begun:
            return True
        if len(sql) != len(self._sql) and not _is_blank(self._sql[len(sql) :]):
            raise sqlite3.ProgrammingError("You can only execute one statement at a time.")
        columns = cursor.get_description()
        if columns:
            self.description = _described(columns, sql.lstrip()[:6].lower() == "pragma" if columns[0][0] in _ANSWERS else False)
        self._begun = bool(columns) or not _is_blank(sql)
        return True

    def _step(self) -> None:
        try:
            self._ahead = next(self._rows, None)
        except BaseException as error:
            self._fail(error)
        if self._ahead is None and self._rows is not _NO_ROWS:
            self._through()

    def _through(self) -> None:
        self._ahead, self._rows = None, _NO_ROWS
        if self._changing:
            self.rowcount = self.connection.raw.changes()

    def _fail(self, error: BaseException) -> None:
        # Not left to the collector: an open statement keeps VACUUM and others away.
        self.close()
        self.connection.undo()
        reraise(error)


@lru_cache(maxsize=256)
def _changes(sql: str) -> bool:
    return _CHANGING.match(sql) is not None


@lru_cache(maxsize=256)
def _described(columns: tuple[tuple[str, ...], ...], answer: bool) -> Description:
    names = [_ANSWERS[column[0]] if answer else column[0] for column in columns]
    return tuple((name, None, None, None, None, None, None) for name in names)


def _is_blank(sql: str) -> bool:
    found = _NOTHING.match(sql)
    return found is not None and found.end() == len(sql)
