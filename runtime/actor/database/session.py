"""The database of one generation: the gate, the thread, and the one way SQL runs on it."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from runtime import clock
from runtime.actor.database.bootstrap import reserved_names_guarded
from runtime.actor.database.bound_values import prepare
from runtime.actor.database.coordinator import Coordinator, Waiter, fail_future
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.handles.page_limit import PageLimit
from runtime.actor.database.transaction import DEFAULT_TIMEOUT, Transaction, check_arguments
from runtime.actor.database.worker import CLOSE_TIMEOUT
from runtime.errors import make_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from runtime.actor.database.bound_values import Statement
    from runtime.actor.database.transaction import IncludableState
    from runtime.storage.actor import OpenDatabase

    Guard = Callable[[sqlite3.Connection, str], AbstractContextManager[None]]

T = TypeVar("T")
Row = dict[str, Any]

_LOGGED_SQL = 500


class DatabaseSession:
    """Everything below `c.db` for one generation; a provider gets it to build the client.

    Attributes:
        actor_id: The actor whose database this is.
        log: The actor's logger.
        coordinator: The gate shared with the key-value API.
        pages: How much one commit may hold (DB-321).
    """

    def __init__(
        self,
        actor_id: str,
        log: Any,
        coordinator: Coordinator,
        database: OpenDatabase,
        on_broken: Callable[[BaseException], None],
        states: IncludableState | None = None,
    ) -> None:
        self.actor_id = actor_id
        self.log = log
        self.coordinator = coordinator
        self._database = database
        self._on_broken = on_broken
        self._states = states
        self.pages = PageLimit()
        self._fenced = False
        self._rolled_back: asyncio.Future[None] | None = None
        self._interruption: asyncio.TimerHandle | None = None
        self._in_transaction = False
        self._blocked: list[Callable[[], None]] = []

    def execute(self, sql: str, args: tuple[Any, ...], *, guard: Guard = reserved_names_guarded) -> asyncio.Future[list[Row]]:
        """Run SQL outside any coordinated transaction, behind an open one (DB-151). `guard` says what each statement may do."""
        return self.ordinary(self.job(sql, args, guard=guard))

    def ordinary(self, function: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run a function on the database's thread as one ordinary operation of the gate."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def start() -> None:
            # The caller gave up while it waited: the statement must not run.
            if result.done():
                return
            try:
                _chain(self.submit(function), result)
            except Exception as error:
                # The gate starts this in the middle of somebody else's release, which must not fail for it.
                result.set_exception(error)

        waiter = Waiter(start, partial(fail_future, result))
        self.coordinator.admit(waiter)
        # Cancelled while it waits, it leaves its place to the others.
        result.add_done_callback(lambda _: self._over(waiter))
        return result

    def _over(self, waiter: Waiter) -> None:
        self.coordinator.withdraw(waiter)
        if self._blocked and not self._in_transaction:
            self._unblock()

    async def transaction(
        self,
        callback: Callable[[Transaction], Awaitable[T]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        name: str | None = None,
        include_state: bool = False,
    ) -> T:
        """See `DatabaseClient.transaction`."""
        check_arguments(timeout, name)
        if not include_state:
            return await Transaction(self, timeout).perform(callback)
        if self._states is None:
            raise RuntimeError("this database is not an actor's own: there is no state to include")
        included = await self._states.enter()
        try:
            return await Transaction(self, timeout, included).perform(callback)
        finally:
            # Nothing after a commit; a transaction that did not even begin ends here.
            included.rolled_back()

    def check_open(self) -> None:
        """Raise DatabaseClosedError after `fence`."""
        if self._fenced:
            raise DatabaseClosedError

    def submit(self, function: Callable[[sqlite3.Connection], T], *, control: bool = False) -> asyncio.Future[T]:
        """Queue a function of user code on the database's thread, past the gate; it does not run after `fence`."""
        self.check_open()
        return self._database.submit(partial(self._run_user, function), control=control)

    def submit_own(self, function: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Queue a function of the runtime on the database's thread, past the gate; only the end of the generation refuses it."""
        return self._database.submit(function, control=True)

    def when_free(self, call: Callable[[], None]) -> None:
        """Call soon, when no transaction is open that user code began by hand."""
        self._blocked.append(call)
        if not self._in_transaction:
            self._unblock()

    def _unblock(self) -> None:
        blocked, self._blocked = self._blocked, []
        for call in blocked:
            call()

    def _run_user(self, function: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
        # Asked again on the thread, because the fence may have come while the job was queued (DB-304).
        if self._fenced:
            raise DatabaseClosedError
        try:
            return function(connection)
        finally:
            self._in_transaction = connection.in_transaction

    def job(self, sql: str, args: tuple[Any, ...], *, guard: Guard = reserved_names_guarded) -> Callable[[sqlite3.Connection], list[Row]]:
        """Check SQL and values now; the returned function runs them."""
        # On the event loop: wrong arguments are the caller's error at once, not one that waits behind a transaction.
        statements = prepare(sql, args)
        return lambda connection: self._run(connection, statements, guard)

    def run_sql(self, connection: sqlite3.Connection, sql: str) -> None:
        """Run BEGIN or COMMIT of the runtime's own, with the errors of user SQL."""
        try:
            if sql == "COMMIT":
                self.pages.check(connection)
            else:
                self.pages.begin(connection)
            connection.execute(sql)
        except sqlite3.Error as error:
            raise self._sql_error(error, sql, 0, 1) from error

    def fence(self) -> None:
        """Refuse user code that has not started, and roll back what it left open (DB-304, DB-306). The runtime may still write."""
        if self._fenced:
            return
        self._fenced = True
        # Behind the statement that runs, and before everything that the runtime writes from now on.
        self._rolled_back = self.roll_back()
        self.coordinator.close(DatabaseClosedError)
        if self._rolled_back is not None and not self._rolled_back.done():
            # A statement that does not end must not keep the last save from being made (DB-316).
            self._interruption = clock.call_later(CLOSE_TIMEOUT, self._database.interrupt)

    def roll_back(self) -> asyncio.Future[None] | None:
        """Roll back what user code left open, behind the statement that runs (DB-177)."""
        try:
            rolled_back = self._database.submit(self._roll_back, control=True)
        except DatabaseClosedError:
            # Its close rolled back.
            return None
        rolled_back.add_done_callback(self._was_rolled_back)
        return rolled_back

    async def close(self) -> None:
        """`fence`, and wait until nothing of user code runs; the handle stays, because the runtime writes through it (DB-309)."""
        self.fence()
        if self._rolled_back is not None:
            await asyncio.wait([self._rolled_back])

    async def release(self) -> None:
        """Fence, let the running statement end, roll back and release the file."""
        self.fence()
        self._database.fence()
        await self._database.close()

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        self._in_transaction = False

    def _was_rolled_back(self, future: asyncio.Future[None]) -> None:
        if self._interruption is not None:
            self._interruption.cancel()
        if not future.cancelled() and isinstance(error := future.exception(), sqlite3.Error):
            self.broken(error)
        if self._blocked:
            self._unblock()

    def broken(self, error: BaseException) -> None:
        """Stop all use after a failed rollback and report it (DB-172)."""
        # Nobody knows what the open transaction holds: better no answer than one from the middle of it.
        self.coordinator.close(lambda: make_error("sqlite.transaction_closed"))
        self._on_broken(error)

    def _run(self, connection: sqlite3.Connection, statements: list[Statement], guard: Guard) -> list[Row]:
        rows: list[Row] = []
        for statement in statements:
            try:
                # Read to the end on this thread: fetching is what runs a statement, row by row.
                with self.pages.around(connection, statement.sql), guard(connection, statement.sql):
                    cursor = connection.execute(statement.sql, statement.params)
                    if cursor.description is None:
                        continue
                    names = [column[0] for column in cursor.description]
                    rows = [dict(zip(names, values, strict=True)) for values in cursor]
            except sqlite3.Error as error:
                raise self._sql_error(error, statement.sql, len(statement.params), len(statements)) from error
        return rows

    def _sql_error(self, error: sqlite3.Error, sql: str, bindings: int, statements: int) -> Exception:
        self.log.warning(
            "sqlite operation failed", backend="local", operation="execute", sql=sql[:_LOGGED_SQL],
            bindings=bindings, statements=statements, group="core", code="internal_error", error=str(error),
        )  # fmt: skip
        return make_error("core.internal_error", metadata={"error": str(error)})


def _chain(source: asyncio.Future[T], target: asyncio.Future[T]) -> None:
    def forward(done: asyncio.Future[T]) -> None:
        # The caller was cancelled while the statement ran.
        if target.done():
            return
        if done.cancelled():
            target.cancel()
        elif (error := done.exception()) is not None:
            target.set_exception(error)
        else:
            target.set_result(done.result())

    def take_back(done: asyncio.Future[T]) -> None:
        # What has not started is taken off the queue of the thread; what runs goes on to its end (DB-306).
        if done.cancelled():
            source.cancel()

    source.add_done_callback(forward)
    target.add_done_callback(take_back)
