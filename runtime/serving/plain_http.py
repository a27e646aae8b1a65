"""HTTP on h11: any method and target, and the only protocol where httptools has no wheel."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.serving.guarded import Guarded
from runtime.serving.heads import FIRST_BYTES, head_fault, may_become_request, origin_form
from runtime.serving.refusals import HEAD_TOO_LARGE, MALFORMED, OTHER_VERSION, TARGET_TOO_LONG, Refusal

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from uvicorn.server import ServerState

    from runtime.serving.limits import ServerLimits

SLICE = 2 * 1024
"""Bytes that are parsed at once, except of a body of known length: h11 makes an event of every chunk, and takes its time."""


class CheckedH11(h11.Connection):
    """h11 with our limits. `fault` says what it raised for."""

    def __init__(self, limits: ServerLimits) -> None:
        super().__init__(h11.SERVER, sys.maxsize if limits.head is None else limits.head)
        self._limits = limits
        self._begun = bytearray()
        self.fault: Refusal | None = None
        self.body_size = 0

    @property
    def begun(self) -> bool:
        """Whether a part of a head is there."""
        return bool(self._begun)

    def receive_data(self, data: bytes) -> None:
        """Take what arrived."""
        if self.their_state is h11.IDLE and len(self._begun) < FIRST_BYTES:
            self._begun += data[:FIRST_BYTES]
        super().receive_data(data)

    def next_event(self) -> Any:
        """The next event, checked.

        Raises:
            h11.RemoteProtocolError: It is to be refused with `fault`.
        """
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.fault = self._too_long() if error.error_status_hint == HEAD_TOO_LARGE.status else MALFORMED
            raise
        if event is h11.NEED_DATA:
            if self._begun and not may_become_request(self._begun):
                raise self._refused(MALFORMED)
        elif isinstance(event, h11.Request):
            self._begun.clear()
            self.body_size = 0
            return self._checked(event)
        elif isinstance(event, h11.Data):
            self.body_size += len(event.data)
        return event

    def _checked(self, event: h11.Request) -> h11.Request:
        if event.http_version not in (b"1.0", b"1.1"):
            raise self._refused(OTHER_VERSION)
        headers = list(event.headers)
        # Two lengths: somebody between the client and here may have believed the other one (RFC 9112, 6.1).
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}:
            raise self._refused(MALFORMED)
        # Whatever arrives in one piece passes h11's own limit.
        fault = head_fault(event.target, headers, sys.maxsize, self._limits)
        found = fault or origin_form(event.method, event.target, headers)
        if isinstance(found, Refusal):
            raise self._refused(found)
        target, headers = found
        if target is event.target:
            return event
        return h11.Request(method=event.method, target=target, headers=headers, http_version=event.http_version)

    def _too_long(self) -> Refusal:
        return HEAD_TOO_LARGE if b"\n" in self.trailing_data[0] else TARGET_TOO_LONG

    def _refused(self, refusal: Refusal) -> h11.RemoteProtocolError:
        self.fault = refusal
        return h11.RemoteProtocolError(refusal.reason, error_status_hint=refusal.status)


class PlainHttp(Guarded, H11Protocol):  # type: ignore[misc]  # uvicorn says that an end of input is never kept open
    """One connection on h11."""

    conn: CheckedH11
    _later: bytes | None = None
    _whole_pieces = False

    def __init__(self, config: Any, server_state: ServerState, app_state: dict[str, Any], _loop: AbstractEventLoop | None = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = CheckedH11(self.limits)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and no more at once than keeps others from waiting."""
        if self.deaf:
            return
        if self._later is not None:
            self._later += data
            return
        in_body = self._in_body()
        if not in_body and self.conn.their_state is h11.IDLE and not self.conn.begun:
            # Some clients end a body with an empty line that no length counts (RFC 9112, 2.2).
            data = data.lstrip(b"\r\n")
            if not data:
                return
        if len(data) > SLICE and not (in_body and self._whole_pieces):
            self._later = data[SLICE:]
            data = data[:SLICE]
            self.flow.pause_reading()
            self.loop.call_soon(self._go_on)
        if in_body:
            # Before this piece, of which nobody knows yet what is in it.
            self.body_size = self.conn.body_size
            if self._arrived_in_vain(len(data)):
                return
            self.received += len(data)
        super().data_received(data)
        if not in_body:
            self.received = self._surplus = 0
            self._whole_pieces = not any(name == b"transfer-encoding" for name, _ in self.headers or ())

    def _go_on(self) -> None:
        data, self._later = self._later, None
        # Whoever else wants a pause says so again while this is taken.
        self.flow.resume_reading()
        if data and not self.transport.is_closing():
            self.data_received(data)

    def on_response_complete(self) -> None:
        """An answer is on its way: the next request, if one waits. As uvicorn's, without a timer for every idle connection."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
            self.conn.start_next_cycle()
            self.handle_events()

    def send_400_response(self, msg: str) -> None:
        """What the parser does not understand, or refuses."""
        self.refuse(self.conn.fault or MALFORMED)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """A request for a WebSocket."""
        self._upgrade(event.method, event.target, event.http_version, self.headers)

    def _in_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _head_begun(self) -> bool:
        return self.conn.begun

    def _owes_answers(self) -> bool:
        # h11 parses no request before the answer to the one before it.
        return False
