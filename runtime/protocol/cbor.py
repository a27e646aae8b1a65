"""CBOR as the JS client writes and reads it (WIRE-403, WIRE-404). No compat layer here."""

from __future__ import annotations

import array
import math
import re
from datetime import UTC
from typing import Any

import cbor2

from runtime.protocol.errors import DecodeError
from runtime.protocol.values import UNDEFINED, Undefined

_TYPED_ARRAYS = {64: "B", 69: "H", 70: "I", 71: "Q", 72: "b", 77: "h", 78: "i", 79: "q", 85: "f", 86: "d"}
_SHORT = 2**32


def dumps(value: Any) -> bytes:
    """Encode a value.

    Integers outside -2^32..2^32-1 that a JS number can hold are written as float64, so that the client gets a plain number; larger
    ones in the big-integer forms.

    Raises:
        ValueError: The value has no CBOR form.
    """
    return _encode(_prepare(value))


def dumps_exact(value: Any) -> bytes:
    """Encode for this runtime's own rows: every integer stays an integer.

    Raises:
        ValueError: The value has no CBOR form.
    """
    return _encode(value)


def _encode(value: Any) -> bytes:
    try:
        return cbor2.dumps(value, default=_default, datetime_as_timestamp=True, timezone=UTC)
    except (cbor2.CBOREncodeError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"value has no CBOR form: {error}") from error


def _prepare(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        if -_SHORT <= value < _SHORT or not -(2**53) <= value <= 2**53:
            return value
        return float(value)
    if kind is float:
        return 0 if value == 0 and math.copysign(1, value) < 0 else value
    if kind is dict:
        return {name: _prepare(item) for name, item in value.items()}
    if kind is list or kind is tuple:
        return [_prepare(item) for item in value]
    return value


def _default(encoder: Any, value: Any) -> None:
    if isinstance(value, Undefined):
        encoder.encode(cbor2.undefined)
    elif isinstance(value, re.Pattern):
        flags = "i" * bool(value.flags & re.I) + "m" * bool(value.flags & re.M) + "s" * bool(value.flags & re.S)
        encoder.encode(cbor2.CBORTag(27, ["RegExp", value.pattern, flags]))
    elif isinstance(value, (set, frozenset)):
        encoder.encode(cbor2.CBORTag(258, [_prepare(item) for item in value]))
    elif isinstance(value, array.array):
        tag = next(number for number, code in _TYPED_ARRAYS.items() if code == value.typecode)
        encoder.encode(cbor2.CBORTag(tag, value.tobytes()))
    elif isinstance(value, BaseException):
        encoder.encode(cbor2.CBORTag(27, [type(value).__name__, str(value)]))
    else:
        raise cbor2.CBOREncodeValueError(f"cannot encode {type(value).__name__}")


def wide(value: int) -> bytes:
    """An unsigned integer in the 8-byte form, which a JS client reads as a big integer (WIRE-421)."""
    return b"\x1b" + value.to_bytes(8, "big")


def loads(data: bytes) -> Any:
    """Decode exactly one value.

    Raises:
        DecodeError: Malformed, truncated or trailing bytes.
    """
    try:
        value = cbor2.loads(data, tag_hook=_tag)
    except Exception as error:
        raise DecodeError(f"malformed CBOR: {error}") from error
    return _normalize(value)


def _normalize(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {_key(name): _normalize(item) for name, item in value.items()}
    if kind is list:
        return [_normalize(item) for item in value]
    if value is cbor2.undefined:
        return UNDEFINED
    return value


def _key(name: Any) -> Any:
    return tuple(name) if isinstance(name, list) else name


def _tag(*args: Any, **_: Any) -> Any:
    tag = next(arg for arg in args if isinstance(arg, cbor2.CBORTag))
    if tag.tag == 259:  # noqa: PLR2004 - map tag of the JS client
        return dict(tag.value)
    if tag.tag == 64:  # noqa: PLR2004 - byte array
        return bytes(tag.value)
    if tag.tag in _TYPED_ARRAYS:
        typed = array.array(_TYPED_ARRAYS[tag.tag])
        typed.frombytes(bytes(tag.value))
        return typed
    if tag.tag == 27 and isinstance(tag.value, (list, tuple)) and tag.value:  # noqa: PLR2004 - object tag
        return _object(list(tag.value))
    raise DecodeError(f"unsupported CBOR tag {tag.tag}")


def _object(parts: list[Any]) -> Any:
    if parts[0] == "RegExp" and len(parts) >= 2:  # noqa: PLR2004 - source and flags
        flags = 0
        for letter in str(parts[2]) if len(parts) > 2 else "":  # noqa: PLR2004
            flags |= {"i": re.I, "m": re.M, "s": re.S}.get(letter, 0)
        return re.compile(str(parts[1]), flags)
    return Exception(*(str(part) for part in parts[1:2]))

