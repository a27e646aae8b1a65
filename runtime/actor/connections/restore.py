"""Hibernatable connections across a wake: reconcile records with open sockets, then re-attach (HIB-050..059).

Why two phases: the startup hooks must see the connections (HIB-050), and no message may be handled nor hook of a connection run before
the startup hooks are through. So `load` lists, and `resume` lets things happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.actor.connections.client_protocol import ClientConnection, ClientOwner, ClientTable
from runtime.actor.connections.connect_or_raw import connect_encoding, is_connect
from runtime.actor.connections.connection import Conn, ConnHome
from runtime.actor.connections.hibernation import records as conn_records
from runtime.actor.connections.raw.close_ack import CloseInitiator
from runtime.actor.connections.raw.close_cycle import CloseCycle
from runtime.actor.connections.raw.link import LinkTable, RawLink
from runtime.actor.connections.raw.socket import CloseEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.actor.connections.hibernation.records import ConnRecord
    from runtime.actor.connections.sockets import ActorSocket

STALE_REASON = "ws.stale_metadata"


class RestoreTable(ConnHome, ClientTable, LinkTable, Protocol):
    """The list that the connections get back into."""

    def enter_restored(self, conn: Conn) -> None:
        """List a connection that is as it was stored."""


class Restore:
    """What a generation found at its start: connections to re-attach and connections whose client is gone."""

    def __init__(self, owner: ClientOwner, table: RestoreTable) -> None:
        self._owner = owner
        self._table = table
        self._attaching: list[tuple[Conn, ClientConnection | RawLink]] = []
        self._stale: list[tuple[Conn, bool]] = []

    def load(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]], sockets: Sequence[ActorSocket]) -> None:
        """List every connection whose client is still there; drop the records of all others. Runs before the startup hooks."""
        waiting = {socket.key: socket for socket in sockets}
        records, broken = conn_records.load(rows)
        # Half a record has no params or no watermark to go on with; kept, it would be found again at every start.
        for conn_id in broken:
            self._table.store.forget(conn_id)
        for record in records:
            socket = waiting.pop((record.gateway_id, record.request_id), None)
            if socket is None:
                self._lose(self._rebuild(record), record)
            else:
                self._regain(self._rebuild(record), record, socket)
        for socket in waiting.values():
            socket.close(1000, "ws.meta_not_found_during_restore")

    def resume(self) -> None:
        """After the startup hooks: attach, which replays, and run the disconnects of lost connections."""
        attaching, self._attaching = self._attaching, []
        for conn, link in attaching:
            # A startup hook may have disconnected it.
            if conn.removed:
                continue
            # Or the client left while the hooks ran: then no socket can deliver the close, so it counts as closed while asleep (HIB-056).
            if link.socket.closed:
                self._table.leave(conn)
                self._stale.append((conn, isinstance(link, RawLink)))
            else:
                link.open()
        stale, self._stale = self._stale, []
        for conn, raw in stale:
            if raw:
                self._start_stale_cycle(conn)
            else:
                self._table.disconnects.start(conn)

    def _start_stale_cycle(self, conn: Conn) -> None:
        """Each raw socket owes one close cycle, also one that there is no object for any more (RAWWS-050, RAWWS-064)."""
        event = CloseEvent(1000, STALE_REASON)
        CloseCycle(
            self._owner, self._table, conn, None,
            initiator=CloseInitiator.STALE, event=event, code=event.code, reason=event.reason,
        ).start()  # fmt: skip

    def _rebuild(self, record: ConnRecord) -> Conn:
        conn = Conn(self._table, record.conn_id, hibernatable=True)
        conn.persisted = conn.complete_record = True
        conn.adopt(record.params, self._table.track_state(conn, record.state, initial=True))
        return conn

    def _lose(self, conn: Conn, record: ConnRecord) -> None:
        # Never listed: its client is gone, but its `on_disconnect` gets the restored connection (HIB-055).
        conn.removed = True
        self._table.store.removed(conn)
        self._stale.append((conn, not is_connect(record.request.url)))

    def _regain(self, conn: Conn, record: ConnRecord, socket: ActorSocket) -> None:
        link: ClientConnection | RawLink
        socket.restored(record.request)
        if is_connect(record.request.url):
            encoding = connect_encoding(socket.upgrade)
            if encoding is None:
                socket.close(1011, "ws.restore_error")
                self._lose(conn, record)
                return
            link = ClientConnection(self._owner, self._table, conn, socket, encoding, record.index)
        else:
            link = RawLink(self._owner, self._table, conn, socket, record.index)
        conn.link = link
        # Not through the client protocol: declared guards admitted these subscriptions when they were made (EVENT-017).
        for name in record.subscriptions:
            self._table.events.subscribe(conn, name)
        self._table.enter_restored(conn)
        self._attaching.append((conn, link))
