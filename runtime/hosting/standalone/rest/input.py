"""Strict reading of what REST callers send (WIRE-024, WIRE-025): every fault is `api.bad_request` with a reason."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec

from runtime.errors import ActorError, make_error
from runtime.protocol import cbor
from runtime.protocol.ids import parse_id

MAX_BODY = 2 * 1024 * 1024
MAX_INPUT = 4_194_304
DEFAULT_LIMIT = 100


class CreateActor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /actors."""

    name: str
    runner_name_selector: str
    crash_policy: Literal["restart", "sleep", "destroy"]
    key: str | None = None
    input: str | None = None
    datacenter: str | None = None


class GetOrCreateActor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of PUT /actors."""

    name: str
    key: str
    runner_name_selector: str
    crash_policy: Literal["restart", "sleep", "destroy"]
    input: str | None = None
    datacenter: str | None = None


class CreateNamespace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /namespaces."""

    name: str
    display_name: str


class PutRunnerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PUT /runner-configs/{pool}."""

    datacenters: dict[str, Any]


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of the endpoints that take `{}`."""


Body = TypeVar("Body", bound=msgspec.Struct)


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
            if name in self._values and allowed is not None and name not in repeatable:
                raise bad_request(f"duplicate query parameter `{name}`")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str | None:
        """An optional parameter; empty counts as absent."""
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
        """The page size."""
        value = self.text("limit")
        if value is None:
            return DEFAULT_LIMIT
        if not (value.isascii() and value.isdigit()):
            raise bad_request("query parameter `limit` must be a non-negative integer")
        return int(value)

    def before(self) -> int | None:
        """The cursor of a page ordered by `create_ts`; anything but an integer is an internal error (WIRE-070)."""
        value = self.text("cursor")
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise make_error("core.internal_error") from None


def decode_body(kind: type[Body], content_type: bytes | None, body: bytes) -> Body:
    """A JSON body of exactly the given shape."""
    if content_type is None or content_type.split(b";")[0].strip().lower() != b"application/json":
        raise bad_request("content-type must be application/json")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(str(error)) from None


def check_id(text: str) -> str:
    """An id in its canonical, lower-case form."""
    try:
        parse_id(text)
    except ValueError:
        raise bad_request(f"`{text}` is not a valid id") from None
    return text.lower()


def decode_input(text: str | None) -> bytes | None:
    """The creation input as CBOR (WIRE-170..172)."""
    if text is None:
        return None
    if len(text) > MAX_INPUT:
        raise make_error("actor.input_too_large", max_size=MAX_INPUT)
    try:
        data = base64.b64decode(text, validate=True)
        cbor.loads(data)
    except (binascii.Error, ValueError):
        raise bad_request("`input` must be base64 of CBOR") from None
    return data
