"""JSON and CBOR documents, and the strict look at their members."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

import cbor2

from client import UNDEFINED, Encoding
from harness.codec.cbor import load_cbor
from harness.codec.errors import SchemaError
from harness.codec.values import SAFE, Tagged, from_wire, to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHORT = 2**32


def dump_value(value: Any) -> bytes:
    """A value as CBOR, compat layer applied: what BARE messages carry."""
    return dump_cbor(to_wire(value))


def load_value(data: bytes) -> Any:
    """The inverse of `dump_value`; raises `SchemaError`."""
    return from_wire(load_cbor(data))


def dump_cbor(value: Any) -> bytes:
    """CBOR as the npm client writes it: whole numbers beyond 32 bits are floats, for a JS reader takes long integers for big ones."""
    return cbor2.dumps(_numbers(value), default=_write, datetime_as_timestamp=True, timezone=UTC)


def dump_json(value: Any) -> str:
    """JSON text without blanks; raises `ValueError` for what JSON cannot hold."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_no_json)


def load_json(data: bytes | str) -> Any:
    """Exactly one JSON value; raises `SchemaError`."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        # With hooks, as Python's own reader lets double members and `NaN` pass, which JSON has not.
        return json.loads(text, object_pairs_hook=_members, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"malformed JSON: {error}") from None


def dump_document(value: Any, encoding: str) -> bytes:
    """A document whose values went through the compat layer."""
    return dump_json(value).encode() if encoding == Encoding.JSON else dump_cbor(value)


def load_document(data: bytes | str, encoding: str) -> Any:
    """A json or cbor document, compat layer not undone; a text frame holds no CBOR (WIRE-424)."""
    if encoding == Encoding.JSON:
        return load_json(data)
    if isinstance(data, str):
        raise SchemaError("a text frame is no CBOR message")
    return load_cbor(data)


def members(document: Any, what: str, required: Mapping[str, type], optional: Mapping[str, type] | None = None) -> dict[str, Any]:
    """The members of an object that has all of `required`, perhaps some of `optional`, and no other; `object` is any type.

    Raises:
        SchemaError: It is no object, or a member is missing, unknown or of another type.
    """
    if not isinstance(document, dict):
        raise SchemaError(f"{what} is no object but {_shown(document)}")
    allowed = {**required, **(optional or {})}
    # Unknown members before missing ones: a misspelt name is both, and the complaint about what is there leads further.
    for name, value in document.items():
        if name not in allowed:
            raise SchemaError(f"{what} has an unknown member {name!r}")
        kind = allowed[name]
        # To Python `True` is an integer; on the wire it is another type.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise SchemaError(f"member {name!r} of {what} is no {kind.__name__} but {_shown(value)}")
    if missing := [name for name in required if name not in document]:
        raise SchemaError(f"{what} lacks member {missing[0]!r}")
    return document


def number(raw: Any, what: str) -> int:
    """An unsigned 64-bit integer, plain or in the compat form (WIRE-422)."""
    value = from_wire(raw) if isinstance(raw, list) else raw
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
        raise SchemaError(f"{what} is no unsigned 64-bit integer but {_shown(raw)}")
    return int(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("an object names a member twice")
    return document


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _no_json(value: Any) -> Any:
    raise ValueError(f"{_shown(value)} has no JSON form")


def _numbers(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Only as far as a float is exact; beyond that the value would change, and the npm client writes a big integer.
        return float(value) if not -_SHORT <= value < _SHORT and -SAFE <= value <= SAFE else int(value)
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return value


def _write(encoder: Any, value: Any) -> None:
    if value is UNDEFINED:
        encoder.encode(cbor2.undefined)
    elif isinstance(value, Tagged):
        encoder.encode(cbor2.CBORTag(value.tag, _numbers(value.content)))
    else:
        raise ValueError(f"{_shown(value)} has no CBOR form")
