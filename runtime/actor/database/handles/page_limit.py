"""At most 320 pages in one commit (DB-321), so that what works here works where the pages of a commit travel together.

SQLite tells nobody how many pages a transaction has changed. But it keeps them in its cache until the COMMIT and writes some to the log
before only when nine tenths of the cache are changed pages. So the cache is that small, and whether the log was written to says whether
there are too many: its time is set to zero before a transaction and looked at before its COMMIT, 2 microseconds for both. That is exact to
a tenth, on the safe side: between 290 and 320 pages are too many. A database in memory has no log; there only the pages count by which it
grows.

A connection whose pages do travel counts them itself, to the page, when it sends them: its `refuses_large_commits` says so, and nothing is
counted here. What it raises is the same.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PAGES_OF_A_COMMIT = 320
CACHE_PAGES = 330
"""Measured with SQLite 3.40: rows that are inserted, updated and deleted, and large values begin to spill with 292 to 300 pages."""

_FIRST_WORD = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
_WRITING = frozenset({"insert", "update", "delete", "replace", "with", "create", "alter", "drop", "reindex", "analyze"})
_BEGINNING = frozenset({"begin", "savepoint"})
_ENDING = frozenset({"commit", "end", "release"})


class CommitTooLargeError(sqlite3.OperationalError):
    """A transaction changed more pages than one commit may hold."""

    def __init__(self) -> None:
        # The first words are all that the peer says.
        super().__init__(f"disk I/O error: one commit may hold {MAX_PAGES_OF_A_COMMIT} changed pages of 4096 bytes")


class PageLimit:
    """The limit for the transactions of one database, on whatever connection."""

    def __init__(self) -> None:
        self._log: str | None = None
        self._pages = 0

    def begin(self, connection: sqlite3.Connection) -> None:
        """A transaction is about to begin."""
        if _refuses(connection):
            return
        if self._log is None:
            self._log = _log_of(connection)
        if self._log:
            try:
                os.utime(self._log, ns=(0, 0))
            except OSError:
                # Switched off, or not ours to touch: growth has to do.
                self._log = ""
        if not self._log:
            self._pages = _page_count(connection)

    def check(self, connection: sqlite3.Connection) -> None:
        """Return if the open transaction may be committed.

        Raises:
            CommitTooLargeError: It may not; it is still open.
        """
        if _refuses(connection):
            return
        if self._log:
            try:
                spilled = os.stat(self._log).st_mtime_ns != 0  # noqa: PTH116 -- text, see `check_database`
            except OSError:
                spilled = False
            if spilled:
                raise CommitTooLargeError
        elif _page_count(connection) - self._pages > MAX_PAGES_OF_A_COMMIT:
            raise CommitTooLargeError

    @contextmanager
    def around(self, connection: sqlite3.Connection, sql: str) -> Iterator[None]:
        """Run one statement of user code: with a transaction of its own it is a commit, too.

        Raises:
            CommitTooLargeError: Nothing of the transaction is stored.
        """
        # A long text is mostly one with its values inside, which never comes again.
        word = _first_word(sql) if len(sql) <= 2000 else _first_word.__wrapped__(sql)
        if word == "vacuum" and _page_count(connection) - _free_count(connection) > MAX_PAGES_OF_A_COMMIT:
            raise CommitTooLargeError
        if _refuses(connection):
            yield
        elif connection.in_transaction:
            if word in _ENDING:
                self._check_or_roll_back(connection)
            yield
        elif word in _WRITING:
            self.begin(connection)
            connection.execute("BEGIN")
            try:
                yield
            finally:
                # Also of a statement that failed: what it keeps, as `OR FAIL` does, it keeps.
                self._commit(connection)
        else:
            if word in _BEGINNING:
                self.begin(connection)
            yield

    def _commit(self, connection: sqlite3.Connection) -> None:
        # `OR ROLLBACK` and some errors have ended it.
        if not connection.in_transaction:
            return
        self._check_or_roll_back(connection)
        try:
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _check_or_roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            self.check(connection)
        except CommitTooLargeError:
            connection.execute("ROLLBACK")
            raise


def _refuses(connection: sqlite3.Connection) -> bool:
    return getattr(connection, "refuses_large_commits", False)


@lru_cache(maxsize=256)
def _first_word(sql: str) -> str:
    found = _FIRST_WORD.match(sql)
    return found[1].lower() if found else ""


def _log_of(connection: sqlite3.Connection) -> str:
    """The path of the log that changed pages are written to before a COMMIT, empty when there is none."""
    path: str = connection.execute("PRAGMA database_list").fetchone()[2]
    mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
    return path + "-wal" if path and mode == "wal" else ""


def _page_count(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return count


def _free_count(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return count
