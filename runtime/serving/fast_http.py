"""HTTP on httptools, for all but a few requests.

llhttp (httptools) parses only methods it knows and answers 400 to others; actors must get custom ones too (WIRE-342). h11 takes any
token, but measured 8-10k requests/s where httptools does 18-32k. So a connection starts on httptools and moves to h11 for good when a
request begins with a method llhttp does not know, or with a target its URL parser refuses.
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.serving.guarded import Guarded
from runtime.serving.heads import head_fault, origin_form
from runtime.serving.plain_http import PlainHttp
from runtime.serving.refusals import HEAD_TOO_LARGE, MALFORMED, OTHER_VERSION, TARGET_TOO_LONG, Refusal

FAST_METHODS = frozenset({b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS"})
_STARTS = tuple(method + b" /" for method in FAST_METHODS)
_DOUBLE_SLASH = tuple(start + b"/" for start in _STARTS)
VERSIONS = ("1.1", "1.0")
SLICE = 4 * 1024
"""Bytes that are parsed at once. Requests sent without waiting for answers are taken in such pieces, and only while few of them wait."""
MOST_WAITING = 16
BYTES_PER_TURN = 32 * 1024
"""Bytes of one client that are parsed in one turn of the loop: they may be thousands of chunks."""


class FastHttp(Guarded, HttpToolsProtocol):  # type: ignore[misc]  # uvicorn says that an end of input is never kept open
    """One connection on httptools."""

    parser: Any  # uvicorn's type does not say that it is None in the end
    _between_messages = True
    _head_arriving = False
    _head_size = 0
    _fault: Refusal | None = None
    _held: bytes | None = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless a new request needs the other one."""
        if self.deaf:
            return
        # A request line that arrives in pieces goes to h11, too: slower, never wrong.
        if self._between_messages and (not data.startswith(_STARTS) or data.startswith(_DOUBLE_SLASH)) and not self._busy():
            self._begin_elsewhere(data)
        elif self._held is None and len(data) <= SLICE:
            self._feed(data)
        else:
            self._feed_in_slices(data)

    def _feed_in_slices(self, data: bytes) -> None:
        if self._held is not None:
            data, self._held = self._held + data, None
        for start in range(0, len(data), SLICE):
            if self.deaf or self.transport.raw.get_protocol() is not self:
                return
            crowded = len(self.pipeline) > MOST_WAITING
            if crowded or start >= BYTES_PER_TURN:
                self._held = data[start:]
                self.flow.pause_reading()
                # Requests that wait are followed by more when they were answered.
                if not crowded:
                    self.loop.call_soon(self._next_turn)
                return
            self._feed(data[start : start + SLICE])

    def _next_turn(self) -> None:
        if self._held is not None and not self.transport.is_closing():
            # Whoever else wants a pause says so again while this is taken.
            self.flow.resume_reading()
            self._feed_in_slices(b"")

    def _feed(self, data: bytes) -> None:
        # A head that begins behind the end of a body is counted from its next piece on.
        if self._head_arriving or self._between_messages:
            self._head_size += len(data)
        else:
            if self._arrived_in_vain(len(data)):
                return
            self.received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            if self._should_upgrade():
                self._upgrade(self.scope["method"].encode(), self.url, self.scope["http_version"].encode(), self.headers)
            # Another protocol was offered, which is declined by going on.
            elif pause.args[0] < len(data):
                self._feed(data[pause.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._fault or MALFORMED)
        else:
            limit = self.limits.head
            if self._head_arriving and limit is not None and self._head_size > limit:
                self.refuse(HEAD_TOO_LARGE if self.headers or len(self.url) <= limit else TARGET_TOO_LONG)

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._between_messages = False
        self._head_arriving = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there; the body, if any, follows."""
        self._head_arriving = False
        self._fault = head_fault(self.url, self.headers, self._head_size + SLICE, self.limits)
        self._head_size = self.received = self.body_size = self._surplus = 0
        if self._fault is None and self.parser.get_http_version() not in VERSIONS:
            self._fault = OTHER_VERSION
        if self._fault is not None:
            raise ValueError(self._fault.reason)
        # The first request of a connection in this form goes to h11; this is one behind another.
        if not self.url.startswith(b"/"):
            self._to_origin_form()
        super().on_headers_complete()
        # Trailers must not become headers of a request that is under way.
        if not (self.parser.should_upgrade() and self._should_upgrade()):
            self.headers = []

    def _to_origin_form(self) -> None:
        found = origin_form(self.parser.get_method(), self.url, self.headers)
        if isinstance(found, Refusal):
            self._fault = found
            raise ValueError(found.reason)
        self.url, self.headers[:] = found

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self.body_size += len(body)
        cycle = self.cycle
        if cycle.response_complete or (self.parser.should_upgrade() and self._should_upgrade()):
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request is complete; what follows is another one."""
        self._between_messages = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is on its way: the next request, if one waits. As uvicorn's, without a timer for every idle connection."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if self._held is not None and len(self.pipeline) <= MOST_WAITING:
            self._feed_in_slices(b"")

    def _busy(self) -> bool:
        # A pipelined custom method stays here and gets 400: moving would reorder the responses.
        return self.cycle is not None and not self.cycle.response_complete

    def _in_body(self) -> bool:
        return not self._between_messages and not self._head_arriving

    def _head_begun(self) -> bool:
        return self._head_arriving

    def _owes_answers(self) -> bool:
        return bool(self.pipeline) or (not self._in_body() and self._busy())

    def _begin_elsewhere(self, data: bytes) -> None:
        # Some clients end a body with an empty line that no length counts (RFC 9112, 2.2).
        begun = data.lstrip(b"\r\n")
        if self._held is not None:
            self._feed_in_slices(data)
        elif len(begun) == len(data):
            self._hand_over(data)
        elif begun:
            self.data_received(begun)

    def _hand_over(self, data: bytes) -> None:
        successor = PlainHttp(self.config, self.server_state, self.lifespan_state, self.loop)
        self.others.follow(successor, self.others.address_of(self))
        self.others.discard(self)
        raw = self.transport.raw
        raw.set_protocol(successor)
        successor.connection_made(raw)
        successor.data_received(data)
