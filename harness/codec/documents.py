"""JSON and CBOR documents, and the strict look at their members."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import cbor2

from client import UNDEFINED, Encoding
from harness.codec.errors import SchemaError
from harness.codec.values import SAFE, Tagged, from_wire, to_wire

_SHORT = 2**32
_BYTES = 64
_KEPT = frozenset({27, 68, *range(65, 68), *range(69, 88), 259})
"""Tags of WIRE-403 that have no plain form here."""


def dump_value(value: Any) -> bytes:
    """A value as CBOR, compat layer applied: what BARE messages carry."""
    return dump_cbor(to_wire(value))


def load_value(data: bytes) -> Any:
    """The inverse of `dump_value`; raises `SchemaError`."""
    return from_wire(load_cbor(data))


def dump_cbor(value: Any) -> bytes:
    """CBOR as the npm client writes it: whole numbers beyond 32 bits are floats, for a JS reader takes long integers for big ones."""
    return cbor2.dumps(_numbers(value), default=_write, datetime_as_timestamp=True, timezone=UTC)


def load_cbor(data: bytes) -> Any:
    """Exactly one CBOR value; raises `SchemaError`."""
    source = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(source, tag_hook=_tag).decode()
    except Exception as error:  # the library raises many kinds for malformed input
        raise SchemaError(f"malformed CBOR: {error}") from None
    if source.tell() != len(data):
        raise SchemaError(f"{len(data) - source.tell()} bytes follow the CBOR value")
    return _thawed(value)


def dump_json(value: Any) -> str:
    """JSON text without blanks; raises `ValueError` for what JSON cannot hold."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_no_json)


def load_json(data: bytes | str) -> Any:
    """Exactly one JSON value; raises `SchemaError`."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
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
    for name, value in document.items():
        if name not in allowed:
            raise SchemaError(f"{what} has an unknown member {name!r}")
        kind = allowed[name]
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


def _tag(*args: Any, **_: Any) -> Any:
    tag = next(arg for arg in args if isinstance(arg, cbor2.CBORTag))
    if tag.tag == _BYTES:
        return bytes(tag.value)
    if tag.tag in _KEPT:
        return Tagged(tag.tag, tag.value)
    raise SchemaError(f"CBOR tag {tag.tag} is none of the protocol")


def _thawed(value: Any) -> Any:
    """Plain containers: inside a tag the library hands out immutable ones; `undefined` is ours."""
    if value is cbor2.undefined:
        return UNDEFINED
    if isinstance(value, Tagged):
        return Tagged(value.tag, _thawed(value.content))
    if isinstance(value, Mapping):
        return {name: _thawed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_thawed(item) for item in value]
    return set(value) if isinstance(value, frozenset) else value
