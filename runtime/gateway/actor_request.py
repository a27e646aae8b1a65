"""One HTTP request to an actor as the gateway hands it to a generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.gateway.paths import parse_actor_path
from runtime.gateway.request_headers import RequestHeaders
from runtime.http import INTERNAL_ORIGIN, Request
from runtime.protocol.encodings import Encoding

if TYPE_CHECKING:
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.gateway.paths import ActorPath
    from runtime.replies import RawHeaders


@dataclass(slots=True)
class ActorRequest:
    """What was asked, with the gateway's prefix gone. `params` is the raw connection parameter header; `oversized` means that the body is
    too long for its route, and was not read; `abandoned` fires when the client leaves, where the server tells; `passes_on` says that who
    handed it over asks the next generation itself, when this one refuses in passing.

    Mutable and built once per request: a frozen value would be built through `object.__setattr__`, field by field, on the hottest path.
    """

    route: ActorPath
    method: str
    path: str
    query: str
    headers: RawHeaders
    body: bytes
    encoding: Encoding
    params: bytes | None
    oversized: bool = False
    abandoned: AbortSignal | None = None
    passes_on: bool = False

    @classmethod
    def of(cls, method: str, target: str, headers: RawHeaders, body: bytes = b"") -> ActorRequest:
        """Read a request; `target` is path and query without the gateway prefix. The body may follow."""
        path, _, query = target.partition("?")
        encoding = headers.get(b"x-rivet-encoding")
        return cls(
            parse_actor_path(path), method, path, query, headers, body,
            Encoding.JSON if encoding is None else Encoding.parse(encoding.decode("latin-1")),
            headers.get(b"x-rivet-conn-params"),
        )  # fmt: skip

    def to_actor(self, path: str, body: bytes | None) -> Request:
        """The request as actor code sees it (WIRE-340)."""
        url = f"{INTERNAL_ORIGIN}{path}?{self.query}" if self.query else INTERNAL_ORIGIN + path
        return Request(self.method, url, RequestHeaders(self.headers), body)

    def authorization(self) -> str | None:
        """The `Authorization` header, for the inspector."""
        value = self.headers.get(b"authorization")
        return None if value is None else value.decode("latin-1")
