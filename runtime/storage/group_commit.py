"""Batches of several callers in one transaction: the way in and out of it, and what becomes of one that cannot be stored."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

B = TypeVar("B")


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that holds the lock for writing from its beginning; rolled back when the block or the COMMIT raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors have ended it already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def isolated(batches: Sequence[B], transaction: Callable[[Sequence[B]], None]) -> list[BaseException | None]:
    """Store all batches in one transaction, else one by one; what each failed with, or None."""
    try:
        transaction(batches)
    except Exception as error:
        if len(batches) == 1:
            return [error]
        # In the same order: only the batch that cannot be stored fails, and later ones do not overtake.
        return [outcome for batch in batches for outcome in isolated([batch], transaction)]
    return [None] * len(batches)


def settle(waiting: Iterable[asyncio.Future[None]], outcomes: Iterable[BaseException | None]) -> None:
    """Tell each caller what became of its batch."""
    for done, error in zip(waiting, outcomes, strict=True):
        # The caller was cancelled; its batch is durable all the same.
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
