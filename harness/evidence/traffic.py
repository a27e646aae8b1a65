"""A transcript as calls, sockets and manager requests: the part of a timeline that went over the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from client import UNDEFINED, Exchange, SocketFrame
from harness.codec.addresses import route_of
from harness.codec.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, QueueSend, SubscriptionRequest
from harness.evidence.decode import FIRST_ERROR_STATUS
from harness.evidence.span import Span, brief
from harness.evidence.transcript import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence.decode import Reading

CALLS = "calls"
MANAGER = "manager"
HARNESS = "harness"


@dataclass(frozen=True, slots=True)
class Call:
    """One action that was asked of an actor; `output` is None unless it was answered with a result."""

    actor: str
    name: str
    shown: str
    started: float
    ended: float
    ok: bool
    output: Any = None


@dataclass(frozen=True, slots=True)
class Told:
    """An event that an actor pushed over a connection."""

    actor: str
    name: str
    shown: str
    at: float


@dataclass(slots=True)
class _Socket:
    row: str
    url: str
    opened: float
    actor: str
    closed: bool = False
    pending: dict[int, tuple[ActionRequest, float]] = field(default_factory=dict)


@dataclass(slots=True)
class Traffic:
    """What a transcript says, by what it is.

    Attributes:
        spans: what to draw.
        calls: the actions among it, with their results.
        told: the events among it.
        touches: everything that reached out to an actor, and so could have woken it: actor, start and end.
        records: actor records as the manager sent them, each with the time it came.
    """

    spans: list[Span] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    touches: list[tuple[str, float, float]] = field(default_factory=list)
    records: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    end: float = 0.0
    _sockets: dict[int, _Socket] = field(default_factory=dict)

    def note(self, answer: Any, at: float) -> None:
        """Take the actor records out of an answer of the manager."""
        if not isinstance(answer, dict):
            return
        # By their members, whatever was asked: lists, creations and look-ups of the manager all carry records.
        several, one = answer.get("actors"), answer.get("actor")
        for record in [*(several if isinstance(several, list) else []), one]:
            if isinstance(record, dict) and isinstance(record.get("actor_id"), str):
                self.records.append((at, record))

    def exchange(self, reading: Reading, entry: Exchange, began: float) -> None:
        """One HTTP request and its answer."""
        started, ended = entry.started - began, entry.ended - began
        route = route_of(entry.url)
        ok = entry.status is not None and entry.status < FIRST_ERROR_STATUS
        # Given up by the test is no failure of the target, and must not be drawn as one.
        dropped = (entry.error or "").startswith("CancelledError")
        failure = "given up by the test" if dropped else entry.error or _said(reading.received) or entry.status
        outcome = "" if ok else f" -> {failure}"
        if route is None:
            self.note(reading.received, ended)
            shown = f"{entry.method} {urlsplit(entry.url).path}"
            self.spans.append(Span(MANAGER, "manager" if ok else "failed", shown + outcome, started, ended))
            return
        actor = route.actor
        path = route.path
        kind, _, name = path.strip("/").partition("/")
        if kind == "action" and name:
            arguments = ", ".join(map(brief, reading.sent)) if isinstance(reading.sent, list) else ""
            shown = f"{name}({brief(arguments)})"
            self.calls.append(Call(actor, name, shown, started, ended, ok, reading.received if ok else None))
            outcome = outcome or _result(reading.received)
        elif kind == "queue" and isinstance(reading.sent, QueueSend):
            shown = f"queue {name}: {brief(reading.sent.body)}"
        else:
            shown = f"{entry.method} {path}"
            outcome = outcome or f" -> {entry.status}"
        # Also those that failed: a request that was refused may have woken the actor all the same.
        self.touches.append((actor, started, ended))
        self.spans.append(Span(CALLS, "call" if ok or dropped else "failed", shown + outcome, started, ended))

    def frame(self, reading: Reading, entry: SocketFrame, began: float) -> None:
        """One event of a WebSocket."""
        at = entry.at - began
        if entry.kind == "open":
            route = route_of(entry.url)
            path = urlsplit(entry.url).path if route is None else route.path
            row = f"socket {len(self._sockets) + 1} {path}"
            self._sockets[entry.socket] = _Socket(row, path, at, "" if route is None else route.actor)
            self.touches.append((self._sockets[entry.socket].actor, at, at))
        elif (socket := self._sockets.get(entry.socket)) is None:
            return  # its opening was dropped from a long transcript
        elif entry.kind == "closed":
            self._close(socket, at, f"{socket.url} closed {entry.code} {entry.reason}".rstrip())
        elif entry.kind == "sent":
            self.touches.append((socket.actor, at, at))
            if isinstance(reading.sent, ActionRequest):
                socket.pending[reading.sent.id] = (reading.sent, at)
            elif isinstance(reading.sent, SubscriptionRequest):
                word = "subscribe" if reading.sent.subscribe else "unsubscribe"
                self.spans.append(Span(socket.row, "sent", f"{word} {reading.sent.event_name}", at))
            else:
                self.spans.append(Span(socket.row, "sent", f"sent {_raw(entry.data)}", at))
        else:
            self._received(socket, reading.received, entry, at)

    def finish(self) -> None:
        """What is still open reaches to the end."""
        for socket in self._sockets.values():
            if not socket.closed:
                self._close(socket, self.end, f"{socket.url}, open at the end")

    def _received(self, socket: _Socket, message: Any, entry: SocketFrame, at: float) -> None:
        if isinstance(message, ActionResponse) and message.id in socket.pending:
            request, started = socket.pending.pop(message.id)
            self._answered(socket, request, started, at, ok=True, output=message.output)
        elif isinstance(message, ErrorFrame) and message.action_id in socket.pending:
            request, started = socket.pending.pop(message.action_id)
            self._answered(socket, request, started, at, ok=False, output=f"{message.error.group}.{message.error.code}")
        elif isinstance(message, ErrorFrame):
            self.spans.append(Span(socket.row, "failed", f"error {message.error.group}.{message.error.code}", at))
        elif isinstance(message, Event):
            shown = f"event {message.name}({', '.join(map(brief, message.args))})"
            self.told.append(Told(socket.actor, message.name, brief(shown), at))
            self.spans.append(Span(socket.row, "received", brief(shown), at))
        elif isinstance(message, Init):
            # The id goes before what the URL named: a key may lead to another actor by the next socket.
            socket.actor = message.actor_id
            self.spans.append(Span(socket.row, "received", f"ready, connection {message.connection_id}", at))
        else:
            self.spans.append(Span(socket.row, "received", f"received {_raw(entry.data)}", at))

    def _answered(self, socket: _Socket, request: ActionRequest, started: float, at: float, *, ok: bool, output: Any) -> None:
        shown = f"{request.name}({brief(', '.join(map(brief, request.args)))})"
        self.calls.append(Call(socket.actor, request.name, shown, started, at, ok, output if ok else None))
        self.spans.append(Span(socket.row, "call" if ok else "failed", f"{shown}{_result(output)}", started, at))

    def _close(self, socket: _Socket, at: float, label: str) -> None:
        # What was never answered is drawn to the end of its socket: it is often what a failure is about.
        for request, started in socket.pending.values():
            self.spans.append(Span(socket.row, "failed", f"{request.name}(...) never answered", started, at))
        socket.pending.clear()
        socket.closed = True
        self.spans.append(Span(socket.row, "socket", label, socket.opened, at))


def read(readings: Iterable[Reading], began: float) -> Traffic:
    """Sort a transcript; `began` is the loop time at which the test began."""
    traffic = Traffic()
    for reading in readings:
        entry = reading.entry
        if isinstance(entry, Exchange):
            traffic.end = max(traffic.end, entry.ended - began)
            traffic.exchange(reading, entry, began)
        else:
            traffic.end = max(traffic.end, entry.at - began)
            if isinstance(entry, Mark):
                traffic.spans.append(Span(HARNESS, "mark", entry.text, entry.at - began))
            else:
                traffic.frame(reading, entry, began)
    traffic.finish()
    return traffic


def _result(output: Any) -> str:
    return "" if output is UNDEFINED else f" -> {brief(output)}"


def _said(answer: Any) -> str:
    group, code = getattr(answer, "group", None), getattr(answer, "code", None)
    return f"{group}.{code}" if group and code else ""


def _raw(data: bytes | str) -> str:
    return brief(data) if isinstance(data, str) else f"{len(data)} bytes"
