"""The close cycle of a raw socket: listeners, then `on_disconnect`, then one acknowledgement (RAWWS-050..053)."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

from runtime import clock
from runtime.actor.connections.raw.close_ack import CloseAck, CloseInitiator, CloseOutcome
from runtime.actor.lifecycle.work import WorkKind

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.raw.socket import CloseEvent, RawSocket
    from runtime.actor.connections.table import ConnectionTable


class CloseCycle:
    """One cycle. Construct it after the connection left the table, then `start`; `abort` when the generation cannot wait any longer.

    Args:
        socket: Whom to deliver `event` to; None for a stale connection, whose cycle ends `undelivered` (RAWWS-064).
        event: What the close listeners get.
        code, reason: What travelled on the wire.
        disconnect: Whether `on_disconnect` runs; it does not for a hibernatable socket of a destroyed actor (HIB-060).
    """

    def __init__(
        self,
        table: ConnectionTable,
        conn: Conn,
        socket: RawSocket | None,
        *,
        initiator: CloseInitiator,
        event: CloseEvent,
        code: int,
        reason: str,
        disconnect: bool = True,
    ) -> None:
        self.done: asyncio.Future[CloseAck] = asyncio.get_running_loop().create_future()
        self._table = table
        self._conn = conn
        self._socket = socket
        self._initiator = initiator
        self._event = event
        self._code = code
        self._reason = reason
        self._disconnect = disconnect
        self._listeners = 0
        self._failures = 0
        self._started_at = clock.now_ms()

    def start(self) -> None:
        """Run the cycle as work of the actor; without room for more work it is aborted at once."""
        self._table.cycles.add(self)
        if self._table.spawn(WorkKind.WEBSOCKET_CALLBACK, self._run()) is None:
            self.abort()

    def abort(self) -> None:
        """Acknowledge as `aborted` unless the cycle has ended."""
        self._publish(CloseOutcome.ABORTED)

    async def _run(self) -> None:
        try:
            await self._conn.setup_done()
            if self._socket is not None:
                await self._call_listeners(self._socket)
            if self._disconnect:
                with self._table.region(WorkKind.DISCONNECT_CALLBACK):
                    self._failures += not await self._table.run_disconnect_hook(self._conn)
        except asyncio.CancelledError:
            self.abort()
            raise
        if self._socket is None:
            self._publish(CloseOutcome.UNDELIVERED)
        else:
            self._publish(CloseOutcome.FAILED if self._failures else CloseOutcome.SETTLED)

    async def _call_listeners(self, socket: RawSocket) -> None:
        pending: list[Awaitable[object]] = []
        for listener in socket.listeners("close"):
            self._listeners += 1
            try:
                result = listener(self._event)
            except Exception:
                self._failed()
            else:
                if inspect.isawaitable(result):
                    pending.append(result)
        if pending:
            for outcome in await asyncio.gather(*pending, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    self._failed(outcome)

    def _failed(self, error: BaseException | None = None) -> None:
        self._failures += 1
        self._table.log.error("websocket close listener failed", conn_id=self._conn.id, exc_info=error or True)

    def _publish(self, outcome: CloseOutcome) -> None:
        self._table.cycles.discard(self)
        if self.done.done():
            return
        identity = self._table.identity
        ack = CloseAck(
            identity.actor_id, identity.generation, self._conn.id, self._initiator, self._code, self._reason, self._code == 1000,
            self._listeners, self._failures, outcome, self._started_at, clock.now_ms(),
        )  # fmt: skip
        self.done.set_result(ack)
        self._table.publish_close(ack)
