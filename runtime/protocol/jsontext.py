"""JSON text as UTF-8 bytes. msgspec: it reads and writes integers of any size, and NaN and infinities become null (WIRE-407)."""

from __future__ import annotations

import array
import re
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, Final

import msgspec

from runtime.protocol.cbor_heads import WIRE
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.values import CborOnly, Map, Undefined

MAX_DEPTH: Final = WIRE.depth
_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _plain(value: Any) -> Any:
    if isinstance(value, Undefined):
        return None
    if isinstance(value, CborOnly):
        # Only where JSON is the transport itself; elsewhere these values keep their form.
        return _lossy(value.value)
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


def _lossy(value: Any) -> Any:
    """What a JS client would write, or closer to the value where that holds nothing of it (WIRE-407)."""
    if isinstance(value, Map):
        return {name if isinstance(name, str) else dumps(name).decode(): item for name, item in value.items()}
    if isinstance(value, array.array):
        return value.tolist()
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # What `JSON.stringify` makes of a regular expression.
    return {}


# Made once: building them costs more than a small message does. Both may be used by any number of tasks.
_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder = msgspec.json.Decoder()


def dumps(value: Any) -> bytes:
    """Encode a value; raises `ValueError` when it has no JSON form."""
    try:
        return _encoder.encode(value)
    # A result that is nested too deeply or not encodable is the fault of one call, and must not end the connection as another exception.
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError, OverflowError) as error:
        raise ValueError(f"value has no JSON form: {error}") from error


def loads(data: bytes | str) -> Any:
    """Decode exactly one value; in linear time, whatever the text.

    Raises:
        DecodeError: It is not JSON, or nested more than 272 deep, as CBOR may be; nothing else is ever raised.
    """
    try:
        value = _decoder.decode(data)
        # The decoder's own limit is the stack's. What is left of that when the value is walked over is less, and depends on the caller.
        deep = len(data) > MAX_DEPTH and _depth(data) > MAX_DEPTH
    except Exception as error:
        raise DecodeError(f"malformed JSON: {error}") from error
    if deep:
        raise DecodeError(f"malformed JSON: nested more than {MAX_DEPTH} deep")
    return value


def _depth(data: bytes | str) -> int:
    """How deep a well-formed text is at most, or, when it has no more brackets than may be inside each other, how many it has."""
    raw = data.encode() if isinstance(data, str) else data
    opened = raw.count(b"[") + raw.count(b"{")
    if opened <= MAX_DEPTH:
        return opened
    brackets = _TEXT.sub(b"", raw).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
