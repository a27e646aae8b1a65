"""One request to the REST API and the strict reading of its query (WIRE-024, WIRE-025): every fault is `api.bad_request` with a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from runtime.errors import make_error
from runtime.protocol.ids import parse_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.errors import ActorError
    from runtime.replies import RawHeaders, Reply

    Handler = Callable[["RestRequest"], Awaitable[Reply]]
    Authorize = Callable[["RestRequest"], None]

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
"""Entries of a page at most, whatever was asked for."""
DIGITS = 9
# `int` takes more: spaces, underscores, digits of other scripts, and of those it takes it refuses thousands with an error of its own.
_CURSOR = re.compile(r"-?[0-9]{1,18}")
NO_CURSOR = {"pagination": {"cursor": None}}
"""The end of lists that are never cut into pages."""


def bad_request(reason: str) -> ActorError:
    """`api.bad_request` with its reason."""
    return make_error("api.bad_request", reason=reason)


class Query:
    """The query parameters of one request.

    Args:
        raw: The raw query string.
        allowed: Parameters the endpoint knows; None accepts any.
        repeatable: Those that may come more than once.
    """

    def __init__(self, raw: bytes, allowed: frozenset[str] | None, repeatable: frozenset[str] = frozenset()) -> None:
        self._values: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
        except (UnicodeDecodeError, ValueError):
            raise bad_request("query string is not decodable") from None
        for name, value in pairs:
            if allowed is not None and name not in allowed:
                raise bad_request(f"unknown query parameter `{name}`")
            # Two values would leave open which one counts.
            if name in self._values and allowed is not None and name not in repeatable:
                raise bad_request(f"duplicate query parameter `{name}`")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str | None:
        """An optional parameter; empty counts as absent."""
        # Forms send empty fields: those ask for nothing (WIRE-025).
        return self._values.get(name, [""])[0] or None

    def required(self, name: str) -> str:
        """A parameter that must be there."""
        if name not in self._values:
            raise bad_request(f"missing query parameter `{name}`")
        return self._values[name][0]

    def items(self, name: str) -> list[str]:
        """Every non-empty value of a repeatable parameter."""
        return [value for value in self._values.get(name, ()) if value]

    def flag(self, name: str) -> bool:
        """An optional boolean, false when absent."""
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise bad_request(f"query parameter `{name}` must be true or false")
        return value == "true"

    def limit(self) -> int:
        """The page size, at most `MAX_LIMIT`: who wants more takes the next page."""
        value = self.text("limit")
        if value is None:
            return DEFAULT_LIMIT
        # `int` takes more than that: signs, spaces, underscores, digits of other scripts.
        if not (value.isascii() and value.isdigit()):
            raise bad_request("query parameter `limit` must be a non-negative integer")
        digits = value.lstrip("0") or "0"
        # Compared by its length first: Python refuses to read thousands of digits.
        return MAX_LIMIT if len(digits) > DIGITS else min(int(digits), MAX_LIMIT)

    def before(self) -> int | None:
        """The cursor of a page ordered by `create_ts`; anything but an integer is an internal error (WIRE-070)."""
        value = self.text("cursor")
        if value is None:
            return None
        if not _CURSOR.fullmatch(value):
            raise make_error("core.internal_error")
        return int(value)


def check_id(text: str) -> str:
    """An id in its canonical, lower-case form."""
    try:
        parse_id(text)
    except ValueError:
        raise bad_request(f"`{text}` is not a valid id") from None
    return text.lower()


@dataclass(slots=True)
class RestRequest:
    """One REST request.

    `params` are the decoded variable segments of the path; `body` has been read completely; `local` says that it came over loopback.
    """

    method: str
    params: tuple[str, ...]
    raw_query: bytes
    headers: RawHeaders
    body: bytes = b""
    local: bool = True

    def query(self, *allowed: str, repeatable: tuple[str, ...] = (), namespaced: bool = True) -> Query:
        """The query, which may hold only these parameters (and `namespace`)."""
        names = {*allowed, *repeatable, *(("namespace",) if namespaced else ())}
        query = Query(self.raw_query, frozenset(names), frozenset(repeatable))
        # Missed before the endpoint looks at its own parameters (WIRE-022).
        if namespaced:
            query.required("namespace")
        return query

    def header(self, name: bytes) -> bytes | None:
        """The last value of a header."""
        return self.headers.get(name)
