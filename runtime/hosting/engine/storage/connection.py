"""The part of `sqlite3.Connection` that the runtime and SQLAlchemy use, on a database whose pages are at the engine.

Why not `sqlite3` itself: it cannot be given a file system. What it does otherwise than apsw is done here as `sqlite3` does it, so that user
code and the runtime find the same on both hosts.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import apsw

from runtime.actor.database.connection import MAX_PAGES, MAX_VARIABLES
from runtime.actor.database.handles.page_limit import CACHE_PAGES
from runtime.hosting.engine.storage.cursor import EngineCursor
from runtime.hosting.engine.storage.translation import reraise
from runtime.hosting.engine.storage.vfs import NAME, VFS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.hosting.engine.storage.page_file import PageFile

MAX_ATTACHED = 10
"""As `sqlite3` is built; apsw allows more."""
PRAGMAS = (
    "encoding = 'UTF-8'", "main.locking_mode = EXCLUSIVE", "main.journal_mode = MEMORY", "synchronous = NORMAL", "temp_store = MEMORY",
    "foreign_keys = ON", f"max_page_count = {MAX_PAGES}", f"cache_size = {CACHE_PAGES}",
)  # fmt: skip
"""Pages of 4096 bytes are SQLite's own default. ENGINE-184, DB-009, DB-320."""


class EngineConnection:
    """Opened by its constructor; used on one thread at a time.

    Attributes:
        raw: apsw's.
        refuses_large_commits: No commit of more than 320 pages gets through, whatever began it (DB-321).
    """

    refuses_large_commits = True
    isolation_level = None

    def __init__(self, pages: PageFile, actor_id: str) -> None:
        self._pages = pages
        self._name = VFS.add(pages, actor_id)
        try:
            pages.open()
            self.raw = apsw.Connection(self._name, vfs=NAME)
            try:
                self._set_up()
            except BaseException:
                self.raw.close(True)
                raise
        except BaseException as error:
            VFS.remove(self._name)
            pages.close()
            reraise(error)

    def _set_up(self) -> None:
        self.raw.limit(apsw.SQLITE_LIMIT_VARIABLE_NUMBER, MAX_VARIABLES)
        self.raw.limit(apsw.SQLITE_LIMIT_ATTACHED, MAX_ATTACHED)
        for pragma in PRAGMAS:
            self.raw.execute(f"PRAGMA {pragma}").fetchall()
        VFS.seal(self._name)

    def check(self) -> None:
        """Raise what ended the generation, if something did; with it the transaction that was open has ended."""
        if self._pages.dead is not None:
            raise self._pages.dead

    def undo(self) -> None:
        """After an error: end a transaction whose pages are gone."""
        # SQLite does itself, but for one that began with a savepoint: of that the name stays.
        if self._pages.undone:
            self._pages.undone = False
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        try:
            return bool(self.raw.in_transaction)
        except apsw.Error as error:
            reraise(error)

    @property
    def total_changes(self) -> int:
        """Rows that were changed since it was opened."""
        return self.raw.total_changes()

    def cursor(self) -> EngineCursor:
        """A new cursor."""
        return EngineCursor(self)

    def execute(self, sql: str, parameters: Any = (), /) -> EngineCursor:
        """Run one statement on a new cursor."""
        return EngineCursor(self).execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> EngineCursor:
        """Run one statement for each row of values on a new cursor."""
        return EngineCursor(self).executemany(sql, rows)

    def executescript(self, sql: str, /) -> EngineCursor:
        """Run all statements of a text on a new cursor."""
        return EngineCursor(self).executescript(sql)

    def commit(self) -> None:
        """End the transaction, if one is open."""
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        if self.in_transaction:
            self.execute("ROLLBACK")

    def interrupt(self) -> None:
        """Make the statement that runs fail; from any thread.

        Raises:
            sqlite3.ProgrammingError: It is closed.
        """
        try:
            self.raw.interrupt()
        except apsw.Error as error:
            reraise(error)

    def close(self) -> None:
        """Close it, and let its pages go; a second call is no error."""
        try:
            self.raw.close(True)
        finally:
            VFS.remove(self._name)
            self._pages.close()

    def setlimit(self, category: int, limit: int, /) -> int:
        """Set one of SQLite's limits; the one before."""
        return self.raw.limit(category, limit)

    def getlimit(self, category: int, /) -> int:
        """One of SQLite's limits."""
        return self.raw.limit(category)

    def set_authorizer(self, callback: Callable[..., int] | None) -> None:
        """Have each step of statements allowed; a callback that raises refuses."""
        self.raw.authorizer = None if callback is None else _authorizer(callback)

    def set_trace_callback(self, callback: Callable[[str], object] | None) -> None:
        """Tell of each statement that runs."""
        self.raw.trace_v2(0 if callback is None else apsw.SQLITE_TRACE_STMT, None if callback is None else _tracer(callback))

    def set_progress_handler(self, callback: Callable[[], Any] | None, n: int, /) -> None:
        """Have a callback asked after each `n` steps of a statement; a true answer interrupts it."""
        self.raw.set_progress_handler(callback, n)

    def create_function(self, name: str, narg: int, func: Callable[..., Any] | None, /, *, deterministic: bool = False) -> None:
        """Make a function of SQL, or remove one."""
        made = None if func is None else _function(func)
        self.raw.create_scalar_function(name, made, narg, deterministic=deterministic)

    def create_collation(self, name: str, callback: Callable[[str, str], int] | None, /) -> None:
        """Make an order of text, or remove one."""
        self.raw.create_collation(name, callback)


def _tracer(callback: Callable[[str], object]) -> Callable[[dict[str, Any]], None]:
    def trace(event: dict[str, Any]) -> None:
        # Comments are for statements of triggers.
        if not event["sql"].startswith("--"):
            callback(event["sql"])

    return trace


def _authorizer(callback: Callable[..., int]) -> Callable[..., int]:
    def authorize(*step: Any) -> int:
        try:
            return callback(*step)
        except Exception:
            return sqlite3.SQLITE_DENY

    return authorize


def _function(func: Callable[..., Any]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        try:
            return func(*values)
        except Exception as error:
            raise apsw.SQLError("user-defined function raised exception") from error

    return call
