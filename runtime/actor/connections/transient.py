"""The connection around one action call, queue send or raw request over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.actor.connections.connection import Conn, new_conn_id
from runtime.actor.connections.setup import set_up

if TYPE_CHECKING:
    from runtime.actor.connections.table import ConnectionTable
    from runtime.http import Request


class Transient:
    """Asynchronous context manager: entering runs the pipeline, leaving ends the connection and starts `on_disconnect`.

    Entering raises what the pipeline raised; then there is nothing to leave. Implements CONN-001, CONN-061, RAWHTTP-013.
    """

    __slots__ = ("_conn", "_params", "_request", "_table")

    def __init__(self, table: ConnectionTable, params: Any, request: Request | None) -> None:
        self._table = table
        self._params = params
        self._request = request
        self._conn = Conn(table, new_conn_id())

    async def __aenter__(self) -> Conn:
        if self._table.plain:
            self._table.enter_plain(self._conn, self._params)
        else:
            await set_up(self._table, self._conn, self._params, self._request)
        return self._conn

    async def __aexit__(self, *_: object) -> None:
        self._table.leave_and_disconnect(self._conn)
