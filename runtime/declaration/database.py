"""The declared database: what a declaration has to know of a provider, which is nearly nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable


class DeclaredDatabase(Protocol):
    """What `Actor.database` holds.

    The parameters are `Never`, because a declaration calls neither method: every provider fits, whatever it takes. What they are given
    is said by `DatabaseProvider` beside the database itself, which the declaration must not know.
    """

    def create_client(self, session: Never) -> object:
        """Build what the actor gets as `c.db`."""
        ...

    def on_migrate(self, db: Never) -> Awaitable[None] | None:
        """Bring the schema up to date."""
        ...
