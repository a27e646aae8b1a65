"""The close cycle of a raw socket: listeners, then `on_disconnect`, then one acknowledgement (RAWWS-050..053).

Why a cycle and not two independent callbacks: the client saw the close long before (RAWWS-067), so whoever checks what listeners and hook
wrote needs one moment at which both are done, and their order fixed.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Protocol

from runtime import clock
from runtime.actor.connections.raw.close_ack import CloseAck, CloseInitiator, CloseOutcome
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.errors import awaited, contained

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.disconnect import DisconnectHook
    from runtime.actor.connections.ports import ConnOwner
    from runtime.actor.connections.raw.socket import CloseEvent, RawSocket


class CycleTable(Protocol):
    """The connections that a cycle belongs to."""

    @property
    def cycles(self) -> set[CloseCycle]:
        """The cycles under way; the stop waits for them (RAWWS-065)."""
        ...

    @property
    def disconnects(self) -> DisconnectHook:
        """How `on_disconnect` runs."""
        ...

    def publish_close(self, ack: CloseAck) -> None:
        """Make the acknowledgement known."""


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
        owner: ConnOwner,
        table: CycleTable,
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
        self._owner = owner
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
        if self._owner.work.spawn(WorkKind.WEBSOCKET_CALLBACK, self._run()) is None:
            self.abort()

    def abort(self) -> None:
        """Acknowledge as `aborted` unless the cycle has ended."""
        self._publish(CloseOutcome.ABORTED)

    async def _run(self) -> None:
        try:
            # The client may close while `on_connect` runs; hooks of one connection never overlap (CONN-016).
            await self._conn.setup_done()
            if self._socket is not None:
                await self._call_listeners(self._socket)
            if self._disconnect:
                with self._owner.work.region(WorkKind.DISCONNECT_CALLBACK):
                    self._failures += not await self._table.disconnects.run(self._conn)
        except asyncio.CancelledError:
            # The grace deadline: the final save waits for an acknowledgement, whatever it says (RAWWS-065).
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
            except BaseException as error:
                self._failed(contained(error))
            else:
                if inspect.isawaitable(result):
                    pending.append(awaited(result))
        # All are called before any is awaited, and all are awaited, however one of them ends (RAWWS-051, RAWWS-053).
        if pending:
            for outcome in await asyncio.gather(*pending, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    self._failed(outcome)

    def _failed(self, error: BaseException) -> None:
        self._failures += 1
        self._owner.log.error("websocket close listener failed", conn_id=self._conn.id, exc_info=error)

    def _publish(self, outcome: CloseOutcome) -> None:
        self._table.cycles.discard(self)
        # `freeze` aborts cycles whose tasks are cancelled later: the first word counts.
        if self.done.done():
            return
        identity = self._owner.identity
        ack = CloseAck(
            identity.actor_id, identity.generation, self._conn.id, self._initiator, self._code, self._reason, self._code == 1000,
            self._listeners, self._failures, outcome, self._started_at, clock.now_ms(),
        )  # fmt: skip
        self.done.set_result(ack)
        self._table.publish_close(ack)
