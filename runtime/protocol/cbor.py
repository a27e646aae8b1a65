"""CBOR as the JS client writes and reads it (WIRE-403, WIRE-404). No compat layer here."""

from __future__ import annotations

import array
import io
import math
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

import cbor2

from runtime.protocol.cbor_heads import WIRE, Limits, check_heads
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.values import UNDEFINED, CborOnly, Map, RegExp, Undefined

_SHORT: Final = 2**32
_SAFE: Final = 2**53
_NEGATIVE_ZERO: Final = b"\xfb\x80\x00\x00\x00\x00\x00\x00\x00"

_TAG_OBJECT: Final = 27
_TAG_BYTES: Final = 64
_TAG_CLAMPED: Final = 68
_TAG_MAP: Final = 259
_ATOMS: Final = frozenset({str, int, float, bool, type(None), bytes})
_ARRAY_CODES: Final = {69: "H", 70: "I", 71: "Q", 72: "b", 77: "h", 78: "i", 79: "q", 85: "f", 86: "d"}
"""Type codes of the little-endian typed arrays (RFC 8746)."""
_ARRAY_TAGS: Final = {(code in "HILQ", code in "fd", array.array(code).itemsize): tag for tag, code in _ARRAY_CODES.items()}


def dumps(value: Any) -> bytes:
    """Encode a value.

    Integers outside -2^32..2^32-1 that a JS number can hold are written as float64, so that the client gets a plain number; larger
    ones in the big-integer forms.

    Raises:
        ValueError: The value has no CBOR form.
    """
    # Encoded first and looked at afterwards: a walk over every value in Python would cost more than this second try, which few need.
    data = _encode(value)
    # Only an integer in the 8-byte form or a negative zero needs another form; these bytes tell that there may be one.
    if b"\x1b" in data or b"\x3b" in data or _NEGATIVE_ZERO in data:
        numbers = _js_numbers(value)
        return data if numbers is value else _encode(numbers)
    return data


def dumps_exact(value: Any) -> bytes:
    """Encode for this runtime's own rows: every integer stays an integer.

    Raises:
        ValueError: The value has no CBOR form.
    """
    return _encode(value)


def _encode(value: Any) -> bytes:
    try:
        # Dates as numbers and in UTC, as the JS client writes them (WIRE-403).
        return cbor2.dumps(value, default=_default, datetime_as_timestamp=True, timezone=UTC)
    except (cbor2.CBOREncodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"value has no CBOR form: {error}") from error


def _js_numbers(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        # A JS client reads every integer of the 8-byte form as a big integer (WIRE-404), so what is a number there has to be a float here.
        return value if -_SHORT <= value < _SHORT or not -_SAFE <= value <= _SAFE else float(value)
    if kind is float:
        # As the JS client writes it (WIRE-403).
        return 0 if value == 0 and math.copysign(1, value) < 0 else value
    if kind is dict:
        return {name: _js_numbers(item) for name, item in value.items()}
    if kind is list or kind is tuple:
        return [_js_numbers(item) for item in value]
    if kind is CborOnly and isinstance(value.value, Map):
        # A list cannot be a key, so keys that are tuples stay tuples.
        entries = value.value.items()
        return CborOnly(Map((name if type(name) is tuple else _js_numbers(name), _js_numbers(item)) for name, item in entries))
    return value


def _default(encoder: Any, value: Any) -> None:
    if isinstance(value, CborOnly):
        encoder.encode(_tagged(value.value))
    elif isinstance(value, Undefined):
        encoder.encode(cbor2.undefined)
    else:
        raise cbor2.CBOREncodeTypeError(f"cannot encode {type(value).__name__}")


def _tagged(value: Any) -> Any:
    if isinstance(value, Map):
        return cbor2.CBORTag(_TAG_MAP, dict(value))
    if isinstance(value, re.Pattern):
        value = RegExp.of(value)
    if isinstance(value, RegExp):
        return cbor2.CBORTag(_TAG_OBJECT, ["RegExp", value.source, value.flags])
    if isinstance(value, array.array):
        return cbor2.CBORTag(_array_tag(value), value.tobytes())
    return value


def _array_tag(value: array.array[Any]) -> int:
    # A JS client reads tag 64 as a Uint8Array, and bytes without a tag as an ArrayBuffer (WIRE-403).
    if value.typecode == "B":
        return _TAG_BYTES
    tag = _ARRAY_TAGS.get((value.typecode in "HILQ", value.typecode in "fd", value.itemsize))
    if tag is None or value.typecode not in "bhilqHILQfd":
        raise cbor2.CBOREncodeTypeError(f"cannot encode an array of type {value.typecode!r}")
    return tag


def wide(value: int) -> bytes:
    """An unsigned integer in the 8-byte form, which a JS client reads as a big integer (WIRE-421)."""
    return b"\x1b" + value.to_bytes(8, "big")


def loads(data: bytes, limits: Limits = WIRE) -> Any:
    """Decode exactly one value; in linear time, whatever the bytes.

    Raises:
        DecodeError: Malformed, truncated or trailing bytes, or more than the limits allow; nothing else is ever raised.
    """
    check_heads(data, limits)
    # From a stream and not by `cbor2.loads`, which does not tell whether anything is left over.
    source = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(source, tag_hook=_tag).decode()
        # Only data with this byte can hold `undefined`, so all others are spared the walk.
        if b"\xf7" in data:
            value = _with_undefined(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    # Whatever a library for untrusted bytes raises, a panic of its native half included: callers rely on `DecodeError` and nothing else.
    except BaseException as error:
        raise DecodeError(f"malformed CBOR: {error}") from error
    if source.tell() != len(data):
        raise DecodeError("malformed CBOR: trailing bytes")
    return value


def _with_undefined(value: Any) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return kind([_with_undefined(item) for item in value])
    # Keys of maps and members of sets may be the decoder's own immutable kind of map.
    if isinstance(value, Mapping):
        return kind([(_with_undefined(name), _with_undefined(item)) for name, item in value.items()])
    return UNDEFINED if value is cbor2.undefined else value


def _tag(*args: Any, **_: Any) -> Any:
    # Which argument the tag is depends on the version of cbor2.
    tag = args[0] if type(args[0]) is cbor2.CBORTag else args[1]
    if tag.tag == _TAG_MAP:
        return Map((name, _thawed(item)) for name, item in tag.value.items())
    if tag.tag in (_TAG_BYTES, _TAG_CLAMPED):
        return bytes(tag.value)
    if tag.tag in _ARRAY_CODES:
        typed = array.array(_ARRAY_CODES[tag.tag])
        typed.frombytes(bytes(tag.value))
        return typed
    # A tuple, too: within some tags the decoder makes immutable containers.
    if tag.tag == _TAG_OBJECT and isinstance(tag.value, (list, tuple)) and tag.value:
        return _object(*tag.value)
    # An unknown tag is refused rather than passed on as its content: nobody could tell the value from an untagged one.
    raise DecodeError(f"unsupported CBOR tag {tag.tag}")


def _thawed(value: Any) -> Any:
    """The content of a tag as it would be outside: the decoder hands out immutable containers there."""
    if isinstance(value, Mapping) and not isinstance(value, Map):
        return {name: _thawed(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    return set(value) if isinstance(value, frozenset) else value


def _object(name: Any, text: Any = "", flags: Any = "", *_: Any) -> Any:
    """A regular expression, or the text of an error: its class has no Python twin."""
    if not (isinstance(name, str) and isinstance(text, str) and isinstance(flags, str)):
        raise DecodeError("malformed CBOR: an object that is neither an error nor a regular expression")
    return RegExp(text, flags) if name == "RegExp" else f"{name}: {text}"
