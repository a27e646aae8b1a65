"""JSON text as UTF-8 bytes. msgspec: it reads and writes integers of any size, and NaN and infinities become null (WIRE-407)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from runtime.protocol.errors import DecodeError
from runtime.protocol.values import Undefined


def _plain(value: Any) -> Any:
    if isinstance(value, Undefined):
        return None
    if isinstance(value, re.Pattern):
        return {}
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder = msgspec.json.Decoder()


def dumps(value: Any) -> bytes:
    """Encode a value; raises `ValueError` when it has no JSON form."""
    try:
        return _encoder.encode(value)
    except (TypeError, msgspec.MsgspecError, RecursionError, OverflowError) as error:
        if isinstance(value, (dict, list)):
            return _encoder.encode(_stringify_keys(value))
        raise ValueError(f"value has no JSON form: {error}") from error


def _stringify_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name if isinstance(name, str) else str(name): _stringify_keys(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stringify_keys(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("integer too large for JSON")
    if isinstance(value, (str, int, float, bool, bytes, datetime)) or value is None:
        return value
    try:
        return _plain(value)
    except TypeError as error:
        raise ValueError(str(error)) from error


def loads(data: bytes | str) -> Any:
    """Decode exactly one value; raises `DecodeError` for anything that is not JSON."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise DecodeError(f"malformed JSON: {error}") from error
