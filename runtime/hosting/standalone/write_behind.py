"""Write-behind of the host's own rows (actor records, namespaces).

Rows that change while one batch is being written share the next one, so that a burst of creations costs a few commits. A row object
encodes itself when its batch is built: changing it twice before that costs one write.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from runtime.storage.base import HOST_SCOPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.storage.base import Op, Storage

log = structlog.get_logger(__name__)


class Row(Protocol):
    """Something durable that belongs to the host; compared by identity."""

    def ops(self) -> Sequence[Op]:
        """The writes that make the row's present value durable."""
        ...


class WriteBehind:
    """Collects changed rows and commits them in order, one batch at a time."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._dirty: dict[Row, None] = {}
        self._batch: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    def mark(self, row: Row) -> asyncio.Future[None]:
        """Note that `row` changed; it is written soon. A failed write is logged and repeated with the next batch.

        Returns:
            A shared future of the batch the row is in; shield it when waiting.
        """
        self._dirty[row] = None
        if self._writer is None:
            loop = asyncio.get_running_loop()
            self._batch = loop.create_future()
            self._writer = loop.create_task(self._write())
        assert self._batch is not None
        return self._batch

    async def save(self, row: Row) -> None:
        """Return when the present value of `row` is durable; raises what the storage raised."""
        # One waiter that is cancelled must not take the batch from all the others.
        await asyncio.shield(self.mark(row))

    def forget(self, row: Row) -> None:
        """Do not write `row` any more (its creation failed)."""
        self._dirty.pop(row, None)

    async def close(self) -> None:
        """Write what is left."""
        if self._dirty and self._writer is None:
            self.mark(next(iter(self._dirty)))
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        try:
            while self._dirty:
                # Swapped before the write: a row that changes meanwhile belongs to the next batch, with its newer value.
                rows, self._dirty = self._dirty, {}
                batch = self._batch
                assert batch is not None
                self._batch = asyncio.get_running_loop().create_future()
                try:
                    await self._storage.commit(HOST_SCOPE, [op for row in rows for op in row.ops()])
                except Exception as error:
                    log.exception("host rows could not be written", rows=len(rows))
                    fresh, self._dirty = self._dirty, rows | self._dirty
                    batch.set_exception(error)
                    batch.exception()  # most batches have no waiter: marked as seen
                    # Again with the next change and not at once: a full disk would make this a loop.
                    if not fresh:
                        return
                else:
                    batch.set_result(None)
        finally:
            self._writer = None
