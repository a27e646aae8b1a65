"""The connection around one action call, queue send or raw request over HTTP.

Why a class of its own: this is on the path of every call over HTTP. `@asynccontextmanager` would read better, but costs a generator, its
wrapper and two more awaits per call, and throws what the call raised through the frame of that generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.connections.connection import Conn, ConnHome, new_conn_id

if TYPE_CHECKING:
    from runtime.actor.connections.setup import Setup
    from runtime.http import Request


class TransientTable(ConnHome, Protocol):
    """The list that the connection is in as long as its call runs."""

    @property
    def setup(self) -> Setup:
        """The pipeline."""
        ...

    def enter_plain(self, conn: Conn, params: Any) -> None:
        """List a connection whose setup has nothing to run."""

    def leave_and_disconnect(self, conn: Conn) -> None:
        """Take it off the list and start `on_disconnect`."""


class Transient:
    """Asynchronous context manager: entering runs the pipeline, leaving ends the connection and starts `on_disconnect`.

    Entering raises what the pipeline raised; then there is nothing to leave. Implements CONN-001, CONN-061, RAWHTTP-013.
    """

    __slots__ = ("_conn", "_params", "_request", "_table")

    def __init__(self, table: TransientTable, params: Any, request: Request | None) -> None:
        self._table = table
        self._params = params
        self._request = request
        self._conn = Conn(table, new_conn_id())

    async def __aenter__(self) -> Conn:
        setup = self._table.setup
        if setup.plain:
            # Most actors: no coroutine for a pipeline that has nothing to do.
            self._table.enter_plain(self._conn, self._params)
        else:
            await setup.run(self._conn, self._params, self._request)
        return self._conn

    async def __aexit__(self, *_: object) -> None:
        self._table.leave_and_disconnect(self._conn)
