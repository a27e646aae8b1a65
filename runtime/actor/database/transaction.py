"""One coordinated transaction: begin, deadline, commit, rollback.

The end of a transaction is one job on the database's thread and a callback on the event loop: whoever awaits it may be cancelled, the
gate is released all the same. A deadline that passes while COMMIT is queued or running has lost (DB-168).
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import uuid
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Never, Protocol, TypeVar

from runtime import clock
from runtime.actor.database.coordinator import Waiter, fail_future, settle_future
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.submitted import Submitted
from runtime.actor.joining import INSIDE, Inside, Part
from runtime.actor.tables import statements
from runtime.actor.tables.statements import apply
from runtime.errors import make_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from runtime.actor.database.session import DatabaseSession, Row
    from runtime.actor.tables.statements import Step

T = TypeVar("T")

MAX_NAME_BYTES = 128
DEFAULT_TIMEOUT = 60.0


class _State(StrEnum):
    OPEN = "open"
    EXPIRED = "expired"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


class IncludedState(Part, Protocol):
    """State that a transaction commits and rolls back with its SQL."""

    def begin(self) -> None:
        """The transaction has begun: only its code may change state (DB-182)."""

    def enter_context(self) -> Callable[[], None]:
        """What runs from here on is its code, until the returned function is called."""
        ...


class IncludableState(Protocol):
    """Where a transaction gets state that it may include."""

    async def enter(self) -> IncludedState:
        """Wait for the turn (DB-187)."""
        ...


class RollbackFailedError(RuntimeError):
    """ROLLBACK itself failed: the database of this generation is unusable (DB-172)."""


class Transaction:
    """What the callback of `c.db.transaction` gets. Use it, and not `c.db`, until the callback ends."""

    def __init__(self, session: DatabaseSession, timeout: float, included: IncludedState | None = None) -> None:
        self.key = str(uuid.uuid4())
        self._session = session
        self._timeout = timeout
        self._state = _State.OPEN
        self._began = False
        self._timer: asyncio.TimerHandle | None = None
        self._included = included
        # In the order in which they are written; state is the last, because what the others do may change it.
        self._parts: list[Part] = []
        self._steps: Sequence[Step] = ()
        self._admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiter = Waiter(partial(settle_future, self._admitted), self._refused, exclusive=True)

    @property
    def actor_id(self) -> str:
        """The actor whose database this is."""
        return self._session.actor_id

    def execute(self, sql: str, *args: Any) -> Submitted[list[Row]]:
        """Run SQL inside the transaction; see `DatabaseClient.execute` (DB-145..148, DB-185)."""
        if self._included is not None and not args and ";" in sql.rstrip("; \t\r\n"):
            return Submitted.of(_refuse_script)
        return Submitted.of(lambda: self._submit(self._session.job(sql, args)))

    def run(self, function: Callable[[sqlite3.Connection], T]) -> Submitted[T]:
        """Run a blocking function on the database's thread inside the transaction, which it must not end."""
        return Submitted.of(lambda: self._submit(function))

    async def transaction(
        self,
        callback: Callable[[Transaction], Awaitable[T]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        name: str | None = None,
        include_state: bool = False,
    ) -> T:
        """A nested transaction waits behind its own parent and so ends in expiry (DB-169): use SAVEPOINT instead."""
        if include_state:
            raise RuntimeError("experimental.includeState is not supported for nested transactions")
        return await self._session.transaction(callback, timeout=timeout, name=name)

    async def perform(self, callback: Callable[[Transaction], Awaitable[T]]) -> T:
        """Wait for admission, BEGIN, run the callback, COMMIT or ROLLBACK. Called once, by the session."""
        await self._begin()
        try:
            # Cancellation, too, rolls back: of a callback that did not come to its end nothing may stay.
            value = await self._inside(callback)
        except BaseException:
            await self._roll_back()
            raise
        await self._commit()
        return value

    async def _inside(self, callback: Callable[[Transaction], Awaitable[T]]) -> T:
        inside = Inside(self._session.coordinator, self._join)
        token = INSIDE.set(inside)
        leave = None if self._included is None else self._included.enter_context()
        try:
            value = await callback(self)
        finally:
            inside.leave()
            INSIDE.reset(token)
            if leave is not None:
                leave()
        if self._state is _State.OPEN and (parts := self._all_parts()):
            # In the turn in which the COMMIT is submitted: what changes later is not part of it.
            self._steps = statements.steps(op for part in parts for op in part.rows())
        return value

    def _join(self, part: Part) -> None:
        """Commit and roll back `part` with the rest (DB-029).

        Raises:
            ActorError: sqlite/transaction_expired, sqlite/transaction_terminal.
            DatabaseClosedError: The database was closed, and the transaction rolled back with that.
        """
        self._check_open()
        self._session.check_open()
        self._parts.append(part)

    def _all_parts(self) -> list[Part]:
        return self._parts if self._included is None else [*self._parts, self._included]

    def _refused(self, reason: BaseException) -> None:
        # After the admission it is the fence: the close rolls back, and what happens to the parts must not wait for the callback.
        if self._admitted.done() and self._state is _State.OPEN:
            self._end_parts(committed=False)
        fail_future(self._admitted, reason)

    def _end_parts(self, *, committed: bool) -> None:
        parts, self._parts = self._all_parts(), []
        for part in parts:
            if committed:
                part.committed()
            else:
                part.rolled_back()

    async def _begin(self) -> None:
        self._session.coordinator.admit(self._waiter)
        try:
            await self._admitted
        except BaseException:
            # It may have been admitted in the very turn it was cancelled in: of the two calls one does something.
            self._session.coordinator.withdraw(self._waiter)
            self._session.coordinator.release(self._waiter)
            raise
        # From the admission on: what others did before is not this callback's time.
        self._timer = clock.call_later(self._timeout, self._expire)
        try:
            await self._submit(self._begin_job)
        except BaseException:
            await self._roll_back()
            raise
        if self._included is not None:
            self._included.begin()

    async def _commit(self) -> None:
        if self._state is _State.OPEN:
            self._finish(self._commit_job, _State.COMMITTED)
            # Cancelling the caller does not take a COMMIT back that is on its way.
            await asyncio.shield(self._ended)
            return
        # The deadline came first. The caller goes on when the rollback is through, so that its next statement finds order.
        await asyncio.shield(self._ended)
        raise self._expired()

    async def _roll_back(self) -> None:
        if self._state is _State.OPEN:
            self._finish(self._rollback_job, _State.ROLLED_BACK)
        # `wait` raises nothing: what goes on is the error of the callback, not the one of its rollback.
        await asyncio.wait([self._ended])
        self._ended.exception()

    def _submit(self, function: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        self._check_open()
        return self._session.submit(function)

    def _check_open(self) -> None:
        if self._state is _State.EXPIRED:
            raise self._expired()
        if self._state is not _State.OPEN:
            state = str(self._state)
            metadata = {"key": self.key, "state": state}
            raise make_error("sqlite.transaction_terminal", metadata=metadata, key=self.key, state=state)

    def _expire(self) -> None:
        if self._state is _State.OPEN:
            self._finish(self._rollback_job, _State.EXPIRED)
            # What waits was called from inside as likely as not, which is the deadlock that the deadline is there for.
            self._session.coordinator.fail_waiting(self._expired())

    def _finish(self, job: Callable[[sqlite3.Connection], None], state: _State) -> None:
        self._state = state
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._session.submit(job, control=True).add_done_callback(self._finished)
        except DatabaseClosedError as error:
            # The close that fenced the database rolls back on its own.
            self._settle(error)

    def _finished(self, future: asyncio.Future[None]) -> None:
        self._settle(DatabaseClosedError() if future.cancelled() else future.exception())

    def _settle(self, error: BaseException | None) -> None:
        self._end_parts(committed=error is None and self._state is _State.COMMITTED)
        if error is None:
            self._ended.set_result(None)
        else:
            if self._state is _State.COMMITTED:
                # COMMIT failed, as deferred constraints do, and its own job rolled back.
                self._state = _State.ROLLED_BACK
            self._ended.set_exception(error)
            # Looked at, or the loop would report it as never retrieved when nobody awaits it.
            self._ended.exception()
            if isinstance(error, RollbackFailedError):
                self._session.broken(error)
        self._session.coordinator.release(self._waiter)

    def _expired(self) -> BaseException:
        return make_error("sqlite.transaction_expired", timeout_ms=clock.milliseconds(self._timeout))

    # On the database's thread, in the order BEGIN, statements, COMMIT or ROLLBACK.

    def _begin_job(self, connection: sqlite3.Connection) -> None:
        self._session.run_sql(connection, "BEGIN")
        self._began = True

    def _commit_job(self, connection: sqlite3.Connection) -> None:
        try:
            # Code that ended the transaction by hand: COMMIT fails, and nothing may be stored on its own before that.
            if self._steps and connection.in_transaction:
                apply(connection, self._steps)
            self._session.run_sql(connection, "COMMIT")
        except BaseException:
            # SQLite leaves a transaction open whose COMMIT failed.
            self._rollback_job(connection)
            raise

    def _rollback_job(self, connection: sqlite3.Connection) -> None:
        # Without our own BEGIN an open transaction is a manual one, which stays open (DB-176).
        if not self._began or not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise RollbackFailedError(str(error)) from error


def _refuse_script() -> Never:
    raise RuntimeError("actor state transactions only support single-statement execute calls")


def check_arguments(timeout: float, name: str | None) -> None:
    """Refuse what a transaction cannot be made of, before it waits for its turn (DB-161, DB-162).

    Raises:
        ValueError: The time or the name is none.
        ActorError: sqlite/transaction_invalid_argument: the name is longer than 128 bytes.
    """
    # `bool` is an `int`, and `timeout=True` is a mistake, not one second.
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not number or not math.isfinite(timeout) or timeout <= 0:
        error = ValueError("db.transaction() timeout must be a positive finite number of milliseconds")
        # The text is that of the peer (DB-161).
        error.add_note(f"In Python: `timeout` is in seconds, and {timeout!r} is no positive finite number of them.")
        raise error
    if name is not None and not name:
        raise ValueError("db.transaction() name must not be empty")
    if name is not None and len(name.encode()) > MAX_NAME_BYTES:
        raise make_error(
            "sqlite.transaction_invalid_argument",
            message="transaction name exceeds the configured byte limit",
        )
