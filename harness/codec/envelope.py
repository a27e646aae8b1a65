"""What frames and bodies share: the BARE version and errors."""

from __future__ import annotations

from typing import Any

from client import UNDEFINED
from harness.codec.bare import Reader, Writer
from harness.codec.documents import load_cbor, members, number
from harness.codec.errors import SchemaError
from harness.codec.messages import ActorSpecifier, WireError
from harness.codec.values import from_wire

VERSION = 4
OLDEST = 1
OLDEST_QUEUE = 3
_ERROR = {"group": str, "code": str, "message": str}
_ERROR_OPTIONAL = {"metadata": object, "actor": dict}


def versioned() -> Writer:
    """A BARE message of the version that is written (WIRE-410)."""
    return Writer().u16(VERSION)


def opened(data: bytes | str, oldest: int = VERSION) -> Reader:
    """A reader behind the version; answers have the newest one only (WIRE-411)."""
    if isinstance(data, str):
        raise SchemaError("a text frame is no BARE message")
    reader = Reader(data)
    version = reader.u16()
    if not oldest <= version <= VERSION:
        allowed = VERSION if oldest == VERSION else f"{oldest} to {VERSION}"
        raise SchemaError(f"protocol version {version}, not {allowed}")
    return reader


def args_of(value: Any) -> list[Any]:
    """The arguments of a request: a list is the list, nothing none, anything else one argument (WIRE-316)."""
    if isinstance(value, list):
        return value
    return [] if value is None or value is UNDEFINED else [value]


def event_args(value: Any) -> list[Any]:
    """The arguments of an event are always a list (WIRE-420)."""
    if not isinstance(value, list):
        raise SchemaError("the arguments of an event are no list")
    return value


def error_of(document: Any, what: str, more: dict[str, type] | None = None) -> WireError:
    """A structured error; metadata and actor are absent and not null when there are none (WIRE-423, CONN-033)."""
    found = members(document, what, {**_ERROR, **(more or {})}, _ERROR_OPTIONAL)
    metadata = UNDEFINED
    if "metadata" in found:
        if found["metadata"] is None:
            raise SchemaError(f"{what} has the metadata null instead of none")
        metadata = from_wire(found["metadata"])
    actor = None
    if "actor" in found:
        inner = members(found["actor"], f"the actor of {what}", {"actorId": str, "generation": object}, {"key": str})
        actor = ActorSpecifier(inner["actorId"], number(inner["generation"], "the generation"), inner.get("key"))
    return WireError(found["group"], found["code"], found["message"], metadata, actor)


def read_metadata(reader: Reader) -> Any:
    """The optional metadata of a BARE error."""
    return from_wire(load_cbor(reader.data())) if reader.bool() else UNDEFINED


def read_actor(reader: Reader) -> ActorSpecifier | None:
    """The optional actor of a BARE error."""
    if not reader.bool():
        return None
    actor_id, generation = reader.str(), reader.uint()
    return ActorSpecifier(actor_id, generation, reader.str() if reader.bool() else None)
