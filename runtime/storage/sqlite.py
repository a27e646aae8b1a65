"""Storage in one directory: a SQLite file for all runtime rows, one more per actor that uses a database.

Why one file for all rows: a commit costs a write to the log whatever its size, so all batches that wait when the writer becomes free go
into one transaction (group commit). Each caller is answered after COMMIT. A batch that fails is retried alone, so that it fails alone.

Durability, with the default `synchronous="normal"`: an acknowledged batch survives the death of the process
(`kill -9`) at any moment, because COMMIT has handed it to the operating system. When the machine loses power
the file stays sound, but the last batches since the latest checkpoint may be missing. `synchronous="full"`
waits for the disk at every group commit and survives power loss too.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import structlog

from runtime.storage import free_pages
from runtime.storage.base import HOST_SCOPE, LAZY_TABLES, Delete, Put, check_batch
from runtime.storage.data_directory import (
    DATABASES,
    FILE,
    OURS,
    RELEASE,
    DataDirectoryError,
    check_directory,
    check_file,
    create_whole,
    explained,
    size_of,
    unusable,
)
from runtime.storage.directory_lock import DirectoryLock
from runtime.storage.group_commit import immediate, isolated, settle
from runtime.version import version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.storage.base import Op

log = structlog.get_logger(__name__)

Synchronous = Literal["off", "normal", "full"]

SCHEMA = (
    # Without row ids small rows, which most are, take 23 microseconds and not 39; those of 300 KB take 1.6 ms to write and not 0.7.
    """
    CREATE TABLE rows (scope TEXT NOT NULL, tbl TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
                       PRIMARY KEY (scope, tbl, key)) WITHOUT ROWID
    """,
    # From here on an actor that declares a database keeps its rows in it, where older releases would not find them.
    f"PRAGMA application_id = {OURS}",
)
"""One step per format of a data directory; `PRAGMA user_version` counts the steps done. What a step is for stands beside it."""

READERS = 4
GROUPS = 16
"""Groups of batches after which free pages are counted."""
MOST_LOG = 16 * 1024 * 1024
"""Bytes that the log keeps on disk when a large transaction made it longer."""
CACHE_KIB = 512
"""Of pages that one of the five connections keeps, where SQLite would take 2 MB. A reader forgets them with every commit anyway."""
_PUT = "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM rows WHERE scope = ? AND tbl = ? AND key = ?"
# Three ranges of the primary key instead of a condition on each row: a start must not read through the tables it leaves out.
_LOAD = """
    SELECT tbl, key, value FROM rows WHERE scope = ?1 AND tbl < ?2
    UNION ALL SELECT tbl, key, value FROM rows WHERE scope = ?1 AND tbl > ?2 AND tbl < ?3
    UNION ALL SELECT tbl, key, value FROM rows WHERE scope = ?1 AND tbl > ?3
"""
_DELETE_RANGE = "DELETE FROM rows WHERE scope = ?1 AND tbl = ?2 AND key >= ?3 AND (?4 IS NULL OR key < ?4)"


@dataclass(slots=True)
class _Batch:
    """One caller's batch; `ops=None` erases the scope."""

    scope: str
    ops: Sequence[Op] | None
    done: asyncio.Future[None]


class SQLiteStorage:
    """`Storage` in a data directory, created when missing.

    Args:
        directory: Where the files live. One process at a time may use it.
        synchronous: What an acknowledged commit survives, see the module's text.
        connection_class: What every connection is made of; one that counts or refuses commits sees those of actor databases, too.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        synchronous: Synchronous = "normal",
        connection_class: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self.directory = Path(directory)
        self.connection_class = connection_class
        self._file = self.directory / FILE
        self._databases = self.directory / DATABASES
        self._synchronous = synchronous
        self._lock = DirectoryLock(self.directory)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._waiting: list[_Batch] = []
        self._writing: asyncio.Future[list[BaseException | None]] | None = None
        self._writer: ThreadPoolExecutor | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._write_connection: sqlite3.Connection | None = None
        self._shrinks = self._surplus = False
        self._groups = 0

    @property
    def database_synchronous(self) -> str:
        """Actor databases are as durable as the runtime's rows."""
        return self._synchronous

    async def open(self) -> None:
        """Lock the directory, open the file and bring its format up to date (DB-011, DB-012).

        Raises:
            StorageLockedError: Another process uses the directory.
            DataDirectoryError: It is of a newer release or of something else, or it cannot be used; nothing in it was changed.
            DamagedFileError: The file has lost some of its content.
        """
        if self._writer is not None:
            return
        writer = ThreadPoolExecutor(1, thread_name_prefix="storage-writer")
        try:
            self._write_connection = await asyncio.get_running_loop().run_in_executor(writer, self._open_file)
        except BaseException:
            writer.shutdown()
            raise
        self._writer = writer
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="storage-reader")

    async def close(self) -> None:
        """Write what is waiting, close the file and release the directory."""
        self._shrinks = False
        # Whoever waits for a commit when the process stops was promised an answer; more may be queued meanwhile.
        while self._writing is not None or self._waiting:
            if self._writing is not None:
                await asyncio.wait([self._writing])
            await asyncio.sleep(0)
        writer, readers, self._writer, self._readers = self._writer, self._readers, None, None
        if writer is None or readers is None:
            return
        # Readers first: the writer closes every connection, and a read under way would use a closed one.
        await asyncio.to_thread(readers.shutdown)
        await asyncio.get_running_loop().run_in_executor(writer, self._close_file)
        writer.shutdown()

    async def commit(self, scope: str, ops: Sequence[Op]) -> None:
        """Apply `ops` as one atomic batch and return when it is durable (DB-023..027). A cancelled caller does not take it back."""
        check_batch(ops)
        if ops:
            # A copy: the caller may go on with its list while the batch waits.
            await self._enqueue(scope, tuple(ops))

    async def erase(self, scope: str) -> None:
        """Remove every row of the scope after the batches before it, then the scope's database files."""
        await self._enqueue(scope, None)

    async def get(self, scope: str, table: str, key: bytes) -> bytes | None:
        """One row's value."""
        rows = await self._read("SELECT value FROM rows WHERE scope = ? AND tbl = ? AND key = ?", (scope, table, key))
        return rows[0][0] if rows else None

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
        sql = "SELECT key, value FROM rows WHERE scope = ? AND tbl = ? AND key >= ?"
        params: list[object] = [scope, table, start]
        if end is not None:
            sql += " AND key < ?"
            params.append(end)
        sql += f" ORDER BY key {'DESC' if reverse else 'ASC'} LIMIT ?"
        params.append(-1 if limit is None else limit)
        return await self._read(sql, params)

    async def load(self, scope: str) -> dict[str, list[tuple[bytes, bytes]]]:
        """Every row of the scope except `LAZY_TABLES`, by table, in key order."""
        tables: dict[str, list[tuple[bytes, bytes]]] = {}
        # The parts of the query come one after another; tables, too, are promised in order.
        for table, key, value in sorted(await self._read(_LOAD, (scope, *sorted(LAZY_TABLES)))):
            tables.setdefault(table, []).append((key, value))
        return tables

    def database_path(self, scope: str) -> str:
        """The file of the scope's own database; its directory exists."""
        self._databases.mkdir(parents=True, exist_ok=True)
        return self._database_file(scope)

    def has_database(self, scope: str) -> bool:
        """Whether the scope's own database exists."""
        return size_of(self._database_file(scope)) is not None

    def _database_file(self, scope: str) -> str:
        # Text and no Path, see `check_database`.
        # Quoted, because an id is chosen elsewhere and must not name a path outside of the folder.
        return f"{self._databases}{os.sep}{quote(scope, safe='')}.sqlite3"

    # Writing: the event loop collects, one thread applies.

    async def _enqueue(self, scope: str, ops: Sequence[Op] | None) -> None:
        if self._writer is None:
            raise RuntimeError("storage is closed")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Batch(scope, ops, done))
        self._start_writing()
        await done

    def _start_writing(self) -> None:
        if self._writing is not None or not self._waiting or self._writer is None:
            return
        # Everything that came while the last group was written is the next group: the busier, the larger.
        batches, self._waiting = self._waiting, []
        self._writing = asyncio.get_running_loop().run_in_executor(self._writer, self._write, batches)
        self._writing.add_done_callback(lambda future: self._written(batches, future))

    def _written(self, batches: list[_Batch], future: asyncio.Future[list[BaseException | None]]) -> None:
        self._writing = None
        failure = asyncio.CancelledError() if future.cancelled() else future.exception()
        outcomes = [failure] * len(batches) if failure is not None else future.result()
        settle((batch.done for batch in batches), outcomes)
        self._start_writing()
        self._start_tidying()

    def _start_tidying(self) -> None:
        # When nobody waits, and a step at a time: whoever comes meanwhile waits for one step.
        if self._surplus and self._shrinks and self._writing is None and self._writer is not None:
            self._writing = asyncio.get_running_loop().run_in_executor(self._writer, self._tidy)
            self._writing.add_done_callback(lambda future: self._written([], future))

    def _tidy(self) -> list[BaseException | None]:
        assert self._write_connection is not None
        try:
            self._surplus = free_pages.give_back(self._write_connection)
        except sqlite3.Error as error:
            # A disk without room, for example: the next rows that go are another occasion.
            self._surplus = False
            log.warning("free pages could not be given back", error=str(error))
        return []

    def _count_surplus(self, *, now: bool) -> None:
        # Not after each group: free pages have time.
        self._groups += 1
        if self._shrinks and (now or self._groups % GROUPS == 0) and not self._surplus:
            assert self._write_connection is not None
            self._surplus = free_pages.surplus(self._write_connection) > 0

    def _write(self, batches: list[_Batch]) -> list[BaseException | None]:
        outcomes = isolated(batches, self._transaction)
        erased = [error is None and batch.ops is None for batch, error in zip(batches, outcomes, strict=True)]
        if None in outcomes:
            self._count_surplus(now=any(erased))
        # After COMMIT: an erase that fails leaves the actor whole. Files that a crash leaves in between go when the host erases again.
        return [self._remove_database(batch.scope) if gone else error for batch, error, gone in zip(batches, outcomes, erased, strict=True)]

    def _transaction(self, batches: Sequence[_Batch]) -> None:
        assert self._write_connection is not None
        with immediate(self._write_connection):
            # Runs of the same statement share one call into SQLite; the order of operations stays.
            for sql, run in groupby((step for batch in batches for step in _steps(batch)), key=lambda step: step[0]):
                self._write_connection.executemany(sql, (params for _, params in run))

    def _remove_database(self, scope: str) -> OSError | None:
        path = self._database_file(scope)
        for suffix in ("", "-wal", "-shm", "-journal"):
            try:
                os.unlink(path + suffix)  # noqa: PTH108 -- text
            except FileNotFoundError:
                continue
            except OSError as error:
                return error
        return None

    # Reading: a few threads, a connection each. WAL lets them read while the writer writes.

    async def _read(self, sql: str, params: Sequence[object]) -> list[Any]:
        if self._readers is None:
            raise RuntimeError("storage is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._select, sql, params)

    def _select(self, sql: str, params: Sequence[object]) -> list[Any]:
        # A connection per thread: SQLite would make readers that share one wait for each other.
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        try:
            return connection.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise explained(self._file, error) from error

    # Files: only on the writer thread, except for the readers' own connections.

    def _open_file(self) -> sqlite3.Connection:
        is_new = not check_directory(self.directory)
        try:
            self._lock.acquire()
            try:
                if is_new:
                    create_whole(self._file, self.connection_class, _upgrade)
                check_file(self._file, len(SCHEMA))
                self._local = threading.local()
                connection = self._connect()
                _upgrade(connection)
                connection.execute("PRAGMA journal_mode = WAL")
                self._shrinks = free_pages.rewrite(connection)
                self._surplus = self._shrinks and free_pages.surplus(connection) > 0
            except BaseException:
                self._close_file()
                raise
        except (OSError, sqlite3.Error) as error:
            raise unusable(self._file, error) from error
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, isolation_level=None, check_same_thread=False, cached_statements=64, factory=self.connection_class
        )  # fmt: skip
        self._connections.append(connection)
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA journal_size_limit = {MOST_LOG}").fetchall()
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}").fetchall()
        return connection

    def _close_file(self) -> None:
        # The connection opened first is the writer; closed last, it checkpoints and removes the log.
        while self._connections:
            self._connections.pop().close()
        self._write_connection = None
        self._lock.release()


def _steps(batch: _Batch) -> Iterable[tuple[str, tuple[object, ...]]]:
    if batch.ops is None:
        yield "DELETE FROM rows WHERE scope = ?", (batch.scope,)
        return
    for op in batch.ops:
        if isinstance(op, Put):
            yield _PUT, (batch.scope, op.table, op.key, op.value)
        elif isinstance(op, Delete):
            yield _DELETE, (batch.scope, op.table, op.key)
        else:
            yield _DELETE_RANGE, (batch.scope, op.table, op.start, op.end)


def _upgrade(connection: sqlite3.Connection) -> None:
    done: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    # The number of another program means something else.
    if ("rows" not in tables) if done else tables:
        raise DataDirectoryError(f"{FILE} is a database of another program; name a data directory of its own for the actors")
    # The step and its number in one transaction, so that a crash in between repeats no step.
    for number, step in enumerate(SCHEMA[done:], start=done + 1):
        with immediate(connection):
            connection.execute(step)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(_PUT, (HOST_SCOPE, *RELEASE, version().encode()))
