"""What the head of a request must be before anybody looks at its meaning: the same rules for both parsers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.serving.refusals import HEAD_TOO_LARGE, MALFORMED, NO_PROXY, TARGET_TOO_LONG, Refusal

if TYPE_CHECKING:
    from runtime.serving.limits import ServerLimits

    HeaderList = list[tuple[bytes, bytes]]

LONGEST_METHOD = 64
FIRST_BYTES = 2 * LONGEST_METHOD
"""How much of a message is looked at before its head is whole."""
# A request line as far as it has come. What cannot become one is told at once: who speaks another protocol may be waiting for a greeting.
_METHOD = rb"[!#$%%&'*+\-.^_`|~0-9A-Za-z]{1,%d}" % LONGEST_METHOD
_REQUEST_LINE = re.compile(_METHOD + rb"(?: [^\s\0]*(?: (?:H(?:T(?:T(?:P(?:/[\d.]*)?)?)?)?)?\r?)?)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
WEBSOCKET_VERSION = (b"sec-websocket-version", b"13")


def may_become_request(begun: bytes | bytearray) -> bool:
    """Whether the first bytes of a message, however few, can be those of an HTTP request."""
    line, whole, _ = begun[:FIRST_BYTES].partition(b"\n")
    return _REQUEST_LINE.fullmatch(line) is not None and (not whole or b" HTTP/" in line)


def head_fault(target: bytes, headers: HeaderList, size: int, limits: ServerLimits) -> Refusal | None:
    """What is too large about a head; `size` is what arrived of it, or more."""
    if limits.headers is not None and len(headers) > limits.headers:
        return HEAD_TOO_LARGE
    # Counted only when it may matter: nearly every head arrives whole and is far below.
    if limits.head is not None and size > limits.head:
        if len(target) > limits.head:
            return TARGET_TOO_LONG
        if len(target) + sum(len(name) + len(value) + 4 for name, value in headers) > limits.head:
            return HEAD_TOO_LARGE
    return None


def origin_form(method: bytes, target: bytes, headers: HeaderList) -> tuple[bytes, HeaderList] | Refusal:
    """Target and headers as the application knows them, whichever of the four forms of a target was sent (RFC 9112, 3.2).

    The host of an absolute target replaces the `Host` header: whoever looks at that header later sees the host that counts.
    """
    if target.startswith(b"/"):
        # It asks for a tunnel, whatever its target: after a 2xx to it the parser takes the connection for one.
        return NO_PROXY if method == b"CONNECT" else (target, headers)
    # `OPTIONS *` asks about the server as a whole.
    if target == b"*" and method == b"OPTIONS":
        return b"/", headers
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not absolute[1]:
        return NO_PROXY if method == b"CONNECT" else MALFORMED
    host, rest = absolute[1].rpartition(b"@")[2], absolute[2]
    return rest if rest.startswith(b"/") else b"/" + rest, [(b"host", host), *(pair for pair in headers if pair[0] != b"host")]


def upgrade_fault(method: bytes, version: bytes, headers: HeaderList) -> Refusal | None:
    """What keeps a request for a WebSocket from being one, beyond what the handshake itself checks (RFC 6455, 4.2)."""
    if method != b"GET":
        return Refusal(405, "A WebSocket is opened with GET.", ((b"allow", b"GET"),))
    if version != b"1.1":
        return Refusal(505, "A WebSocket is opened with HTTP/1.1.")
    versions = [value for name, value in headers if name == WEBSOCKET_VERSION[0]]
    if versions != [WEBSOCKET_VERSION[1]]:
        return Refusal(426, "The version of a WebSocket is 13.", (WEBSOCKET_VERSION, (b"upgrade", b"websocket")))
    # What follows the head are frames: a body would be taken for some.
    if any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers):
        return Refusal(400, "A WebSocket is opened without a body.")
    return None
