"""What envelopes of both transports share: values as CBOR blobs or documents, errors, versions, member access."""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.protocol import cbor, jsontext
from runtime.protocol.bare import Reader, Writer
from runtime.protocol.cbor_heads import STORED, WIRE, Limits
from runtime.protocol.decode_errors import DecodeError, ValueTagError
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import ActorSpecifier, WireError
from runtime.protocol.storable import check_shape, check_storable
from runtime.protocol.values import UNDEFINED, Map, from_wire, to_wire

VERSION = 4
"""The client protocol version that is always written (WIRE-411)."""

_SHORT = 2**32
_SAFE = 2**53
VERSION_PREFIX = VERSION.to_bytes(2, "little")


def blob(value: Any) -> bytes:
    """A value as CBOR with the compat layer applied: what BARE messages carry and queues, histories and inputs store.

    Raises:
        ValueError: The value has no wire form.
    """
    return cbor.dumps(to_wire(value))


def open_versioned(data: bytes | str, oldest: int) -> tuple[Reader, int]:
    """A reader behind the version prefix of a BARE message; raises `DecodeError` for versions not in oldest..4."""
    if isinstance(data, str):
        raise DecodeError("a text frame cannot be a BARE message")
    reader = Reader(data)
    version = reader.u16()
    # A version this code does not know may mean other fields, so nothing of the message can be trusted (WIRE-412).
    if not oldest <= version <= VERSION:
        raise DecodeError(f"unsupported protocol version {version}")
    return reader, version


def load_document(data: bytes | str, encoding: Encoding, limits: Limits = WIRE) -> Any:
    """Decode a json or cbor document, compat layer not yet applied."""
    if encoding is Encoding.JSON:
        # Text or binary alike: JSON in a binary frame is accepted (WIRE-424).
        return jsontext.loads(data)
    if isinstance(data, str):
        raise DecodeError("a text frame cannot be a CBOR message")
    return _load_cbor(data, limits)


def dump_document(value: Any, encoding: Encoding) -> bytes:
    """Encode a document whose values already went through the compat layer."""
    return jsontext.dumps(value) if encoding is Encoding.JSON else cbor.dumps(value)


def value_of(raw: Any, action_id: int | None = None) -> Any:
    """Undo the compat layer; raises `ValueTagError` (WIRE-401)."""
    try:
        return from_wire(raw)
    # Told apart, because an unknown tag fails one action, anything else the whole connection (WIRE-401, WIRE-531).
    except ValueError as error:
        raise ValueTagError(str(error), action_id) from error
    except (TypeError, RecursionError) as error:
        raise DecodeError(str(error)) from error


def load_value(data: bytes, action_id: int | None = None, limits: Limits = WIRE) -> Any:
    """The inverse of `blob`; raises `ValueTagError` or `DecodeError`."""
    value = _load_cbor(data, limits)
    # Every tag starts with a dollar sign, so most blobs need no second pass.
    return value_of(value, action_id) if b"$" in data else value


def _load_cbor(data: bytes, limits: Limits) -> Any:
    # A float64 head is rare in messages without floats, and tells that there may be something to give back.
    value = cbor.loads(data, limits)
    return _whole_numbers(value) if b"\xfb" in data else value


def _whole_numbers(value: Any) -> Any:
    """Give back the integers that travel as float64 because a JS client reads them as numbers then (WIRE-404)."""
    kind = type(value)
    if kind is float:
        return int(value) if _SHORT <= abs(value) <= _SAFE and value.is_integer() else value
    if kind is list:
        return [_whole_numbers(item) for item in value]
    if kind is dict or kind is Map:
        return kind((name, _whole_numbers(item)) for name, item in value.items())
    return value


def args_of(value: Any) -> list[Any]:
    """The positional arguments: a list is the list, null or missing none, anything else one argument (WIRE-316)."""
    if type(value) is list:
        return value
    return [] if value is None or value is UNDEFINED else [value]


def member(document: Any, name: str, kind: type) -> Any:
    """A required member of an object; raises `DecodeError` when it is missing or of another type."""
    # Booleans pass for integers in Python, so integers are not asked for here but with `integer`.
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, kind):
        raise DecodeError(f"member {name!r} is missing or malformed")
    return value


def metadata_of(error: WireError) -> Any:
    """The metadata as it is written: its JSON rendering with the compat layer applied, `UNDEFINED` when there is none (WIRE-834).

    An error must always reach its caller, so what JSON cannot render becomes text instead of another failure.
    """
    if error.metadata is UNDEFINED or error.metadata is None:
        return UNDEFINED
    try:
        # Twice: what contains itself has no rendering, and what an object renders as may be no text either.
        check_shape(error.metadata)
        rendered = msgspec.to_builtins(_without_undefined(error.metadata), enc_hook=str, str_keys=True)
        check_storable(rendered)
        return to_wire(rendered)
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        return f"<{type(error.metadata).__name__}>"


def _without_undefined(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_undefined(item) for name, item in value.items() if item is not UNDEFINED}
    if isinstance(value, (list, tuple)):
        return [None if item is UNDEFINED else _without_undefined(item) for item in value]
    return value


def message_of(error: WireError) -> str:
    """The message as valid Unicode, as a JS client would write it."""
    return text_of(error.message)


def text_of(text: str) -> str:
    """Text with a question mark for each lone surrogate: what names and describes an error must not be another one."""
    # File names and the like may hold them, and no encoder takes them.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def error_document(error: WireError) -> dict[str, Any]:
    """The members of an error that both transports share; absent ones are omitted (WIRE-423)."""
    document: dict[str, Any] = {"group": text_of(error.group), "code": text_of(error.code), "message": message_of(error)}
    metadata = metadata_of(error)
    if metadata is not UNDEFINED:
        document["metadata"] = metadata
    if error.actor is not None:
        document["actor"] = actor_document(error.actor)
    return document


def actor_document(actor: ActorSpecifier) -> dict[str, Any]:
    """The `actor` member of an error."""
    document: dict[str, Any] = {"actorId": actor.actor_id, "generation": actor.generation}
    if actor.key is not None:
        document["key"] = actor.key
    return document


def error_of(document: Any) -> WireError:
    """The inverse of `error_document`."""
    if not isinstance(document, dict):
        raise DecodeError("an error must be an object")
    actor = document.get("actor")
    return WireError(
        member(document, "group", str),
        member(document, "code", str),
        member(document, "message", str),
        value_or_undefined(document.get("metadata")),
        _actor_of(actor) if isinstance(actor, dict) else None,
    )


def value_or_undefined(raw: Any) -> Any:
    """Optional metadata: null and missing are absent."""
    return UNDEFINED if raw is None or raw is UNDEFINED else value_of(raw)


def _actor_of(document: dict[str, Any]) -> ActorSpecifier:
    key = document.get("key")
    return ActorSpecifier(member(document, "actorId", str), integer(document.get("generation")), key if isinstance(key, str) else None)


def integer(raw: Any) -> int:
    """A non-negative integer: plain, or the compat form of a big one (WIRE-422)."""
    # A client of JSON sends its ids in the compat form or plain, as it likes (WIRE-422).
    if type(raw) is list:
        raw = value_of(raw)
    if type(raw) is float and raw.is_integer():
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool) or not 0 <= raw < 2**64:
        raise DecodeError("expected a non-negative integer")
    return int(raw)


def write_error_tail(writer: Writer, error: WireError) -> None:
    """`group`, `code`, `message`, `metadata` of a BARE error."""
    writer.str(text_of(error.group)).str(text_of(error.code)).str(message_of(error))
    metadata = metadata_of(error)
    # Already plain after `metadata_of`, so there is no second pass of the compat layer, as a `blob` would make.
    if metadata is UNDEFINED:
        writer.byte(0)
    else:
        writer.byte(1).data(cbor.dumps(metadata))


def write_actor(writer: Writer, actor: ActorSpecifier | None) -> None:
    """An optional `ActorSpecifier`."""
    if actor is None:
        writer.byte(0)
        return
    writer.byte(1).str(actor.actor_id).uint(actor.generation)
    if actor.key is None:
        writer.byte(0)
    else:
        writer.byte(1).str(actor.key)


def read_metadata(reader: Reader) -> Any:
    """An optional CBOR blob."""
    return value_or_undefined(_load_cbor(reader.data(), STORED)) if reader.bool() else UNDEFINED


def read_actor(reader: Reader) -> ActorSpecifier | None:
    """An optional `ActorSpecifier`."""
    if not reader.bool():
        return None
    actor_id, generation = reader.str(), reader.uint()
    return ActorSpecifier(actor_id, generation, reader.str() if reader.bool() else None)


def finish_client(reader: Reader) -> None:
    """The client rejects trailing bytes (WIRE-413)."""
    if not reader.at_end():
        raise DecodeError("trailing bytes after the message")
