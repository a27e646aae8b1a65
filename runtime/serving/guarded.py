"""What both HTTP protocols of the server share: they refuse with an answer, let it through, and hand WebSockets over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from websockets.datastructures import Headers
from websockets.http11 import Request

from runtime.serving.config import ServingConfig
from runtime.serving.heads import upgrade_fault
from runtime.serving.refusals import MALFORMED, Refusal
from runtime.serving.transport import LingeringTransport

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

    from runtime.serving.heads import HeaderList
    from runtime.serving.limits import ServerLimits

LINGER = 5.0
"""Seconds in which what still arrives is dropped, so that the client gets to read why it was refused."""


class Guarded:
    """A mixin before one of uvicorn's HTTP protocols. It knows the limits, and the parser knows where in a message it is."""

    if TYPE_CHECKING:
        config: Any
        loop: AbstractEventLoop
        server_state: ServerState
        app_state: dict[str, Any]
        cycle: Any
        flow: FlowControl
        transport: Any
        connections: set[Any]
        ws_protocol_class: Any

        def _unset_keepalive_if_required(self) -> None: ...

    def __init__(self, config: Any, server_state: ServerState, app_state: dict[str, Any], _loop: AbstractEventLoop | None = None) -> None:
        super().__init__(config, server_state, app_state, _loop)  # type: ignore[call-arg]
        assert isinstance(config, ServingConfig)
        self.limits: ServerLimits = config.limits
        # Nothing that arrives is looked at any more.
        self.deaf = False

    # What the parser knows.

    def _in_body(self) -> bool:
        """Whether the body of a request is still arriving."""
        raise NotImplementedError

    def _owes_answers(self) -> bool:
        """Whether requests before the one that arrives wait for their answers."""
        raise NotImplementedError

    # What happens on the connection.

    def connection_made(self, transport: Any) -> None:
        """A client is there."""
        super().connection_made(LingeringTransport(transport, self))  # type: ignore[misc]

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
        self.connections.discard(self)
        raw = self.transport.raw
        protocol = self.ws_protocol_class(config=self.config, server_state=self.server_state, app_state=self.app_state)
        protocol.connection_made(raw)
        raw.set_protocol(protocol)
        protocol.handle_connect(Request(target.decode("latin-1"), head))
