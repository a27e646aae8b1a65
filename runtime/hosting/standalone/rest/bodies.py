"""Bodies of REST requests, read strictly (WIRE-024): every fault is `api.bad_request` with a reason."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal, TypeVar

import msgspec

from runtime.errors import make_error
from runtime.hosting.standalone.rest.request import bad_request
from runtime.protocol.cbor_heads import INPUT
from runtime.protocol.payload import load_value

MAX_BODY = 2 * 1024 * 1024
MAX_INPUT = 4_194_304


# Unknown members are refused in every body: a misspelt one must not be taken for an absent one.
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


def decode_body(kind: type[Body], content_type: bytes | None, body: bytes) -> Body:
    """A JSON body of exactly the given shape."""
    if content_type is None or content_type.split(b";")[0].strip().lower() != b"application/json":
        raise bad_request("content-type must be application/json")
    try:
        return msgspec.json.decode(body, type=kind)
    # What is nested too deeply ends at the stack, which is no error of the decoder.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(str(error)) from None


def decode_input(text: str | None) -> bytes | None:
    """The creation input as CBOR (WIRE-170..172)."""
    if text is None:
        return None
    # Measured as it travels: what is too long must not be decoded to find that out.
    if len(text) > MAX_INPUT:
        raise make_error("actor.input_too_large", max_size=MAX_INPUT)
    try:
        data = base64.b64decode(text, validate=True)
        # Checked here and kept as it came: the start of the actor decodes it, and would fail again and again.
        load_value(data, limits=INPUT)
    except (binascii.Error, ValueError):
        raise bad_request("`input` must be base64 of CBOR") from None
    return data
