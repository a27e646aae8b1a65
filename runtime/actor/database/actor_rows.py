"""Where the rows of one generation are: in the actor's own database when it has one (DB-004), else in the store of its host.

An actor that declares a database has its rows there from its first start. One whose class declared none before is moved by the start that
finds rows in the store: they are copied in one transaction, which also says where they are from now on, and deleted in the store then. A
crash in between leaves copies in the store, which the next start deletes. Rows never go back: an actor whose class declares a database no
longer keeps them where they are, and its file stays open without a client.

A host that has no store outside the databases has all rows of all actors in them from the beginning, and none of this happens.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from runtime.actor.database import row_writer
from runtime.actor.database.bootstrap import bootstrap
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.tables import layout, statements
from runtime.errors import make_error
from runtime.storage.base import LAZY_TABLES, Delete, Put, check_batch
from runtime.storage.data_directory import REMEDY, DamagedFileError
from runtime.storage.group_commit import immediate

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from runtime.actor.database.actor_database import ActorDatabase
    from runtime.actor.tables.statements import Rows, Step
    from runtime.storage.actor import ActorStorage, OpenDatabase
    from runtime.storage.base import Op

T = TypeVar("T")

MOVED = "moved"
"""A row of this table stays in the store: a file that is lost later is missed, and not taken for one that is still to be made."""
_LAZY = sorted(LAZY_TABLES)
USER_TABLE = "kv"
"""Its rows are data of user code, which may not write them any more when it may not run statements (KV-033)."""


class ActorRows:
    """`ActorStorage` of one generation; what a start loads first says where the rows are.

    Args:
        storage: The store of the host.
        database: The database of the generation, opened by `load` when the rows are in it.
        log: Where rows are noted that cannot be moved.
    """

    def __init__(self, storage: ActorStorage, database: ActorDatabase, log: Any) -> None:
        self._storage = storage
        self._database = database
        self._log = log
        self._writer: row_writer.RowWriter | None = None

    @property
    def generation(self) -> int:
        """The generation that every write of this object belongs to."""
        return self._storage.generation

    @property
    def outside(self) -> bool:
        """Whether rows may be kept outside the database."""
        return self._storage.outside

    async def commit(self, ops: Sequence[Op]) -> None:
        """Apply `ops` in order as one atomic batch; returns when durable (DB-023..027)."""
        if self._writer is None:
            await self._storage.commit(ops)
            return
        steps = _checked_steps(ops)
        if ops:
            await _as_entry(self._writer.write(steps, own=ops[0].table != USER_TABLE), ops[0].table)

    async def commit_collected(self, collect: Callable[[], Sequence[Op]]) -> None:
        """`commit` what `collect` gives when its turn has come: behind a transaction that is newer rows than those of the call."""
        if self._writer is not None:
            await self._writer.write_collected(lambda: _checked_steps(collect()))
        elif ops := collect():
            await self._storage.commit(ops)

    async def get(self, table: str, key: bytes) -> bytes | None:
        """One row's value."""
        if self._writer is None:
            return await self._storage.get(table, key)
        return await self._read(table, partial(statements.get, table=table, key=key))

    async def scan(
        self, table: str, start: bytes = b"", end: bytes | None = None, *, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """Rows with start <= key < end in key order, at most `limit` of them counted after ordering."""
        if self._writer is None:
            return await self._storage.scan(table, start, end, reverse=reverse, limit=limit)
        return await self._read(table, partial(statements.scan, table=table, start=start, end=end, reverse=reverse, limit=limit))

    async def load(self) -> Rows:
        """Find the rows, move them if need be, and give every one except those of `LAZY_TABLES`.

        Raises:
            Exception: The database cannot be opened, or its rows cannot be moved.
        """
        if not self._storage.outside:
            return await self._load_inside()
        declared = self._database.declared
        if not self._storage.has_database():
            rows = await self._storage.load()
            if MOVED in rows:
                raise DamagedFileError(f"the database of the actor is missing; {REMEDY}")
            if not declared:
                return rows
        found: list[Rows] = []
        # Side by side: a wake should not take the time of two files.
        session, outside = await asyncio.gather(self._database.open(partial(_open, found=found)), self._outside())
        if not found and not declared:
            # Inspectors may open a database of any actor (DB-003); it holds nothing of the runtime's.
            await self._database.put_away()
            return await self._storage.load()
        marked = any(row.table == MOVED for row in outside)
        outside = [row for row in outside if row.table != MOVED]
        if not found:
            found.append(await session.submit_own(partial(_take_over, steps=self._steps(outside))))
        # Only now: what was copied is durable. Rows that could not be are left to a runtime that can read them.
        leftover: list[Op] = [Delete(row.table, row.key) for row in outside if _movable(row)]
        if not marked:
            leftover.append(Put(MOVED, b"", b""))
        if leftover:
            await self._storage.commit(leftover)
        self._database.keep_rows()
        self._writer = row_writer.RowWriter(session)
        return found[0]

    async def _load_inside(self) -> Rows:
        found: list[Rows] = []
        session = await self._database.open(partial(_open_own, found=found))
        self._database.keep_rows()
        self._writer = row_writer.RowWriter(session)
        return found[0]

    def has_database(self) -> bool:
        """Whether there may be a database of the actor."""
        return self._storage.has_database()

    async def open_database(self, prepare: Callable[[sqlite3.Connection], None]) -> OpenDatabase:
        """Open a handle of the database."""
        return await self._storage.open_database(prepare)

    async def _read(self, table: str, function: Callable[[sqlite3.Connection], T]) -> T:
        assert self._writer is not None
        return await _as_entry(self._writer.read(function, own=table != USER_TABLE), table)

    async def _outside(self) -> list[Put]:
        """The rows in the store of the host; there are some in the first start with a database, and after a crash in it."""
        lazy = asyncio.gather(*(self._storage.scan(table) for table in _LAZY))
        rows, found = await asyncio.gather(self._storage.load(), lazy)
        tables = [*rows.items(), *zip(_LAZY, found, strict=True)]
        return [Put(table, key, value) for table, pairs in tables for key, value in pairs]

    def _steps(self, rows: Sequence[Put]) -> list[Step]:
        for row in rows:
            if not _movable(row):
                self._log.error("a row cannot be moved into the database", table=row.table, key=repr(row.key)[:80])
        return statements.steps(row for row in rows if _movable(row))


def _open(connection: sqlite3.Connection, found: list[Rows]) -> None:
    bootstrap(connection)
    if layout.holds_rows(connection):
        found.append(statements.load(connection))


def _open_own(connection: sqlite3.Connection, found: list[Rows]) -> None:
    bootstrap(connection, claim=True)
    found.append(statements.load(connection))


def _take_over(connection: sqlite3.Connection, steps: Sequence[Step]) -> Rows:
    with immediate(connection):
        layout.claim(connection)
        statements.apply(connection, steps)
    if steps:
        # They are deleted in the store next, which a power cut may keep while it loses what is only in this log.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return statements.load(connection)


def _checked_steps(ops: Sequence[Op]) -> list[Step]:
    check_batch(ops)
    return statements.steps(ops)


def _movable(row: Put) -> bool:
    try:
        statements.steps([row])
    except Exception:
        return False
    return True


async def _as_entry(work: Coroutine[Any, Any, T], table: str) -> T:
    """Key-value calls have an error of their own for a closed database (KV-033)."""
    try:
        return await work
    except DatabaseClosedError:
        if table == USER_TABLE:
            raise make_error("sqlite.transaction_closed") from None
        raise
