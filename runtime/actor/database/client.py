"""`c.db`: what actor code gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from runtime.actor.database.statements import is_manual_transaction
from runtime.actor.database.submitted import Submitted
from runtime.actor.database.transaction import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actor.database.session import DatabaseSession, Row
    from runtime.actor.database.transaction import Transaction

T = TypeVar("T")

MANUAL_TRANSACTION_WARNING = (
    "Manual cross-call SQLite transactions can interleave with other statements of the actor. Use c.db.transaction(callback) instead. "
    "Set warnOnManualTransactions: false to silence this warning (in Python: raw_database(warn_on_manual_transactions=False))."
)


class DatabaseClient:
    """SQL on the actor's own SQLite database. One client per generation; it is refused after the generation ended (DB-307).

    rows = await c.db.execute("SELECT id, value FROM items WHERE id > ?", 10)   # [{"id": 11, "value": "a"}]
    await c.db.execute("INSERT INTO items (value) VALUES (:value)", {"value": "b"})

    async def move(tx):
        await tx.execute("UPDATE accounts SET amount = amount - 1 WHERE id = ?", source)
        await tx.execute("UPDATE accounts SET amount = amount + 1 WHERE id = ?", target)
    await c.db.transaction(move)
    """

    def __init__(self, session: DatabaseSession, *, warn_on_manual_transactions: bool = True) -> None:
        self._session = session
        self._warn = warn_on_manual_transactions

    @property
    def actor_id(self) -> str:
        """The actor whose database this is."""
        return self._session.actor_id

    def execute(self, sql: str, *args: Any) -> Submitted[list[Row]]:
        """Run SQL and return its rows as dicts.

        `args` are values for `?`, or one mapping for `:name`, `@name`, `$name`. Without values the text may be a script; it returns the
        rows of its last statement that has columns and is not wrapped in a transaction. The statement is submitted by the call itself, so
        calls that do not await each other keep their order. Implements DB-110..143.

        Raises:
            ActorError: core/internal_error with SQLite's text in `metadata["error"]`;
                sqlite/transaction_queue_full; actor/overloaded.
            TypeError, ValueError: Values that cannot be bound (DB-113, DB-117).
            DatabaseClosedError: The generation's database was closed (DB-308).
        """
        # Here and not in the session: what the runtime and its transactions run there is never by hand (DB-350).
        if self._warn and is_manual_transaction(sql):
            self._warn_once(sql)
        return Submitted.of(lambda: self._session.execute(sql, args))

    async def transaction(
        self,
        callback: Callable[[Transaction], Awaitable[T]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        name: str | None = None,
        include_state: bool = False,
    ) -> T:
        """Run `callback(tx)` in one transaction and return its value after COMMIT (DB-145..172).

        Everything else on this database waits until it ends. If the callback raises, everything is rolled back and the error goes on
        unchanged. What it calls of the queue, of schedules and `save_state` is part of the transaction, too (DB-029).

        Args:
            callback: Must use `tx`, never `c.db` or `c.kv`.
            timeout: Seconds until the transaction is rolled back; a backstop against deadlock.
            name: For diagnosis, at most 128 bytes.
            include_state: Commit and roll back `c.state` and the state of connections, too (DB-180..187). Nobody else may change state
                meanwhile (actor/state_transaction_conflict), and `tx` takes single statements only. Read `c.state` anew after a rollback.

        Raises:
            ActorError: sqlite/transaction_expired after the deadline; core/internal_error when COMMIT fails.
            ValueError: A timeout or name that makes no sense (DB-161, DB-162).
        """
        return await self._session.transaction(callback, timeout=timeout, name=name, include_state=include_state)

    async def close(self) -> None:
        """Close the database for the rest of this generation; a second call is no error (DB-309)."""
        await self._session.close()

    def native_metrics(self) -> None:
        """No native metrics are kept (DB-101)."""
        return

    def _warn_once(self, sql: str) -> None:
        # A script is not a manual cross-call transaction (DB-352).
        if ";" not in sql.rstrip("; \t\r\n"):
            # One warning per client: the second statement of a habit says nothing new.
            self._warn = False
            self._session.log.warning(MANUAL_TRANSACTION_WARNING)
