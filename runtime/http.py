"""Requests and responses as actor code sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from runtime.protocol import jsontext

if TYPE_CHECKING:
    from collections.abc import Mapping


INTERNAL_ORIGIN = "http://127.0.0.1"
"""Where actors believe they are: outside addresses are the gateway's business and change with every proxy (WIRE-508)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to an actor.

    `url` is absolute (`http://127.0.0.1` + stripped path + raw query), header names are lower case, `body` is None when absent or empty
    (RAWHTTP-002, WIRE-340, WIRE-348).
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    @property
    def path(self) -> str:
        """The path with its percent escapes untouched."""
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The decoded query parameters."""
        # With blanks: `?a=` and no `a` at all are not the same to a handler.
        return parse_qs(urlsplit(self.url).query, keep_blank_values=True)

    def text(self) -> str:
        """The body as UTF-8 text, empty when absent."""
        return (self.body or b"").decode()

    def json(self) -> Any:
        """The body decoded as JSON; raises `ValueError` when it is not."""
        return jsontext.loads(self.body or b"")


@dataclass(frozen=True, slots=True)
class Response:
    """What `on_request` returns; a `str` body is UTF-8. `headers` may repeat a name when given as pairs (RAWHTTP-006, RAWHTTP-007)."""

    # Not `bytes` alone: handlers mostly answer with text, and would encode it each in their own way.
    body: bytes | str = b""
    status: int = 200
    headers: Mapping[str, str] | tuple[tuple[str, str], ...] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A response with a JSON body."""
        return cls(jsontext.dumps(value), status, {"content-type": "application/json", **(headers or {})})

    def header_items(self) -> list[tuple[str, str]]:
        """The headers as pairs."""
        # Pairs come first: of a mapping no name can be twice, and `set-cookie` has to be.
        return list(self.headers) if isinstance(self.headers, tuple) else list(self.headers.items())
