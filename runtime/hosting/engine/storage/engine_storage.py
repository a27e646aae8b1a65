"""The storage of one generation at the engine: all of it is in the one database, the rows of the runtime and what `c.db` has."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

from runtime.hosting.engine.storage.connection import EngineConnection
from runtime.hosting.engine.storage.page_file import PageFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from runtime.actor.database.pool import DatabasePool
    from runtime.actor.database.worker import SqlWorker
    from runtime.hosting.engine.ports import PageLink
    from runtime.hosting.engine.storage.errors import FencedError
    from runtime.hosting.engine.storage.page_cache import PageBudget
    from runtime.storage.base import Op


class EngineStorage:
    """`ActorStorage` of one generation. Every request carries its number, so a late one of an older generation is refused (ENGINE-167).

    Args:
        databases: What runs the SQL of the host's actors. A thread of it waits for the engine when a page is read for the first time and at
            each commit; one handle serves the runtime and `c.db`.
        budget: Of pages that are kept; one for the host.
        on_dead: Called once, on the loop, when the engine gave the actor to another generation or nobody knows what became of a commit: the
            host ends the generation as lost.
    """

    __slots__ = ("_actor_id", "_budget", "_databases", "_link", "_on_dead", "generation")

    outside = False
    """No row is anywhere else than in the database."""

    def __init__(
        self, link: PageLink, actor_id: str, generation: int, databases: DatabasePool, budget: PageBudget,
        on_dead: Callable[[FencedError], None],
    ) -> None:  # fmt: skip
        self._link = link
        self._actor_id = actor_id
        self.generation = generation
        self._databases = databases
        self._budget = budget
        self._on_dead = on_dead

    async def commit(self, ops: Sequence[Op]) -> None:
        """There is no place for rows outside the database.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("at an engine all rows of an actor are in its database")

    async def get(self, table: str, key: bytes) -> bytes | None:
        """Nothing is outside the database."""
        return None

    async def scan(
        self, table: str, start: bytes = b"", end: bytes | None = None, *, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """Nothing is outside the database."""
        return []

    async def load(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """Nothing is outside the database."""
        return {}

    def has_database(self) -> bool:
        """Every actor has one, whatever its class declares."""
        return True

    async def open_database(self, prepare: Callable[[sqlite3.Connection], None]) -> SqlWorker:
        """Open the database in the pool of the host. It is not closed while it idles: it holds no file of the machine."""
        loop = asyncio.get_running_loop()

        def dead(error: FencedError) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody is left to hear it
                loop.call_soon_threadsafe(self._on_dead, error)

        def connect(*, create: bool = True) -> sqlite3.Connection:  # noqa: ARG001 - of `Connect`
            pages = PageFile(self._link, self._actor_id, self.generation, self._budget, dead)
            # It has of `sqlite3.Connection` what the runtime uses, and shows the same.
            return cast("sqlite3.Connection", EngineConnection(pages, self._actor_id))

        return await self._databases.open(connect, prepare)
