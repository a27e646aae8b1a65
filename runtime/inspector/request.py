"""One request to the inspector's HTTP API: its parameters, read with the leniency of the specification."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from runtime.errors import make_error
from runtime.inspector.actor_view import ActorView
from runtime.protocol import jsontext
from runtime.protocol.decode_errors import DecodeError

if TYPE_CHECKING:
    from runtime.inspector.ports import InspectedActor

DEFAULT_LIMIT = 100
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class ShortError(Exception):
    """An argument error with the short body `{"error": text}` and status 400 (INSP-007)."""


class InspectorRequest:
    """One request; `query` holds the inspector's own parameters."""

    def __init__(self, actor: InspectedActor, method: str, path: str, query: str, authorization: str | None, body: bytes) -> None:
        self.view = ActorView(actor)
        self.method = method
        self.path = path
        self.query = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
        self.authorization = authorization
        self._body = body

    def json(self) -> Any:
        """The decoded body; raises actor.invalid_request with the parser's text (INSP-036)."""
        try:
            return jsontext.loads(self._body)
        except DecodeError as error:
            raise make_error("actor.invalid_request", message=str(error)) from error

    def object(self) -> dict[str, Any]:
        """The body as an object; anything else counts as an empty one."""
        body = self.json()
        return body if isinstance(body, dict) else {}

    def limit(self) -> int:
        """`limit` as INSP-061 reads it."""
        number = whole_number(self.query.get("limit", ""))
        return DEFAULT_LIMIT if number is None or number < 1 else number


def whole_number(text: str) -> int | None:
    """A number of a query without its fraction, `1e2` as well; None when it is none that an integer of 64 bits can hold (INSP-061)."""
    # Not `float` alone: it takes underscores and digits of other scripts.
    if not _NUMBER.fullmatch(text.strip()):
        return None
    number = float(text)
    return math.floor(number) if abs(number) < 2**63 else None
