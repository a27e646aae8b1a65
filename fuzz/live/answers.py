"""Whether what a server said is an answer: HTTP responses with structured errors, WebSocket frames that a client may get."""

from __future__ import annotations

import json
import re

STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [^\r\n]*\r\n")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
JSON = re.compile(rb"\r\ncontent-type: *application/json", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"
STRUCTURED = {"group", "code", "message"}
CLOSES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
INTERIM = b"HTTP/1.1 100 "


def response(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Status, head and body of the first final response; None while it is not whole."""
    while data.startswith(INTERIM) and HEAD_END in data:
        data = data.partition(HEAD_END)[2]
    head, end, rest = data.partition(HEAD_END)
    status = STATUS.match(data)
    if not end or status is None:
        return None
    length = LENGTH.search(head)
    size = int(length[1]) if length else 0
    return (int(status[1]), head, rest[:size]) if len(rest) >= size else None


def http(data: bytes) -> tuple[str, str | None]:
    """What an exchange ended with, and what is wrong with that."""
    if not data:
        return "closed without an answer", None
    found = response(data)
    if found is None:
        # Cut off by our own end of the connection, or no HTTP at all.
        return ("cut off", None) if data.startswith(b"HTTP/1.1 ") else ("nonsense", f"no HTTP: {data[:80]!r}")
    status, head, body = found
    # The answer to HEAD has the length of a body and no body; what follows is another answer.
    if status >= 400 and body and JSON.search(head) and not body.startswith(b"HTTP/1.1 "):
        try:
            told = json.loads(body)
        except ValueError:
            return str(status), f"a body that is no JSON: {body[:80]!r}"
        # The inspector's short form (INSP-007).
        if not (isinstance(told, dict) and (told.keys() >= STRUCTURED or "error" in told)):
            return str(status), f"an error without structure: {body[:80]!r}"
    return str(status), None


def socket(data: bytes) -> tuple[str, str | None]:
    """The same for what came on a WebSocket after the handshake."""
    at = 0
    while at + 2 <= len(data):
        opcode, size, begin = data[at] & 0x0F, data[at + 1] & 0x7F, at + 2
        if data[at] & 0x70 or data[at + 1] & 0x80 or opcode not in (0, 1, 2, 8, 9, 10):
            return "nonsense", f"a frame that no client may get: {data[at : at + 12]!r}"
        if size >= 126:
            width = 2 if size == 126 else 8
            size, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
        if begin + size > len(data):
            return "cut off", None
        if opcode == 8:
            return _close(data[begin : begin + size])
        at = begin + size
    return "open to the end", None


def _close(payload: bytes) -> tuple[str, str | None]:
    if not payload:
        return "closed", None
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (code in CLOSES or 3000 <= code <= 4999):
        return "closed", f"a close code that may not be sent: {payload!r}"
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        return f"closed {code}", f"a close reason that is no text: {payload!r}"
    reason = reason.partition("#")[0]
    return f"closed {code} {reason if reason.isascii() and len(reason) < 60 else '...'}".strip(), None
