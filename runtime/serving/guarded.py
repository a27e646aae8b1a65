"""What both HTTP protocols of the server share: they refuse with an answer, let it through, and hand WebSockets over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from websockets.datastructures import Headers
from websockets.http11 import Request

from runtime.gateway.asgi import CONNECTION
from runtime.serving.config import ServingConfig
from runtime.serving.heads import upgrade_fault
from runtime.serving.open_connections import OpenConnections
from runtime.serving.progress import Doing, Progress
from runtime.serving.refusals import FAILED, MALFORMED, NO_ROOM, TOO_MUCH_BETWEEN, TOO_SLOW, Refusal
from runtime.serving.transport import LingeringTransport

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

    from runtime.serving.heads import HeaderList
    from runtime.serving.limits import ServerLimits

SWITCHING = 101
LINGER = 5.0
"""Seconds in which what still arrives is dropped, so that the client gets to read why it was refused."""

MOST_DROPPED = 64 * 1024
"""Bytes of a body that nobody wants which are read nevertheless, so that the connection can be kept."""
BETWEEN_CHUNKS = 64 * 1024
BYTES_PER_BYTE = 16
"""What extensions of chunks and trailers may be, together, and in addition for each byte of the body itself."""


class Guarded:
    """A mixin before one of uvicorn's HTTP protocols. It knows the limits, and the parser knows where in a message it is."""

    # Of the present body, in bytes: what arrived, with what is between chunks; the body itself; and what arrived after the answer.
    received = 0
    body_size = 0
    _surplus = 0

    if TYPE_CHECKING:
        config: Any
        loop: AbstractEventLoop
        server_state: ServerState
        app_state: dict[str, Any]
        cycle: Any
        flow: FlowControl
        transport: Any
        client: tuple[str, int] | None
        connections: set[Any]
        ws_protocol_class: Any

        def _unset_keepalive_if_required(self) -> None: ...

    def __init__(self, config: Any, server_state: ServerState, app_state: dict[str, Any], _loop: AbstractEventLoop | None = None) -> None:
        super().__init__(config, server_state, app_state, _loop)  # type: ignore[call-arg]
        assert isinstance(config, ServingConfig)
        self.limits: ServerLimits = config.limits
        assert isinstance(server_state.connections, OpenConnections)
        self.others: OpenConnections = server_state.connections
        # Nothing that arrives is looked at any more.
        self.deaf = False
        self._progress = Progress()
        self.on_loss: Callable[[], object] | None = None
        self.lifespan_state = app_state
        self.app_state = {**app_state, CONNECTION: self}

    # What the parser knows.

    def _in_body(self) -> bool:
        """Whether the body of a request is still arriving."""
        raise NotImplementedError

    def _owes_answers(self) -> bool:
        """Whether requests before the one that arrives wait for their answers."""
        raise NotImplementedError

    def _head_begun(self) -> bool:
        """Whether a part of a head is there."""
        raise NotImplementedError

    # What happens on the connection.

    def connection_made(self, transport: Any) -> None:
        """A client is there, if there is room for it."""
        super().connection_made(LingeringTransport(transport, self))  # type: ignore[misc]
        if self.others.address_of(self) or self.others.admit(self, self.client[0] if self.client else "here"):
            return
        self.deaf = True
        self.others.discard(self)
        transport.write(NO_ROOM.to_bytes())
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)  # type: ignore[misc]
        self._tell_loss()
        # What refers to itself waits for a collection, and a crowd that leaves would make that a long one.
        self.app_state = self.lifespan_state
        self.transport.owner = None

    def eof_received(self) -> bool:
        """The client sends no more. Most that do so have gone; some wait for the answer to what they sent, and get it."""
        cycle = self.cycle
        if self.deaf or cycle is None or cycle.response_complete or self._in_body() or self._head_begun():
            return False
        self._tell_loss()
        cycle.keep_alive = False
        return True

    def _tell_loss(self) -> None:
        on_loss, self.on_loss = self.on_loss, None
        if on_loss is not None and self.cycle is not None and not self.cycle.response_complete:
            on_loss()

    @property
    def lost(self) -> bool:
        """Whether nothing can be sent any more."""
        return bool(self.transport.is_closing())

    def fail(self) -> None:
        """Answer 500: the server would not send what the application answered."""
        self.cycle.disconnected = True
        self.transport.write(FAILED.to_bytes())
        self.linger()

    @property
    def unread(self) -> bool:
        """Whether bytes that nobody will look at may be on their way."""
        return self.deaf or self._in_body()

    @property
    def idle(self) -> bool:
        """Whether the connection can go without anybody losing an answer."""
        if self.transport.raw.get_write_buffer_size():
            return False
        return self.cycle is None or (self.cycle.response_complete and not self._in_body())

    def look(self, now: float) -> None:
        """From time to time: end what has taken too long."""
        waiting = self.transport.raw.get_write_buffer_size()
        # Also of a connection that is being closed: it is there until its client took what was sent.
        if self.deaf and not waiting:
            return
        cycle = self.cycle
        if waiting:
            doing, done = Doing.TAKING, -waiting
        elif self._in_body():
            # Not while it is us who do not read.
            doing, done = (Doing.NOTHING if self.flow.read_paused else Doing.BODY), self.received
        elif cycle is not None and not cycle.response_complete:
            doing, done = Doing.NOTHING, 0
        else:
            doing, done = (Doing.HEAD if self._head_begun() else Doing.CONNECTED if cycle is None else Doing.IDLE), 0
        if not self._progress.too_slow(doing, cycle, done, now, self.limits):
            return
        if doing is Doing.TAKING:
            self.transport.abort()
        elif doing in (Doing.HEAD, Doing.BODY):
            self.refuse(TOO_SLOW)
        else:
            self.transport.raw.close()

    def _arrived_in_vain(self, size: int) -> bool:
        """Whether bytes of a body are of no use: nobody reads it any more, or it is hardly one."""
        if self.cycle is not None and self.cycle.response_complete:
            self._surplus += size
            if self._surplus > MOST_DROPPED:
                self.transport.close()
                return True
        elif self.received - self.body_size > BETWEEN_CHUNKS + BYTES_PER_BYTE * self.body_size:
            self.refuse(TOO_MUCH_BETWEEN)
            return True
        return False

    def refuse(self, refusal: Refusal) -> None:
        """Answer what is no request, or one that is too large, and end the connection."""
        if self.deaf:
            return
        cycle = self.cycle
        if self._owes_answers():
            # A refusal now would be taken for the answer to an earlier request: the connection ends after that one.
            self.deaf = True
            cycle.keep_alive = False
            return
        if cycle is not None and not cycle.response_complete:
            # The application learns that the rest of the body will not come.
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        self.transport.write(refusal.to_bytes())
        self.linger()

    def linger(self) -> None:
        """End the connection, but not before the client can have read the last answer: a reset would take it away."""
        self.deaf = True
        self._unset_keepalive_if_required()
        transport: LingeringTransport = self.transport
        transport.end()
        self.flow.resume_reading()
        self.loop.call_later(LINGER, transport.raw.close)

    def shutdown(self) -> None:
        """The server ends."""
        if self.deaf:
            self.transport.raw.close()
            return
        super().shutdown()  # type: ignore[misc]

    def send_400_response(self, msg: str) -> None:
        """What the parser does not understand."""
        self.refuse(MALFORMED)

    def _unsupported_upgrade_warning(self) -> None:
        # Said by any client that prefers HTTP/2, and no fault.
        return

    def _upgrade(self, method: bytes, target: bytes, version: bytes, headers: HeaderList) -> None:
        """Hand the connection over to the WebSocket protocol, or refuse.

        uvicorn writes the head anew and has `websockets` parse it, whose limits are others, and what those refuse is never answered.
        """
        if self._owes_answers():
            self.refuse(MALFORMED)
            return
        refusal = upgrade_fault(method, version, headers)
        if refusal is not None:
            self.refuse(refusal)
            return
        head = Headers()
        try:
            for name, value in headers:
                head[name.decode("latin-1")] = value.decode("latin-1")
        except ValueError:
            self.refuse(MALFORMED)
            return
        request = Request(target.decode("latin-1"), head)
        protocol = self.ws_protocol_class(config=self.config, server_state=self.server_state, app_state=self.lifespan_state)
        # Asked beforehand: a handshake that fails over there closes at once, and unread frames behind it would reset its answer away.
        answer = protocol.conn.accept(request)
        if answer.status_code != SWITCHING:
            self.refuse(Refusal(answer.status_code, answer.body.decode().strip()))
            return
        address = self.others.address_of(self)
        self.others.discard(self)
        raw = self.transport.raw
        self.others.follow(protocol, address)
        protocol.connection_made(raw)
        raw.set_protocol(protocol)
        protocol.handle_connect(request)
