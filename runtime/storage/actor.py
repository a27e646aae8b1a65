"""The storage of one generation of one actor: all that a live actor knows of where its data is kept.

Why bound to the generation and not only to the actor: a store that several processes share refuses writes by generation. Were the number
looked up at the time of the write, a late write of an old generation would carry the new one and pass. So a host makes one of these for
each start, and nothing in the actor can ask it for another generation's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    import sqlite3
    from collections.abc import Callable, Sequence

    from runtime.storage.base import Op

T = TypeVar("T")


class OpenDatabase(Protocol):
    """An open SQLite database: runs functions on its connection, one after another, in the order of submission."""

    def submit(self, function: Callable[[sqlite3.Connection], T], *, control: bool = False) -> asyncio.Future[T]:
        """Queue `function(connection)`; `control` marks the end of a transaction, which must always find room (DB-323).

        Raises:
            DatabaseClosedError: After `fence`.
            ActorError: actor/overloaded when too much waits.
        """
        ...

    def fence(self) -> None:
        """Refuse new work and work that has not started; a running statement may finish (DB-306)."""
        ...

    def interrupt(self) -> None:
        """Make the statement that runs fail; does nothing when none runs."""
        ...

    async def close(self) -> None:
        """Roll back what is open and release the database; closing twice is no error (DB-309).

        Raises:
            TimeoutError: A statement did not end in time (DB-316).
        """
        ...


class ActorStorage(Protocol):
    """Rows and database of one actor, as one generation of it may use them."""

    @property
    def generation(self) -> int:
        """The generation that every write of this object belongs to."""
        ...

    @property
    def outside(self) -> bool:
        """Whether rows may be kept outside the actor's own database; where not, they are in it, whatever its class declares."""
        ...

    async def commit(self, ops: Sequence[Op]) -> None:
        """Apply `ops` in order as one atomic batch; returns when durable. Batches keep their order."""
        ...

    async def get(self, table: str, key: bytes) -> bytes | None:
        """One row's value."""
        ...

    async def scan(
        self, table: str, start: bytes = b"", end: bytes | None = None, *, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """Rows with start <= key < end in key order, at most `limit` of them counted after ordering."""
        ...

    async def load(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """Every row except those of `LAZY_TABLES`, by table, in key order: what a start needs in one read."""
        ...

    def has_database(self) -> bool:
        """Whether there may be a database of the actor. Its rows can be in there even when its class declares none any more."""
        ...

    async def open_database(self, prepare: Callable[[sqlite3.Connection], None]) -> OpenDatabase:
        """Open the actor's own SQLite database.

        Args:
            prepare: Called with the connection where SQL will run, before anything else does; what it raises is raised here and
                nothing stays open.
        """
        ...
