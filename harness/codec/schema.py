"""The messages as the specification writes them down (WIRE section 7.4), and the two ways to read one: by place, and by name.

`STRUCTS` is the table of the specification, word for word; a test holds it against the document. Nothing else here or in the modules
above knows the order of a field, its type, or the tag of a message. Reading comes first: it gives a plain mapping from the names of the
wire to values; an optional field that is not there is not in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client import UNDEFINED, Encoding
from harness.codec.bare import Reader, Writer
from harness.codec.cbor import Wide
from harness.codec.documents import dump_document, dump_value, load_document, load_value, members, number
from harness.codec.errors import SchemaError
from harness.codec.values import BigInt, from_wire, to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STRUCTS = {
    "ActorSpecifier": "actorId: str, generation: uint, key: optional<str>",
    "ToClient": "body: union { 0 Init, 1 Error, 2 ActionResponse, 3 Event }",
    "Init": "actorId: str, connectionId: str",
    "Error": "group: str, code: str, message: str, metadata: optional<data>, actionId: optional<uint>, actor: optional<ActorSpecifier>",
    "ActionResponse": "id: uint, output: data",
    "Event": "name: str, args: data",
    "ToServer": "body: union { 0 ActionRequest, 1 SubscriptionRequest }",
    "ActionRequest": "id: uint, name: str, args: data",
    "SubscriptionRequest": "eventName: str, subscribe: bool",
    "HttpActionRequest": "args: data",
    "HttpActionResponse": "output: data",
    "HttpQueueSendRequest": "body: data, name: optional<str>, wait: optional<bool>, timeout: optional<u64>",
    "HttpQueueSendResponse": "status: str, response: optional<data>",
    "HttpResponseError": "group: str, code: str, message: str, metadata: optional<data>, actor: optional<ActorSpecifier>",
}
VERSION = 4
ACCEPTED = {"HttpQueueSendRequest": (3, 4), "HttpActionRequest": (1, 2, 3, 4), "ToServer": (1, 2, 3, 4)}
"""The versions of requests; an answer has the current one (WIRE-411)."""
LENIENT = {"HttpQueueSendRequest": {"body"}, "HttpActionRequest": {"args"}, "ActionRequest": {"args"}}
"""What a request in JSON or CBOR may lack (WIRE-316, WIRE-331)."""
NULLABLE = {"Error": {"actionId"}}
"""What is null and not missing when it is not there (WIRE-421, WIRE-422)."""
NAMES = {
    "ToClient": "message of a server",
    "ToServer": "message of a client",
    "HttpActionRequest": "an action request",
    "HttpActionResponse": "an action response",
    "HttpQueueSendRequest": "a queue send",
    "HttpQueueSendResponse": "a queue response",
    "HttpResponseError": "an error",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a struct: its name, its type, and whether it is optional."""

    name: str
    type: str
    optional: bool


_FIELD = re.compile(r"(\w+): (?:optional<(\w+)>|(\w+))")
# Taken apart by expression, so that the table can stay as the specification prints it.
FIELDS = {
    struct: tuple(Field(name, inner or plain, bool(inner)) for name, inner, plain in _FIELD.findall(text))
    for struct, text in STRUCTS.items()
    if "union" not in text
}
UNIONS = {
    struct: {int(tag): member for tag, member in re.findall(r"(\d+) (\w+)", text)} for struct, text in STRUCTS.items() if "union" in text
}
_BY_PLACE: dict[str, Callable[[Reader], Any]] = {
    "str": Reader.str,
    "bool": Reader.bool,
    "uint": Reader.uint,
    "u64": Reader.u64,
    "data": lambda reader: load_value(reader.data()),
}
_INTO_PLACE: dict[str, Callable[[Writer, Any], Any]] = {
    "str": Writer.str,
    "bool": Writer.bool,
    "uint": Writer.uint,
    "u64": Writer.u64,
    "data": lambda writer, value: writer.data(dump_value(value)),
}
_KINDS: dict[str, type] = {"str": str, "bool": bool, "ActorSpecifier": dict}
_NUMBERS = ("uint", "u64")
_BIG = {"id", "actionId"}
"""The numbers that a JS client takes only as big integers (WIRE-421, WIRE-422)."""


def read(struct: str, data: bytes | str, encoding: str) -> tuple[str, dict[str, Any]]:
    """One message: the name of its struct (of a union: of the member) and its fields.

    Raises:
        SchemaError: no such message.
    """
    if encoding == Encoding.BARE:
        return _read_bare(struct, data)
    document = load_document(data, encoding)
    if struct not in UNIONS:
        if struct == "HttpActionRequest" and isinstance(document, list):  # accepted as "no arguments" (WIRE-316)
            return struct, {}
        return struct, _by_name(struct, document, NAMES[struct], encoding)
    body = members(members(document, "a frame", {"body": dict})["body"], "the body of a frame", {"tag": str, "val": dict})
    if body["tag"] not in UNIONS[struct].values():
        raise SchemaError(f"{body['tag']!r} is no {NAMES[struct]}")
    return body["tag"], _by_name(body["tag"], body["val"], body["tag"], encoding)


def write(struct: str, member: str, fields: Mapping[str, Any], encoding: str) -> bytes:
    """A message of the client; `member` is the struct itself unless that is a union."""
    if encoding == Encoding.BARE:
        writer = Writer().u16(VERSION)
        if struct in UNIONS:
            writer.byte(next(tag for tag, name in UNIONS[struct].items() if name == member))
        for field in FIELDS[member]:
            if field.optional:
                writer.bool(field.name in fields)
            if field.name in fields:
                _INTO_PLACE[field.type](writer, fields[field.name])
        return writer.finish()
    # A CBOR reader takes an integer of any width, so only JSON needs the form of a big one (WIRE-422).
    big = _BIG if encoding == Encoding.JSON else set[str]()
    value = {name: _named(member, name, one, name in big) for name, one in fields.items()}
    return dump_document({"body": {"tag": member, "val": value}} if struct in UNIONS else value, encoding)


def _named(struct: str, name: str, value: Any, big: bool) -> Any:
    kind = next(field.type for field in FIELDS[struct] if field.name == name)
    return to_wire(BigInt(value)) if big else to_wire(value) if kind == "data" else value


def _read_bare(struct: str, data: bytes | str) -> tuple[str, dict[str, Any]]:
    if isinstance(data, str):
        raise SchemaError("a text frame is no BARE message")
    reader = Reader(data)
    version, allowed = reader.u16(), ACCEPTED.get(struct, (VERSION,))
    if version not in allowed:
        raise SchemaError(f"protocol version {version}, not {' or '.join(map(str, allowed))}")
    member = struct
    if struct in UNIONS:
        tag = reader.byte()
        if tag not in UNIONS[struct]:
            raise SchemaError(f"tag {tag} is no {NAMES[struct]}")
        member = UNIONS[struct][tag]
    found = _by_place(member, reader)
    reader.finish(NAMES[struct] if member == struct else member)
    return member, found


def _by_place(struct: str, reader: Reader) -> dict[str, Any]:
    found = {}
    for field in FIELDS[struct]:
        if field.optional and not reader.bool():
            continue
        # An optional field that is not there is not in the mapping either: `None` is a value that may be sent.
        found[field.name] = _by_place(field.type, reader) if field.type in FIELDS else _BY_PLACE[field.type](reader)
    return found


def _by_name(struct: str, document: Any, what: str, encoding: str) -> dict[str, Any]:
    lenient, nullable = LENIENT.get(struct, set()), NULLABLE.get(struct, set())
    if struct in ACCEPTED and isinstance(document, dict):
        # The npm client writes members of a body that it was not given as `undefined`.
        document = {name: value for name, value in document.items() if value is not UNDEFINED}
    kinds = {field.name: _KINDS.get(field.type, object) for field in FIELDS[struct]}
    # Nullable fields have to be there, if only as null (WIRE-421, WIRE-422).
    demanded = nullable | {field.name for field in FIELDS[struct] if not field.optional and field.name not in lenient}
    required = {name: kind for name, kind in kinds.items() if name in demanded}
    members(document, what, required, {name: kind for name, kind in kinds.items() if name not in demanded})
    found = {}
    for field in FIELDS[struct]:
        if field.name not in document:
            continue
        raw = document[field.name]
        if raw is None and field.name in nullable:
            continue
        if raw is None and field.name == "metadata":
            raise SchemaError(f"{what} has the metadata null instead of none")
        found[field.name] = _named_value(struct, field, raw, what, encoding)
    return found


def _named_value(struct: str, field: Field, raw: Any, what: str, encoding: str) -> Any:
    if field.type in FIELDS:
        return _by_name(field.type, raw, f"the {field.name} of {what}", encoding)
    if field.type == "data":
        return from_wire(raw)
    if field.type not in _NUMBERS:
        return raw
    value = number(raw, f"member {field.name!r} of {what}")
    if field.name in _BIG and struct in UNIONS["ToClient"].values() and not _is_big(raw, encoding):
        form = "is a plain number and not a big integer" if encoding == Encoding.JSON else "is not in the eight-byte form"
        raise SchemaError(f"member {field.name!r} of {what} {form}")
    return value


def _is_big(raw: Any, encoding: str) -> bool:
    """Tagged in JSON; in CBOR eight bytes wide."""
    return isinstance(raw, list) if encoding == Encoding.JSON else isinstance(raw, Wide)
