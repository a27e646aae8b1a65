"""uvicorn's HTTP, made to fit: it takes every method.

llhttp (httptools) parses only methods it knows and answers 400 to others; actors must get custom ones too (WIRE-342). h11 takes any
token, but measured 8-10k requests/s where httptools does 18-32k. So a connection starts on httptools and moves to h11 for good when a
request begins with a method llhttp does not know, or with a target its URL parser refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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
