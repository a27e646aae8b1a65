"""uvicorn's protocols, made to fit: HTTP takes every method, WebSockets name why they close on text that is not UTF-8.

llhttp (httptools) parses only methods it knows and answers 400 to others; actors must get custom ones too (WIRE-342). h11 takes any
token, but measured 8-10k requests/s where httptools does 18-32k. So a connection starts on httptools and moves to h11 for good when a
request begins with a method llhttp does not know, or with a target its URL parser refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from runtime.errors import make_error

if TYPE_CHECKING:
    import asyncio

FAST_METHODS = frozenset({b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS"})
_STARTS = tuple(method + b" /" for method in FAST_METHODS)
_DOUBLE_SLASH = tuple(start + b"/" for start in _STARTS)


class AnyMethodProtocol(HttpToolsProtocol):
    """`Config(http=AnyMethodProtocol)`."""

    _between_messages = True

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless a new request needs the other one."""
        # A request line that arrives in pieces goes to h11, too: slower, never wrong.
        if self._between_messages and (not data.startswith(_STARTS) or data.startswith(_DOUBLE_SLASH)) and not self._busy():
            self._hand_over(data)
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._between_messages = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """The request is complete; what follows is another one."""
        self._between_messages = True
        super().on_message_complete()

    def _busy(self) -> bool:
        # A pipelined custom method stays here and gets 400: moving would reorder the responses.
        return self.cycle is not None and not self.cycle.response_complete

    def _hand_over(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        successor = H11Protocol(self.config, self.server_state, self.app_state, self.loop)
        transport: asyncio.Transport = self.transport
        transport.set_protocol(successor)
        successor.connection_made(transport)
        successor.data_received(data)


class CheckedTextProtocol(WebSocketsSansIOProtocol):
    """`Config(ws=CheckedTextProtocol)`. Implements WIRE-605, RAWWS-022."""

    def send_receive_event_to_app(self) -> None:
        """Hand over a complete message, or close with 1007 and the error's name."""
        if self.curr_msg_data_type == "text" and not self.close_sent and not self._is_utf8():
            self.frames = []
            self.conn.send_close(1007, make_error("message.invalid_utf8").name)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def _is_utf8(self) -> bool:
        # A character may be split over frames, so it is the whole message that counts.
        try:
            (self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)).decode()
        except UnicodeDecodeError:
            return False
        return True
