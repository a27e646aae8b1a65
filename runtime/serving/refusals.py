"""Answers to what never becomes a request: no application hears of it, so the server itself says why and hangs up."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from runtime.hosting.standalone.listener.ray_ids import new_ray
from runtime.replies import error_reply, internal_error

if TYPE_CHECKING:
    from runtime.replies import Headers


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not taken. The connection it came on is of no more use: where the next request begins is not known."""

    status: int
    reason: str
    headers: Headers = ()
    content_type: bytes = b"text/plain; charset=utf-8"

    def to_bytes(self) -> bytes:
        """The whole response, with the ray id that every response carries (WIRE-004)."""
        body = self.reason.encode() + b"\n"
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode(),
            b"content-type: " + self.content_type,
            b"content-length: %d" % len(body),
            b"connection: close",
            b"x-rivet-ray-id: " + new_ray().encode(),
            *(name + b": " + value for name, value in self.headers),
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


MALFORMED = Refusal(400, "This is no HTTP/1.1 request.")
NO_PROXY = Refusal(405, "This is no proxy.", ((b"allow", b"GET, POST, PUT, DELETE, OPTIONS, PATCH, HEAD"),))
OTHER_VERSION = Refusal(505, "The server speaks HTTP/1.1.")
HEAD_TOO_LARGE = Refusal(431, "The headers of the request are too large.")
TARGET_TOO_LONG = Refusal(414, "The request line is too long.")
TOO_SLOW = Refusal(408, "The request took too long to arrive.")
NO_ROOM = Refusal(503, "The server has too many connections.")
TOO_MUCH_BETWEEN = Refusal(400, "There is too much between the chunks of the body.")
FAILED = Refusal(500, error_reply(internal_error(), 500).body.decode(), content_type=b"application/json")
