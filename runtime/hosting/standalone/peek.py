"""Single rows of an actor, whether it is awake or not: what the management API shows of it.

Read where they are and without a generation: nothing is opened for writing, and nothing is moved (DB-004).
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING

from runtime.actor.tables import statements
from runtime.hosting.standalone.actor_storage import GenerationStorage

if TYPE_CHECKING:
    from runtime.actor.database.pool import DatabasePool
    from runtime.storage.base import Storage


class StoredRows:
    """The rows of one actor."""

    def __init__(self, storage: Storage, actor_id: str, databases: DatabasePool) -> None:
        # No generation writes here.
        self._storage = GenerationStorage(storage, actor_id, 0, databases)

    async def get(self, table: str, key: bytes) -> bytes | None:
        """One row's value; None when there is none, and when the database of the actor cannot be read."""
        value = await self._storage.get(table, key)
        if value is None and self._storage.has_database():
            value = await self._from_database(table, key)
        return value

    async def _from_database(self, table: str, key: bytes) -> bytes | None:
        try:
            database = await self._storage.open_database(_nothing)
        except sqlite3.Error:
            return None
        try:
            return await database.submit(partial(statements.get, table=table, key=key))
        except sqlite3.Error:
            # A file that only an inspector of an older release opened has no tables of the runtime.
            return None
        finally:
            await database.close()


def _nothing(_: sqlite3.Connection) -> None:
    """The tables are made by the first start."""
