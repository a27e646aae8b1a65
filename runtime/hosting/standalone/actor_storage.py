"""The part of the host's one storage that one generation of an actor may use.

Generations of an actor never overlap in this host (STOP-030) and the task refuses writes once its generation is over (SLEEP-055), so the
number is carried and nothing checks it: a storage that only this process uses has nobody to refuse.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING

from runtime.actor.database.connection import connect
from runtime.storage.data_directory import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actor.database.pool import DatabasePool
    from runtime.actor.database.worker import SqlWorker
    from runtime.storage.base import Op, Storage


class GenerationStorage:
    """`ActorStorage` on a `Storage`; the actor's id is its scope there.

    Args:
        databases: What runs the SQL of the host's actors.
    """

    __slots__ = ("_databases", "_scope", "_storage", "generation")

    outside = True

    def __init__(self, storage: Storage, actor_id: str, generation: int, databases: DatabasePool) -> None:
        self._storage = storage
        self._databases = databases
        self._scope = actor_id
        self.generation = generation

    async def commit(self, ops: Sequence[Op]) -> None:
        """One atomic batch, durable when this returns."""
        await self._storage.commit(self._scope, ops)

    async def get(self, table: str, key: bytes) -> bytes | None:
        """One row's value."""
        return await self._storage.get(self._scope, table, key)

    async def scan(
        self, table: str, start: bytes = b"", end: bytes | None = None, *, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """Rows with start <= key < end in key order."""
        return await self._storage.scan(self._scope, table, start, end, reverse=reverse, limit=limit)

    async def load(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """Every row that a start needs, by table."""
        return await self._storage.load(self._scope)

    def has_database(self) -> bool:
        """Whether the actor's database file exists."""
        return self._storage.has_database(self._scope)

    async def open_database(self, prepare: Callable[[sqlite3.Connection], None]) -> SqlWorker:
        """Open the actor's database file in the pool of the host."""
        storage = self._storage
        path = storage.database_path(self._scope)
        open_file = partial(connect, path, storage.database_synchronous, storage.connection_class)
        try:
            return await self._databases.open(open_file, prepare, on_disk=not path.startswith("file:"))
        except sqlite3.DatabaseError as error:
            raise explained(path, error) from error
