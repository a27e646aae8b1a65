"""The database of one actor over the life of one generation: open, migrate, use, fence, close.

Only actors that declare a provider get `c.db`; for them the file is opened before the first hook. The
inspector may open the database of any actor. The gate exists always, because key-value calls pass through it
too (KV-032).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from runtime.actor.database.bootstrap import bootstrap
from runtime.actor.database.confinement import ConfinedClient
from runtime.actor.database.coordinator import Coordinator, Waiter, fail_future, settle_future
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.provider import settle
from runtime.actor.database.session import DatabaseSession
from runtime.actor.joining import joinable
from runtime.errors import ActorError, make_error

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import Any

    from runtime.actor.database.client import DatabaseClient
    from runtime.actor.database.provider import DatabaseProvider
    from runtime.actor.database.transaction import IncludableState, Transaction
    from runtime.actor.joining import Join
    from runtime.storage.actor import ActorStorage

MIGRATION_TIMEOUT = 300.0
MIGRATION_NAME = "rivetkit-migration"
_SAVEPOINT = "__rivet_on_migrate"


class ActorDatabase:
    """Call order: `migrate()` at start, `fence()` at the grace deadline, `close()` on the stop path.

    Args:
        provider: What the actor declared, None without a database.
        on_broken: Called with the error that made the database unusable (DB-172).
        states: The state that a transaction may include, None without.
    """

    def __init__(
        self,
        actor_id: str,
        storage: ActorStorage,
        provider: DatabaseProvider | None,
        log: Any,
        on_broken: Callable[[BaseException], None],
        states: IncludableState | None = None,
    ) -> None:
        self._storage = storage
        self._actor_id = actor_id
        self._provider = provider
        self._log = log
        self._on_broken = on_broken
        self._states = states
        # Made at once and not with the session: entries pass the gate whether or not the actor has a database (KV-032).
        self._coordinator = Coordinator()
        self._opening: asyncio.Task[DatabaseSession] | None = None
        self._client: DatabaseClient | None = None
        self._closed = False
        self._has_rows = False

    @property
    def declared(self) -> bool:
        """Whether the actor declares a database."""
        return self._provider is not None

    @property
    def client(self) -> DatabaseClient:
        """What `c.db` returns.

        Raises:
            ActorError: actor/database_not_configured without a provider (RUN-212);
                actor/database_client_not_ready before `migrate`.
        """
        if self._provider is None:
            raise make_error("actor.database_not_configured")
        if self._client is None:
            raise make_error("actor.database_client_not_ready")
        return self._client

    async def migrate(self) -> None:
        """Open, create the client and run the provider's migration; does nothing without a provider (DB-200, DB-203).

        On failure or cancellation the database is closed again (DB-204, DB-313).
        """
        if self._provider is None:
            return
        try:
            # Opened before the first hook, so that one that cannot be opened fails the start and not the first statement.
            session = await self.open()
            self._client = await settle(self._provider.create_client(session))
            await session.transaction(self._migrate, timeout=MIGRATION_TIMEOUT, name=MIGRATION_NAME)
        except BaseException:
            await self.close()
            raise

    async def inspector_client(self) -> ConfinedClient:
        """A client for the inspector; works without a provider (DB-003)."""
        return ConfinedClient(await self.open())

    async def open(self, prepare: Callable[[sqlite3.Connection], None] = bootstrap) -> DatabaseSession:
        """The open database; the first who asks opens it and says what it must hold.

        Raises:
            DatabaseClosedError: After `fence`.
            Exception: What `prepare` raised, to all who asked meanwhile.
        """
        if self._closed:
            raise DatabaseClosedError
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(prepare), name=f"open database of {self._actor_id}")
        # One opening serves all who ask: a caller that gives up must not cancel it for the others.
        return await asyncio.shield(self._opening)

    def keep_rows(self) -> None:
        """The rows of the runtime are in here: they pass the gate by themselves (DB-028)."""
        self._has_rows = True

    def joinable(self) -> Join | None:
        """The transaction that a call from here has to be part of: the one from whose callback it comes (DB-029)."""
        return joinable(self._coordinator) if self._has_rows else None

    async def put_away(self) -> None:
        """Release the database again; the next who asks opens it anew."""
        opening, self._opening = self._opening, None
        if opening is not None:
            self._coordinator = Coordinator()
            await (await opening).release()

    async def quiet(self, within: float) -> None:
        """Let a transaction that nobody waits for end within that many seconds, else roll it back (DB-310).

        One that was begun by hand is rolled back at once (DB-177): the last save cannot be made beside it.
        """
        session = self._opened()
        if session is None:
            return
        if self._coordinator.busy:
            passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiter = Waiter(partial(settle_future, passed), partial(fail_future, passed), own=True)
            self._coordinator.admit(waiter)
            try:
                async with asyncio.timeout(within):
                    await passed
            except (TimeoutError, ActorError):
                self._coordinator.withdraw(waiter)
                self.fence()
        if not self._coordinator.busy:
            session.roll_back()

    async def gate(self) -> None:
        """Wait behind an open coordinated transaction, as every key-value call must (KV-032).

        Raises:
            ActorError: sqlite/transaction_closed after `fence` (KV-033);
                sqlite/transaction_queue_full; sqlite/transaction_expired.
        """
        if self._closed:
            raise make_error("sqlite.transaction_closed")
        # Rows in here pass the gate when they are read and written. Nearly always nobody holds it, and then no future is made for it.
        if self._has_rows or not self._coordinator.busy:
            return
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = Waiter(partial(settle_future, passed), partial(fail_future, passed))
        self._coordinator.admit(waiter)
        try:
            await passed
        except DatabaseClosedError:
            raise make_error("sqlite.transaction_closed") from None
        finally:
            # A caller that was cancelled must not keep its place in a queue that is bounded.
            self._coordinator.withdraw(waiter)

    def fence(self) -> None:
        """Refuse every statement of user code that has not started, for good (DB-304). The runtime's own rows are still written."""
        self._closed = True
        # One that is still being opened is fenced by `_open`, as soon as it is there.
        session = self._opened()
        if session is not None:
            session.fence()
        self._coordinator.close(DatabaseClosedError)

    def _opened(self) -> DatabaseSession | None:
        opening = self._opening
        return None if opening is None or not opening.done() or opening.cancelled() or opening.exception() else opening.result()

    async def close(self) -> None:
        """Fence, let the running statement end, roll back an open transaction, release the file (DB-306).

        Raises:
            TimeoutError: A statement did not end within its time (DB-316); report it as fatal.
        """
        self.fence()
        if self._opening is None:
            return
        # `wait`, because an opening that failed was reported to whoever asked for the database.
        await asyncio.wait([self._opening])
        if not self._opening.cancelled() and self._opening.exception() is None:
            await self._opening.result().release()

    async def _open(self, prepare: Callable[[sqlite3.Connection], None]) -> DatabaseSession:
        database = await self._storage.open_database(prepare)
        session = DatabaseSession(self._actor_id, self._log, self._coordinator, database, self._on_broken, self._states)
        if self._closed:
            session.fence()
        return session

    async def _migrate(self, tx: Transaction) -> None:
        assert self._provider is not None
        # A migration that ends the transaction by hand takes the savepoint with it: RELEASE then fails, and so does the start (DB-203).
        await tx.run(lambda connection: connection.execute(f"SAVEPOINT {_SAVEPOINT}") and None)
        await settle(self._provider.on_migrate(tx))
        await tx.run(lambda connection: connection.execute(f"RELEASE {_SAVEPOINT}") and None)
