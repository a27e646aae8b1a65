"""The actor's end of a raw WebSocket: delivery to listeners, settling, and what ends the socket.

Why two objects per socket, this one and the `RawSocket` of user code: the gateway and the connection table need methods that user code
must not have, and user code keeps its object beyond the end of the generation.
"""

from __future__ import annotations

import inspect
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.connections.hibernation.watermark import Arrival, Watermark
from runtime.actor.connections.raw.close_ack import CloseInitiator
from runtime.actor.connections.raw.close_cycle import CloseCycle, CycleTable
from runtime.actor.connections.raw.socket import CloseEvent, ErrorEvent, MessageEvent, RawSocket
from runtime.actor.connections.sockets import byte_size
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.errors import contained, to_wire

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.hibernation.store import ConnStore
    from runtime.actor.connections.ports import ConnOwner
    from runtime.actor.connections.raw.close_ack import CloseAck
    from runtime.actor.connections.sockets import ActorSocket

TRANSPORT_BROKE = "ws.downstream_closed"
PROBE = "__rivetkitTestHibernatableAckStateV1"
MAX_HELD_MESSAGES = 4096
MAX_HELD_BYTES = 32 * 1024 * 1024
"""What waits for the handler of one socket, unless the client's end keeps and bounds it anyway. As much as one message may have."""
MAX_UNDER_WAY = 1024
"""Asynchronous listeners of one socket that run at once. More messages wait with the client, which is then not read."""
OVERFLOW = "guard.websocket_pending_limit_reached"
_PROBE_TEXT = json.dumps({PROBE: True}, separators=(",", ":"))


class LinkTable(CycleTable, Protocol):
    """The list that the connection is in."""

    @property
    def frozen(self) -> bool:
        """No client message is handled any more."""
        ...

    @property
    def ended(self) -> bool:
        """The generation is over; nothing reaches a client."""
        ...

    @property
    def store(self) -> ConnStore:
        """Where settled messages are noted."""
        ...

    def leave(self, conn: Conn) -> bool:
        """Take the connection off the list."""
        ...


class RawLink:
    """Sink of one raw `ClientSocket` and owner of the `RawSocket` that user code sees.

    Messages are held until the handler has ended or has registered a message listener (RAWWS-005, HIB-053).
    """

    def __init__(self, owner: ConnOwner, table: LinkTable, conn: Conn, socket: ActorSocket, watermark: int = 0) -> None:
        self.closed = False
        self.socket = socket
        self.watermark = Watermark(watermark)
        self.api = RawSocket(self, conn)
        self._owner = owner
        self._table = table
        self._conn = conn
        self._held: deque[tuple[int, str | bytes]] | None = deque()
        self._held_bytes = 0
        self._under_way = 0
        # Only in a process under test: anywhere else that text is a message like any other (WIRE-632).
        self._probed = owner.answers_probes
        self._cycle: CloseCycle | None = None
        self._closed_waiters: list[asyncio.Future[CloseAck]] = []

    @property
    def encoding(self) -> None:
        """Raw sockets carry no events."""
        return None

    # The connection table's side.

    def open(self) -> None:
        """Attach to the client and run `on_web_socket` as work of the actor, if there is one."""
        handler = "on_web_socket" in self._owner.definition.hooks
        if not handler:
            self._held = None
        # Attaching may deliver kept messages, or the close of a client that went away during the setup (CONN-018).
        self.socket.attach(self, hibernatable=self._conn.is_hibernatable, watermark=self.watermark.value)
        if handler and not self.closed:
            self._owner.work.spawn(WorkKind.WEBSOCKET_CALLBACK, self._run_handler())

    def send_events(self, frames: object) -> None:
        """Raw sockets carry no events (CONN-003)."""
        self._owner.log.debug("event for a raw websocket dropped", conn_id=self._conn.id)

    def disconnect(self, reason: str) -> None:
        """Close because of `conn.disconnect` (CONN-072)."""
        self.end(CloseInitiator.DISCONNECT, 1000, reason)

    def end(self, initiator: CloseInitiator, code: int, reason: str, event: CloseEvent | None = None, *, disconnect: bool = True) -> None:
        """Close towards the client and start the close cycle; only the first end counts (RAWWS-050, RAWWS-067)."""
        if self.closed:
            return
        self.closed = True
        self._held = None
        # The client sees its close at once; what the actor does about it comes after (RAWWS-067).
        self.socket.close(code, reason)
        self._table.leave(self._conn)
        self._cycle = CloseCycle(
            self._owner, self._table, self._conn, self.api,
            initiator=initiator, event=event or CloseEvent(code, reason), code=code, reason=reason, disconnect=disconnect,
        )  # fmt: skip
        for waiter in self._closed_waiters:
            _forward(self._cycle.done, waiter)
        self._cycle.start()

    # The gateway's side.

    def on_message(self, index: int, data: str | bytes) -> None:
        """Deliver or hold one client message."""
        if self.closed or self._table.frozen:
            return
        # Other sockets get each message once, as it comes: nobody replays, so there is nothing to compare.
        if self._conn.is_hibernatable:
            arrival = self.watermark.accept(index)
            if arrival is Arrival.DUPLICATE:
                return
            if arrival is Arrival.GAP:
                self.end(CloseInitiator.ERROR, 1008, "ws.message_index_skip")
                return
        if self._held is None:
            self._deliver(index, data)
        elif self._has_room(data):
            self._held.append((index, data))
        else:
            self._owner.log.warning("websocket handler listens too late", conn_id=self._conn.id, held=len(self._held))
            self.end(CloseInitiator.ERROR, 1011, OVERFLOW)

    def _has_room(self, data: str | bytes) -> bool:
        """Whether one more message may be held; nothing bounds how long a handler takes to register its listener."""
        # Those of a hibernatable socket are kept until they are acknowledged, held or not, and counted there.
        if self._conn.is_hibernatable:
            return True
        assert self._held is not None
        self._held_bytes += byte_size(data)
        return not self._held or (len(self._held) < MAX_HELD_MESSAGES and self._held_bytes <= MAX_HELD_BYTES)

    def on_close(self, code: int, reason: str) -> None:
        """The client closed or was lost."""
        if not self.closed and (code, reason) == (1011, TRANSPORT_BROKE):
            for listener in self.api.listeners("error"):
                self._invoke(listener, ErrorEvent("The connection to the client broke."), "error")
        self.end(CloseInitiator.CLIENT, code, reason)

    # The user's side, through `RawSocket`.

    def send(self, data: str | bytes) -> None:
        """Queue one message to the client."""
        if self.closed or self._table.ended:
            self._owner.log.debug("message for a closed websocket dropped", conn_id=self._conn.id)
        else:
            self.socket.send(data)

    def close(self, code: int, reason: str) -> None:
        """Close on behalf of user code."""
        self.end(CloseInitiator.ACTOR, code, reason)

    def listener_added(self) -> None:
        """A message listener exists: release held messages once the running code has had its turn."""
        # Not at once: more listeners may follow in the same turn, and the first message is for them, too (RAWWS-005, HIB-053).
        if self._held is not None:
            self._owner.loop.call_soon(self._release)

    async def wait_closed(self) -> CloseAck:
        """The acknowledgement of the close cycle."""
        waiter: asyncio.Future[CloseAck] = self._owner.loop.create_future()
        if self._cycle is not None:
            _forward(self._cycle.done, waiter)
        else:
            self._closed_waiters.append(waiter)
        return await waiter

    async def _run_handler(self) -> None:
        context = self._owner.context(conn=self._conn, request=self.socket.request)
        try:
            await self._owner.call_hook("on_web_socket", context, self.api, timeout=None, label="onWebSocket")
        except Exception as exc:
            self._owner.log.error("websocket handler failed", conn_id=self._conn.id, exc_info=True)
            error = to_wire(exc)
            # The client is told the error, listeners are not: to them it is a plain close (RAWWS section 4.4).
            self.end(CloseInitiator.ERROR, 1011, f"{error.group}.{error.code}", CloseEvent(1000, ""))
        else:
            self._release()

    def _release(self) -> None:
        while self._held and not self._table.frozen:
            index, data = self._held.popleft()
            self._deliver(index, data)
        self._held = None

    def _deliver(self, index: int, data: str | bytes) -> None:
        if self._probed and self._conn.is_hibernatable and data == _PROBE_TEXT:
            self._answer_probe(index)
            return
        event = MessageEvent(data, index)
        for listener in self.api.listeners("message"):
            self._invoke(listener, event, "message")
        # Now, and not when they have ended (HIB-033): a slow one would hold up the watermark of all later messages.
        if self._conn.is_hibernatable:
            self._table.store.settle(self._conn, index, byte_size(data))

    def _invoke(self, listener: Callable[[Any], Any], event: object, kind: str) -> None:
        try:
            result = listener(event)
        except BaseException as error:
            self._owner.log.error("websocket listener failed", conn_id=self._conn.id, kind=kind, exc_info=contained(error))
            return
        if inspect.isawaitable(result):
            self._spawn_listener(result, kind)

    def _spawn_listener(self, result: Awaitable[object], kind: str) -> None:
        if self._owner.work.spawn(WorkKind.WEBSOCKET_CALLBACK, self._finish_listener(result, kind)) is not None:
            self._under_way += 1
            if self._under_way >= MAX_UNDER_WAY:
                self.socket.hold()

    async def _finish_listener(self, result: Awaitable[object], kind: str) -> None:
        try:
            await result
        except BaseException as error:
            self._owner.log.error("websocket listener failed", conn_id=self._conn.id, kind=kind, exc_info=contained(error))
        finally:
            self._under_way -= 1
            if self._under_way < MAX_UNDER_WAY:
                self.socket.resume()

    def _answer_probe(self, index: int) -> None:
        # The probe reports on the messages before it, and is itself settled at once: it must not show up as pending.
        pending = [number for number in self.socket.pending_indexes() if number != index]
        handled, acknowledged = self.watermark.value, self._last_acknowledged(pending)
        self._table.store.settle(self._conn, index, 0)
        answer = {PROBE: True, "lastSentIndex": handled, "lastAckedIndex": acknowledged, "pendingIndexes": pending}
        self.socket.send(json.dumps(answer, separators=(",", ":")))

    def _last_acknowledged(self, pending: Sequence[int]) -> int:
        return (pending[0] - 1) & 0xFFFF if pending else self.watermark.value


def _forward(done: asyncio.Future[CloseAck], waiter: asyncio.Future[CloseAck]) -> None:
    done.add_done_callback(lambda future: None if waiter.done() else waiter.set_result(future.result()))
