"""The `/connect` protocol on a client socket: actions, subscriptions, events.

Frames are handled in the reader's own turn; only an action that runs and a subscription guard become work of their own. While a guard
runs, later frames of the connection wait for it (EVENT-011).
"""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.connections.hibernation.watermark import Arrival, Watermark
from runtime.actor.connections.ports import ConnOwner
from runtime.actor.connections.sockets import byte_size
from runtime.actor.hook_timeouts import call_limited
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.errors import ActorError, make_error, to_wire
from runtime.protocol.connection_frames import decode_to_server, encode_to_client
from runtime.protocol.decode_errors import ValueTagError
from runtime.protocol.messages import ActionRequest, ActionResponse, ErrorFrame, Init, SubscriptionRequest

if TYPE_CHECKING:
    import asyncio

    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.events import EventFrames, EventHub
    from runtime.actor.connections.hibernation.store import ConnStore
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.declaration.functions import UserFunction
    from runtime.protocol.encodings import Encoding


MAX_UNDER_WAY = 1024
"""Calls of one client that run at once. More of them wait with the client, which is then not read."""


class ActionStarter(Protocol):
    """Where action requests go."""

    def start_action(self, name: str, args: list[Any], conn: Conn, reply: asyncio.Future[Any]) -> None:
        """Admit an action through the dispatch inbox; `reply` gets its outcome (CONN-093).

        Raises:
            ActorError: The inbox is full, or dispatch is refused (CONN-086, CONN-087).
        """


class ClientOwner(ConnOwner, Protocol):
    """The actor that clients talk to."""

    @property
    def actions(self) -> ActionStarter:
        """Its actions."""
        ...


class ClientTable(Protocol):
    """The list that the connection is in."""

    @property
    def max_incoming(self) -> int:
        """The largest frame in bytes that a client may send."""
        ...

    @property
    def max_outgoing(self) -> int:
        """The largest frame in bytes that a client gets."""
        ...

    @property
    def frozen(self) -> bool:
        """No client message is handled any more."""
        ...

    @property
    def deferring(self) -> bool:
        """Action requests are left to the next generation (HIB-045)."""
        ...

    @property
    def events(self) -> EventHub:
        """Who is subscribed to what."""
        ...

    @property
    def store(self) -> ConnStore:
        """Where settled messages and changed subscriptions are noted."""
        ...

    def leave_and_disconnect(self, conn: Conn) -> None:
        """Take the connection off the list and start `on_disconnect`."""


class ClientConnection:
    """Sink of one `/connect` socket. Implements CONN-092..099, EVENT-010..012, HIB-031, HIB-045, WIRE-520..531."""

    def __init__(
        self, owner: ClientOwner, table: ClientTable, conn: Conn, socket: ActorSocket, encoding: Encoding, watermark: int = 0
    ) -> None:
        self.encoding = encoding
        self.socket = socket
        self.watermark = Watermark(watermark)
        self._owner = owner
        self._table = table
        self._conn = conn
        self._waiting: deque[tuple[int, str | bytes]] | None = None
        self._under_way = 0

    # The connection table's side.

    def open(self) -> None:
        """Attach to the client; unacknowledged messages of earlier generations come in at once."""
        self.socket.attach(self, hibernatable=True, watermark=self.watermark.value)

    def send_init(self) -> None:
        """Tell the client that the setup succeeded (WIRE-505)."""
        frame = encode_to_client(Init(self._owner.identity.actor_id, self._conn.id), self.encoding)
        if byte_size(frame) > self._table.max_outgoing:
            self.fail("message.outgoing_too_long")
        else:
            self.socket.send(frame)

    def send_events(self, frames: EventFrames) -> None:
        """Queue one event; one over the limit ends the connection (CONN-098)."""
        if self._conn.removed:
            return
        frame = frames.encode(self.encoding)
        if frame is None:
            self.fail("message.outgoing_too_long")
        else:
            self.socket.send(frame)

    def disconnect(self, reason: str) -> None:
        """Close because of `conn.disconnect` (CONN-070)."""
        self._end(1000, reason)

    def fail(self, reason: str) -> None:
        """Close with 1011 because the protocol cannot go on."""
        self._end(1011, reason)

    # The gateway's side.

    def on_close(self, code: int, reason: str) -> None:
        """The client closed or was lost."""
        self._table.leave_and_disconnect(self._conn)

    def on_message(self, index: int, data: str | bytes) -> None:
        """Handle one frame, or queue it behind a running subscription guard."""
        if self._conn.removed or self._table.frozen:
            return
        # After the look at `frozen`: what is not handled must not count as received, it comes again in the next generation.
        arrival = self.watermark.accept(index)
        if arrival is Arrival.DUPLICATE:
            return
        if arrival is Arrival.GAP:
            self._end(1008, "ws.message_index_skip")
        else:
            self._take(index, data)

    def _take(self, index: int, data: str | bytes) -> None:
        if self._waiting is not None:
            self._waiting.append((index, data))
        else:
            self._handle(index, data)

    def _handle(self, index: int, data: str | bytes) -> None:
        size = byte_size(data)
        if size > self._table.max_incoming:
            self.fail("message.incoming_too_long")
            return
        try:
            message = decode_to_server(data, self.encoding)
        except ValueTagError as exc:
            # The frame itself was readable, so the action can be named in its answer and the connection goes on.
            self._refuse(index, size, exc)
            return
        except ValueError as exc:
            # The client is told; to the actor it is nothing.
            self._owner.log.info("undecodable frame on a connection", conn_id=self._conn.id, error=str(exc))
            self.fail("actor.invalid_request")
            return
        if isinstance(message, ActionRequest):
            self._request_action(index, size, message)
        else:
            self._subscribe(index, size, message)

    # Actions.

    def _request_action(self, index: int, size: int, request: ActionRequest) -> None:
        if self._table.deferring:
            return  # neither answered nor settled: the next generation gets it again (HIB-045)
        reply: asyncio.Future[Any] = self._owner.loop.create_future()
        try:
            self._owner.actions.start_action(request.name, request.args, self._conn, reply)
        except ActorError as exc:
            self._answer_error(request.id, exc)
            self._settle(index, size)
        else:
            self._under_way += 1
            if self._under_way >= MAX_UNDER_WAY:
                self.socket.hold()
            # A callback and no task per action: there is nothing to do before the outcome is known.
            reply.add_done_callback(functools.partial(self._action_done, index, size, request.id))

    def _refuse(self, index: int, size: int, error: ValueTagError) -> None:
        """Arguments with an unknown value tag fail their action only (WIRE-401)."""
        if error.action_id is None:
            self.fail("actor.invalid_request")
        else:
            self._answer_error(error.action_id, error)
            self._settle(index, size)

    def _action_done(self, index: int, size: int, action_id: int, reply: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if self._under_way < MAX_UNDER_WAY and self._waiting is None:
            self.socket.resume()
        error = reply.exception()
        if error is not None:
            if self._table.deferring:
                return  # a failure while going to sleep is retried by the next generation (HIB-045)
            self._answer_error(action_id, error)
        else:
            self._answer_output(action_id, reply.result())
        self._settle(index, size)

    def _answer_output(self, action_id: int, output: Any) -> None:
        if self._conn.removed:
            return
        try:
            frame = encode_to_client(ActionResponse(action_id, output), self.encoding)
        except ValueError as exc:
            self._owner.log.error("action result cannot be sent", conn_id=self._conn.id, error=str(exc))
            self._answer_error(action_id, exc)
            return
        if byte_size(frame) > self._table.max_outgoing:
            # Without the actor's name, unlike errors of the action itself (CONN-098).
            error = to_wire(make_error("message.outgoing_too_long"))
            frame = encode_to_client(ErrorFrame(error, action_id), self.encoding)
        self.socket.send(frame)

    def _answer_error(self, action_id: int, exc: BaseException) -> None:
        if not self._conn.removed:
            error = to_wire(exc, self._owner.identity.specifier)
            self.socket.send(encode_to_client(ErrorFrame(error, action_id), self.encoding))

    # Subscriptions.

    def _subscribe(self, index: int, size: int, request: SubscriptionRequest) -> None:
        name = request.event_name
        # Ending a subscription asks no guard (ACCESS-034).
        if not request.subscribe:
            if self._table.events.unsubscribe(self._conn, name):
                self._table.store.changed(self._conn)
            self._settle(index, size)
            return
        event = self._owner.definition.events.get(name)
        if event is None or event.can_subscribe is None:
            self._admit(index, size, name)
            return
        # Not in this turn, as a guard may be async; until it has answered, later frames wait (EVENT-011).
        self._waiting = deque()
        self.socket.hold()
        if self._owner.work.spawn(WorkKind.WEBSOCKET_CALLBACK, self._guard(index, size, name, event.can_subscribe)) is None:
            self._waiting = None
            self.socket.resume()

    async def _guard(self, index: int, size: int, name: str, can_subscribe: UserFunction) -> None:
        """Ask the guard, apply its answer, then handle what waited (ACCESS-030..032)."""
        context = self._owner.context(conn=self._conn)
        try:
            limit = self._owner.options.on_before_connect_timeout
            admitted = await call_limited(self._owner.work, can_subscribe, (context,), limit, "canSubscribe")
            if not isinstance(admitted, bool):
                raise TypeError(f"can_subscribe of event {name!r} must return a bool, got {admitted!r}")
            if not admitted:
                raise make_error("auth.forbidden")
        except Exception as exc:
            error = to_wire(exc)
            # A refusal is the client's to know; anything else is a fault of the guard, which the client sees only masked (METRIC-070).
            if error.group == "rivetkit":
                self._owner.log.error("subscription guard failed", conn_id=self._conn.id, event_name=name, exc_info=True)
            self.fail(f"{error.group}.{error.code}")
            return
        if not self._conn.removed:
            self._admit(index, size, name)
        # Taken over first: one of the frames may start the next guard, which then collects the rest anew.
        waiting, self._waiting = self._waiting or deque(), None
        while waiting and not self._conn.removed and not self._table.frozen:
            self._take(*waiting.popleft())
        if self._waiting is None and self._under_way < MAX_UNDER_WAY:
            self.socket.resume()

    def _admit(self, index: int, size: int, name: str) -> None:
        if self._table.events.subscribe(self._conn, name):
            self._table.store.changed(self._conn)
        self._settle(index, size)

    def _settle(self, index: int, size: int) -> None:
        self._table.store.settle(self._conn, index, size)

    def _end(self, code: int, reason: str) -> None:
        self.socket.close(code, reason)
        self._table.leave_and_disconnect(self._conn)
