"""How an actor class declares its database."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.database.client import DatabaseClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actor.database.session import DatabaseSession
    from runtime.actor.database.transaction import Transaction

    Migrate = Callable[[Transaction], Awaitable[object] | None]


class DatabaseProvider(Protocol):
    """What `Actor.database` holds. Each method is called once per generation (DB-100); user code may wrap a provider."""

    def create_client(self, session: DatabaseSession) -> DatabaseClient | Awaitable[DatabaseClient]:
        """Build what the actor gets as `c.db`. `session.actor_id` says for whom."""
        ...

    def on_migrate(self, db: Transaction) -> Awaitable[None] | None:
        """Bring the schema up to date, inside the migration transaction (DB-203). `db.actor_id` says whose."""
        ...


class RawDatabase:
    """Plain SQL: see `raw_database`."""

    def __init__(self, on_migrate: Migrate | None, *, warn_on_manual_transactions: bool) -> None:
        self._on_migrate = on_migrate
        self._warn = warn_on_manual_transactions

    def create_client(self, session: DatabaseSession) -> DatabaseClient:
        """A client for one generation."""
        return DatabaseClient(session, warn_on_manual_transactions=self._warn)

    async def on_migrate(self, db: Transaction) -> None:
        """Run the user's migration."""
        await settle(self._on_migrate(db) if self._on_migrate is not None else None)


def raw_database(on_migrate: Migrate | None = None, *, warn_on_manual_transactions: bool = True) -> RawDatabase:
    """A SQLite database per actor with plain SQL.

        class Notes(Actor):
            database = raw_database(on_migrate=lambda db: db.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT)"))

    Args:
        on_migrate: Runs on every start before any hook, in one transaction: all of its SQL commits or none (DB-200..208).
            `migrations([...])` builds one from numbered steps.
        warn_on_manual_transactions: Log a warning at the first BEGIN or COMMIT by hand (DB-350..352).
    """
    return RawDatabase(on_migrate, warn_on_manual_transactions=warn_on_manual_transactions)


async def settle(value: Any) -> Any:
    """The value itself, or what it resolves to."""
    return await value if inspect.isawaitable(value) else value
