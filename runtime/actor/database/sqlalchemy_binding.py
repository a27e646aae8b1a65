"""SQLAlchemy, Core and ORM, on the actor's own database.

Why synchronous functions on the database's thread and not an `AsyncEngine`: SQLAlchemy's asyncio layer needs greenlets and a driver of its
own, while every statement of an actor must pass one gate and one thread anyway. A function gets an ordinary `Connection` or `Session`, may
lazy-load and flush as it likes, and the event loop never waits for it. It runs on another thread: it must not touch `c.state` or await.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from runtime.actor.database.bound_values import prepare
from runtime.actor.database.client import DatabaseClient
from runtime.actor.database.provider import settle
from runtime.actor.database.transaction import DEFAULT_TIMEOUT, Transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from sqlalchemy import Connection, Engine, Executable, MetaData

    from runtime.actor.database.session import DatabaseSession, Row
    from runtime.actor.database.submitted import Submitted

T = TypeVar("T")

_SAVEPOINT = "sqlalchemy_call"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One step of an ordered migration list: a SQL script and when it was written (ms since the epoch)."""

    tag: str
    created_at: int
    sql: str

    @property
    def hash(self) -> str:
        """Hex SHA-256 of the SQL text, kept with the step."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


class _Borrowed:
    """The actor's connection as SQLAlchemy sees it: its commit and rollback end a savepoint, never the transaction around it."""

    def __init__(self) -> None:
        # Only during a call: one that idles may be closed, and another comes in its place.
        self.raw: sqlite3.Connection | None = None
        self.active = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def commit(self) -> None:
        if self.active and self.raw is not None:
            # The savepoint is opened again: SQLAlchemy may commit as often as it likes within one call.
            self.raw.execute(f"RELEASE {_SAVEPOINT}")
            self.raw.execute(f"SAVEPOINT {_SAVEPOINT}")

    def rollback(self) -> None:
        # The pool calls it, too, when the connection is given back; a statement may have ended the transaction by then.
        if self.active and self.raw is not None and self.raw.in_transaction:
            self.raw.execute(f"ROLLBACK TO {_SAVEPOINT}")

    def close(self) -> None:
        """The connection belongs to the actor."""


class _Binding:
    """The engine on the connection of one generation; used on the database's thread only."""

    def __init__(self) -> None:
        self._borrowed: _Borrowed | None = None
        self._engine: Engine | None = None

    @contextmanager
    def connection(self, raw: sqlite3.Connection) -> Iterator[Connection]:
        """A SQLAlchemy connection inside the open transaction of `raw`; an error undoes what was done through it."""
        # With the first call: only there a connection is at hand. What SQLAlchemy adds to it comes to all that take its place.
        if self._borrowed is None:
            self._borrowed = borrowed = _Borrowed()
            self._engine = create_engine("sqlite://", creator=lambda: borrowed, poolclass=StaticPool)
        borrowed, engine = self._borrowed, cast("Engine", self._engine)
        raw.execute(f"SAVEPOINT {_SAVEPOINT}")
        borrowed.raw, borrowed.active = raw, True
        try:
            with engine.connect() as connection:
                yield connection
                connection.commit()
        finally:
            borrowed.raw, borrowed.active = None, False
            # A statement may have ended the whole transaction, as `ON CONFLICT ROLLBACK` does, and with it the savepoint.
            if raw.in_transaction:
                raw.execute(f"RELEASE {_SAVEPOINT}")

    def with_connection(self, function: Callable[[Connection], T]) -> Callable[[sqlite3.Connection], T]:
        def job(raw: sqlite3.Connection) -> T:
            with self.connection(raw) as connection:
                # Whatever it returns leaves the thread: results must be read to the end inside.
                return function(connection)

        return job

    def with_session(self, function: Callable[[Session], T]) -> Callable[[sqlite3.Connection], T]:
        def job(raw: sqlite3.Connection) -> T:
            with self.connection(raw) as connection, Session(connection, expire_on_commit=False) as session:
                value = function(session)
                session.commit()
                return value

        return job


class SQLAlchemyTransaction:
    """`tx` of a SQLAlchemy client: plain SQL and SQLAlchemy in one coordinated transaction."""

    def __init__(self, transaction: Transaction, binding: _Binding) -> None:
        self._transaction = transaction
        self._binding = binding

    @property
    def actor_id(self) -> str:
        """The actor whose database this is."""
        return self._transaction.actor_id

    def execute(self, sql: str, *args: Any) -> Submitted[list[Row]]:
        """Run plain SQL."""
        return self._transaction.execute(sql, *args)

    def query(self, statement: Executable, params: Any = None) -> Submitted[list[Row]]:
        """Run one SQLAlchemy statement and return its rows as dicts."""
        return self.connection(lambda connection: _rows(connection, statement, params))

    def connection(self, function: Callable[[Connection], T]) -> Submitted[T]:
        """Run `function(connection)` on the database's thread; if it raises, its own changes are undone."""
        return self._transaction.run(self._binding.with_connection(function))

    def session(self, function: Callable[[Session], T]) -> Submitted[T]:
        """Run `function(session)` on the database's thread and flush; if it raises, its own changes are undone."""
        return self._transaction.run(self._binding.with_session(function))

    async def transaction(
        self,
        callback: Callable[[SQLAlchemyTransaction], Awaitable[T]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        name: str | None = None,
        include_state: bool = False,
    ) -> T:
        """A nested transaction waits behind its own parent and so ends in expiry (DB-169): use SAVEPOINT instead."""
        wrapped = lambda tx: callback(SQLAlchemyTransaction(tx, self._binding))  # noqa: E731
        return await self._transaction.transaction(wrapped, timeout=timeout, name=name, include_state=include_state)


class SQLAlchemyClient(DatabaseClient):
    """`c.db` with SQLAlchemy: everything of `DatabaseClient`, and

        users = await c.db.session(lambda session: session.scalars(select(User)).all())
        rows = await c.db.query(select(User.id, User.name))
        total = await c.db.connection(lambda connection: connection.scalar(select(func.count()).select_from(User)))

    Each call is one coordinated transaction. `c.db.transaction(callback)` groups several; its `tx` has the same methods.
    """

    def __init__(self, session: DatabaseSession, *, warn_on_manual_transactions: bool = True) -> None:
        super().__init__(session, warn_on_manual_transactions=warn_on_manual_transactions)
        self._binding = _Binding()

    async def query(self, statement: Executable, params: Any = None) -> list[Row]:
        """Run one SQLAlchemy statement and return its rows as dicts."""
        return await self.transaction(lambda tx: tx.query(statement, params))

    async def connection(self, function: Callable[[Connection], T]) -> T:
        """Run `function(connection)` on the database's thread in one transaction (Core)."""
        return await self.transaction(lambda tx: tx.connection(function))

    async def session(self, function: Callable[[Session], T]) -> T:
        """Run `function(session)` on the database's thread in one transaction (ORM); returned objects are detached and loaded."""
        return await self.transaction(lambda tx: tx.session(function))

    async def transaction(
        self,
        callback: Callable[[Any], Awaitable[T]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        name: str | None = None,
        include_state: bool = False,
    ) -> T:
        """As `DatabaseClient.transaction`, with a `SQLAlchemyTransaction`."""
        wrapped = lambda tx: callback(SQLAlchemyTransaction(tx, self._binding))  # noqa: E731
        return await super().transaction(wrapped, timeout=timeout, name=name, include_state=include_state)


class SQLAlchemyDatabase:
    """See `sqlalchemy_database`."""

    def __init__(
        self,
        migrations: Sequence[JournalEntry],
        metadata: MetaData | None,
        on_migrate: Callable[[SQLAlchemyTransaction], Awaitable[object] | object] | None,
        *,
        warn_on_manual_transactions: bool,
    ) -> None:
        self._migrations = tuple(migrations)
        self._metadata = metadata
        self._on_migrate = on_migrate
        self._warn = warn_on_manual_transactions

    def create_client(self, session: DatabaseSession) -> SQLAlchemyClient:
        """A client for one generation."""
        return SQLAlchemyClient(session, warn_on_manual_transactions=self._warn)

    async def on_migrate(self, db: Transaction) -> None:
        """Apply the list, create missing tables, run the user's migration, all in the migration transaction."""
        tx = SQLAlchemyTransaction(db, _Binding())
        if self._migrations:
            await db.run(self._apply_journal)
        # After the list: `create_all` makes what is missing, and must not make first what a script is about to create.
        if self._metadata is not None:
            await tx.connection(self._metadata.create_all)
        if self._on_migrate is not None:
            await settle(self._on_migrate(tx))

    def _apply_journal(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS __drizzle_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL, created_at NUMERIC)"
        )
        newest = connection.execute("SELECT max(created_at) FROM __drizzle_migrations").fetchone()[0]
        for entry in self._migrations:
            # By time and not by hash, as the tool does that writes these lists: a script edited later is not applied again.
            if newest is not None and entry.created_at <= newest:
                continue
            for statement in prepare(entry.sql, ()):
                connection.execute(statement.sql, statement.params)
            connection.execute("INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)", (entry.hash, entry.created_at))


def sqlalchemy_database(
    *,
    migrations: Sequence[JournalEntry] = (),
    metadata: MetaData | None = None,
    on_migrate: Callable[[SQLAlchemyTransaction], Awaitable[object] | object] | None = None,
    warn_on_manual_transactions: bool = True,
) -> SQLAlchemyDatabase:
    """A SQLite database per actor with SQLAlchemy on it.

    Args:
        migrations: Scripts in order. Each is applied once; which were is kept in the table
            `__drizzle_migrations`.
        metadata: Tables to create when missing.
        on_migrate: Runs after both, on every start, in the same transaction.
        warn_on_manual_transactions: Log a warning at the first BEGIN or COMMIT by hand (DB-350..352).
    """
    return SQLAlchemyDatabase(migrations, metadata, on_migrate, warn_on_manual_transactions=warn_on_manual_transactions)


def _rows(connection: Connection, statement: Executable, params: Any) -> list[Row]:
    result = connection.execute(statement, params)
    return [dict(row) for row in result.mappings()] if result.returns_rows else []
