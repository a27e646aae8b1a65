"""JSON text as UTF-8 bytes. msgspec: it reads and writes integers of any size, and NaN and infinities become null (WIRE-407)."""

from __future__ import annotations

import array
import re
from typing import Any

import msgspec

from runtime.protocol.errors import DecodeError
from runtime.protocol.values import Undefined, WireMap


def _plain(value: Any) -> Any:
    if isinstance(value, Undefined):
        return None
    if isinstance(value, WireMap):
        return {name if isinstance(name, str) else dumps(name).decode(): item for name, item in value.entries.items()}
    if isinstance(value, array.array):
        return value.tolist()
    if isinstance(value, re.Pattern):
        return {}
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder = msgspec.json.Decoder()


def dumps(value: Any) -> bytes:
    """Encode a value; raises `ValueError` when it has no JSON form."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError, OverflowError) as error:
        raise ValueError(f"value has no JSON form: {error}") from error


def loads(data: bytes | str) -> Any:
    """Decode exactly one value; raises `DecodeError` for anything that is not JSON."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise DecodeError(f"malformed JSON: {error}") from error
