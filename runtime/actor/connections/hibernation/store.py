"""Which hibernatable connections have to be written, and which client messages may be acknowledged for it.

A save source of the `StateSaver`: `collect` gives the rows of a batch, `settled` says what became of it. An acknowledgement never
names an index above the watermark of the last durable batch (HIB-034).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.connections.hibernation import records as conn_records
from runtime.actor.connections.hibernation.records import ConnRecord
from runtime.actor.connections.hibernation.watermark import FORCED_ACK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actor.connections.hibernation.watermark import Watermark
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.storage.base import Op

ACK_DELAY = 4.0
"""Seconds within which a settled message is saved; it has to be acknowledged within 5 (HIB-036)."""


class StoredLink(Protocol):
    """The socket behind a connection."""

    @property
    def socket(self) -> ActorSocket:
        """The client's end."""
        ...

    @property
    def watermark(self) -> Watermark:
        """Which of the client's messages are settled."""
        ...


class StoredConn(Protocol):
    """A connection, as far as its record is concerned."""

    persisted: bool
    """Rows of it may be stored."""
    complete_record: bool
    """Both its rows are stored."""

    @property
    def id(self) -> str:
        """What its rows are called."""
        ...

    @property
    def is_hibernatable(self) -> bool:
        """Whether it has a record at all."""
        ...

    @property
    def removed(self) -> bool:
        """Whether it has ended."""
        ...

    @property
    def link(self) -> StoredLink | None:
        """The socket behind it."""
        ...

    @property
    def subscriptions(self) -> set[str]:
        """The events that it subscribed to."""
        ...

    def stored_values(self) -> tuple[Any, Any]:
        """Its params and state."""
        ...


@dataclass(slots=True)
class _Batch:
    """What one save contains: connections with watermark and covered bytes, and ids of removed ones."""

    written: list[tuple[StoredConn, StoredLink, int, int]] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)


class ConnStore:
    """Dirty and removed connections of one generation. Implements HIB-011, HIB-012, HIB-034, HIB-036, STOP-015.

    Args:
        request_save: Asks the saver for a save within that many seconds, or at its usual pace for None.
        tell: Called when state or subscriptions of a connection changed, whether it is stored or not.
        cannot_write: Called with the id of a connection that has no row, and why.
    """

    def __init__(
        self,
        request_save: Callable[[float | None], None],
        tell: Callable[[], None] = lambda: None,
        cannot_write: Callable[[str, Exception], None] = lambda _conn_id, _error: None,
    ) -> None:
        self._request_save = request_save
        self._tell = tell
        self._cannot_write = cannot_write
        self._dirty: dict[str, StoredConn] = {}
        self._acking: set[str] = set()
        self._removed: set[str] = set()
        self._batch: _Batch | None = None
        self._closed = False

    def close(self) -> None:
        """The generation is over: what leftover code still changes is not saved (SLEEP-055)."""
        self._closed = True

    def changed(self, conn: StoredConn) -> None:
        """State or subscriptions changed: save at the usual pace (CONN-052)."""
        self._tell()
        if not conn.removed and conn.is_hibernatable:
            self._mark(conn, None)

    def removed(self, conn: StoredConn) -> None:
        """The connection ended: its record, if there is one, goes with the next save (HIB-012)."""
        # A connection that was never written needs no deletion, and most end before their first save.
        self._dirty.pop(conn.id, None)
        if conn.persisted:
            self._removed.add(conn.id)
            self._request_save(None)

    def forget(self, conn_id: str) -> None:
        """Drop a record that cannot be used."""
        self._removed.add(conn_id)
        self._request_save(None)

    def settle(self, conn: StoredConn, index: int, size: int) -> None:
        """A client message was handled; save and acknowledge in time (HIB-033, HIB-036)."""
        link = conn.link
        if link is None or conn.removed or not link.watermark.settle(index, size):
            return
        if link.watermark.unacknowledged >= FORCED_ACK_BYTES:
            self._mark(conn, 0.0)
        # One request per batch: the save that it causes covers all that is settled until then.
        elif conn.id not in self._acking:
            self._acking.add(conn.id)
            self._mark(conn, ACK_DELAY)

    def _mark(self, conn: StoredConn, within: float | None) -> None:
        if self._closed:
            return
        self._dirty[conn.id] = conn
        self._request_save(within)

    @property
    def unsaved(self) -> bool:
        """Whether there is anything dirty or removed."""
        return bool(self._dirty or self._removed)

    def collect(self) -> list[Op]:
        """The rows of everything dirty and removed; removal wins."""
        batch = self._batch = _Batch(removed=self._removed)
        # Handed over whole: what changes or ends while the batch is written belongs to the next one.
        dirty, self._dirty, self._removed = self._dirty, {}, set()
        self._acking.clear()
        ops: list[Op] = []
        for conn_id in batch.removed:
            ops.extend(conn_records.delete(conn_id))
        for conn in dirty.values():
            link = conn.link
            if link is None:
                continue
            try:
                rows = _rows(conn, link)
            except Exception as error:
                # It alone stays unwritten and unacknowledged, and is tried again with every save.
                self._dirty[conn.id] = conn
                self._cannot_write(conn.id, error)
                continue
            ops += rows
            conn.persisted = conn.complete_record = True
            # The watermark as it is written: what is settled during the commit is not durable with it (HIB-034).
            batch.written.append((conn, link, link.watermark.value, link.watermark.unacknowledged))
        return ops

    def settled(self, ok: bool) -> None:
        """The batch of the last `collect` is durable, so acknowledge; or it failed, so everything is pending again."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        for conn, link, watermark, size in batch.written:
            if ok:
                link.watermark.acknowledged(size)
                link.socket.acknowledge(watermark)
            elif not conn.removed:
                # What a failed batch left behind is unknown: write both rows again, and remove them in the end.
                conn.complete_record = False
                self._dirty.setdefault(conn.id, conn)
        # Deleting twice does no harm, so what became of the failed deletions need not be known.
        if not ok:
            self._removed |= batch.removed


def _rows(conn: StoredConn, link: StoredLink) -> list[Op]:
    socket = link.socket
    params, state = conn.stored_values()
    record = ConnRecord(
        conn.id, params, state, tuple(conn.subscriptions), socket.gateway_id, socket.request_id, link.watermark.value,
        socket.request,
    )  # fmt: skip
    changing = conn_records.put_changing(record)
    return [changing] if conn.complete_record else [conn_records.put_fixed(record), changing]
