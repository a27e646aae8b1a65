"""Reading a transcript: every message decoded in its encoding and held against its schema, in both directions.

A message of the target that its schema does not allow is the target's fault; one of the client library is ours. What the test itself sends
through the raw HTTP client or on a socket of its own may be malformed on purpose, so only the answers to it are checked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from client import Encoding, Exchange, SocketFrame
from harness.codec.addresses import encoding_offered, route_of
from harness.codec.bodies import (
    decode_action_request,
    decode_action_response,
    decode_error,
    decode_queue_request,
    decode_queue_response,
)
from harness.codec.cbor import load_cbor
from harness.codec.errors import SchemaError
from harness.codec.frames import decode_to_client, decode_to_server
from harness.evidence.transcript import Mark, OwnFrame, RawExchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.evidence.transcript import Entry

TARGET = "target"
CLIENT = "client"
FIRST_ERROR_STATUS = 400


@dataclass(frozen=True, slots=True)
class Violation:
    """A message that no schema allows, and whose it was (`target` or `client`)."""

    side: str
    what: str


@dataclass(frozen=True, slots=True)
class Reading:
    """An entry with what its messages say; None where there is no schema or no body."""

    entry: Exchange | SocketFrame | Mark
    raw: bool = False
    sent: Any = None
    received: Any = None
    violations: tuple[Violation, ...] = ()


class Reader:
    """Reads entries in their order; WebSocket frames need the opening before them."""

    def __init__(self) -> None:
        # By socket: a test may have several, in several encodings, and a frame does not say its own.
        self._sockets: dict[int, Encoding | None] = {}

    def read(self, entry: Entry) -> Reading:
        """Decode one entry."""
        if isinstance(entry, Mark):
            return Reading(entry)
        if isinstance(entry, SocketFrame):
            return self._frame(entry)
        raw = isinstance(entry, RawExchange)
        return _exchange(entry.exchange() if isinstance(entry, RawExchange) else entry, raw=raw)

    def _frame(self, frame: SocketFrame) -> Reading:
        if frame.kind == "open":
            self._sockets[frame.socket] = _connect_encoding(frame)
        encoding = self._sockets.get(frame.socket)
        if encoding is None or frame.kind not in ("sent", "received"):
            return Reading(frame)
        from_target = frame.kind == "received"
        side = TARGET if from_target else CLIENT
        decode: Callable[[bytes | str, Encoding], Any] = decode_to_client if from_target else decode_to_server
        try:
            value = decode(frame.data, encoding)
        except SchemaError as error:
            # What the target answers on such a socket is still held to its schema.
            if isinstance(frame, OwnFrame) and not from_target:
                return Reading(frame, raw=True)
            return Reading(frame, violations=(Violation(side, f"{encoding} frame on socket {frame.socket}: {error}"),))
        return Reading(frame, received=value) if from_target else Reading(frame, sent=value)


def violations(entries: Iterable[Entry]) -> list[Violation]:
    """What in a transcript no schema allows."""
    reader = Reader()
    return [one for entry in entries for one in reader.read(entry).violations]


def actor_path(url: str) -> str | None:
    """The path the actor sees, without query; None when the URL does not lead to an actor by its path."""
    route = route_of(url)
    return None if route is None else route.path


def _connect_encoding(frame: SocketFrame) -> Encoding | None:
    """The encoding of a `/connect` socket; None for raw sockets, which have no schema."""
    path = actor_path(frame.url) or urlsplit(frame.url).path
    return _encoding(encoding_offered(frame.protocols)) if path == "/connect" else None


def _exchange(exchange: Exchange, *, raw: bool) -> Reading:
    found: list[Violation] = []
    path = actor_path(exchange.url) or urlsplit(exchange.url).path
    encoding = _encoding(_header(exchange.request_headers, "x-rivet-encoding"))
    kind = next((one for one in ("action", "queue") if exchange.method == "POST" and path.startswith(f"/{one}/")), None)

    def attempt(side: str, what: str, decode: Callable[[], Any]) -> Any:
        try:
            return decode()
        except ValueError as error:
            found.append(Violation(side, f"{what} of {exchange.method} {urlsplit(exchange.url).path}: {error}"))
            return None

    sent = received = None
    if encoding is not None and kind is not None and exchange.request_body:
        decode_request = decode_action_request if kind == "action" else decode_queue_request
        sent = attempt(CLIENT, f"{encoding} request body", lambda: decode_request(exchange.request_body, encoding))
        # What the test itself sent may be malformed on purpose: it is decoded for the reader, and never complained of.
        if raw:
            found.clear()
    said = _said(exchange, encoding)
    body, status = exchange.response_body, exchange.status
    if body and status is not None and exchange.method != "HEAD":
        is_raw_request = path == "/request" or path.startswith(("/request/", "/request?"))
        if status >= FIRST_ERROR_STATUS and said is not None and not is_raw_request and "/inspector/" not in path:
            received = attempt(TARGET, f"error body ({status})", lambda: decode_error(body, said))
        elif status < FIRST_ERROR_STATUS and kind is not None and encoding is not None:
            decode_response = decode_action_response if kind == "action" else decode_queue_response
            received = attempt(TARGET, f"{encoding} response body", lambda: decode_response(body, encoding))
        elif said is Encoding.JSON:
            received = _quietly(lambda: json.loads(body)) if is_raw_request else attempt(TARGET, "JSON body", lambda: json.loads(body))
        elif said is Encoding.CBOR:
            received = _quietly(lambda: load_cbor(body))
    return Reading(exchange, raw, sent, received, tuple(found))


def _said(exchange: Exchange, asked: Encoding | None) -> Encoding | None:
    """The encoding of an answer; cbor and bare share a content type, so what was asked for tells them apart."""
    content_type = (_header(exchange.response_headers, "content-type") or "").partition(";")[0].strip()
    if content_type == Encoding.JSON.content_type:
        return Encoding.JSON
    return asked if content_type == Encoding.BARE.content_type and asked is not Encoding.JSON else None


def _quietly(decode: Callable[[], Any]) -> Any:
    """Of what user code of the fixtures answers nothing is known."""
    try:
        return decode()
    except ValueError:
        return None


def _encoding(name: str | None) -> Encoding | None:
    return Encoding(name) if name in ("json", "cbor", "bare") else None


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)


ACTOR_ID = re.compile(r"\b[0-9a-z]{30}\b")
"""Ids as WIRE-150 writes them."""


def actor_ids(readings: Iterable[Reading], most: int = 8) -> list[str]:
    """The actors a transcript is about, in the order they appear."""
    found: dict[str, None] = {}
    for reading in readings:
        # From URLs and answers alike: an actor that was made by another one is only named in what came back.
        texts = [getattr(reading.entry, "url", ""), repr(reading.received) if reading.received is not None else ""]
        for text in texts:
            found.update(dict.fromkeys(ACTOR_ID.findall(text)))
    return list(found)[:most]
