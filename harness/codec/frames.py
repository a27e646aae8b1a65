"""Frames of `/connect` (WIRE sections 7.4 and 8); json is text, cbor and bare are binary (WIRE-424)."""

from __future__ import annotations

from typing import Any

from client import Encoding
from harness.codec.documents import dump_document, dump_value, load_document, load_value, members, number
from harness.codec.envelope import OLDEST, args_of, error_of, event_args, opened, read_actor, read_metadata, versioned
from harness.codec.errors import SchemaError
from harness.codec.messages import (
    ActionRequest,
    ActionResponse,
    ErrorFrame,
    Event,
    Init,
    SubscriptionRequest,
    ToClient,
    ToServer,
    WireError,
)
from harness.codec.values import from_wire, to_wire

Frame = bytes | str


def encode_to_server(message: ToServer, encoding: str) -> Frame:
    """A client frame."""
    if encoding == Encoding.BARE:
        writer = versioned()
        if isinstance(message, ActionRequest):
            return writer.byte(0).uint(message.id).str(message.name).data(dump_value(message.args)).finish()
        return writer.byte(1).str(message.event_name).bool(message.subscribe).finish()
    if isinstance(message, ActionRequest):
        value = {"id": _wide(message.id, encoding), "name": message.name, "args": to_wire(message.args)}
        tag = "ActionRequest"
    else:
        value, tag = {"eventName": message.event_name, "subscribe": message.subscribe}, "SubscriptionRequest"
    body = dump_document({"body": {"tag": tag, "val": value}}, encoding)
    return body.decode() if encoding == Encoding.JSON else body


def _wide(number: int, encoding: str) -> Any:
    # A CBOR reader takes an integer of any width, so only JSON needs the form of a big one (WIRE-422).
    return ["$BigInt", str(number)] if encoding == Encoding.JSON else number


def decode_to_server(frame: Frame, encoding: str) -> ToServer:
    """A client frame, strictly; raises `SchemaError`."""
    if encoding == Encoding.BARE:
        return _bare_to_server(frame)
    tag, value = _envelope(frame, encoding)
    if tag == "ActionRequest":
        found = members(value, tag, {"id": object, "name": str}, {"args": object})
        return ActionRequest(number(found["id"], "the id of a request"), found["name"], args_of(from_wire(found.get("args"))))
    if tag == "SubscriptionRequest":
        found = members(value, tag, {"eventName": str, "subscribe": bool})
        return SubscriptionRequest(found["eventName"], found["subscribe"])
    raise SchemaError(f"{tag!r} is no message of a client")


def _bare_to_server(frame: Frame) -> ToServer:
    reader = opened(frame, OLDEST)
    tag = reader.byte()
    message: ToServer
    if tag == 0:
        message = ActionRequest(reader.uint(), reader.str(), args_of(load_value(reader.data())))
    elif tag == 1:
        message = SubscriptionRequest(reader.str(), reader.bool())
    else:
        raise SchemaError(f"tag {tag} is no message of a client")
    reader.finish(type(message).__name__)
    return message


def decode_to_client(frame: Frame, encoding: str) -> ToClient:
    """A server frame, strictly; raises `SchemaError`."""
    if encoding == Encoding.BARE:
        return _bare_to_client(frame)
    if isinstance(frame, bytes) and encoding == Encoding.JSON:
        raise SchemaError("a JSON message came as a binary frame (WIRE-424)")
    tag, value = _envelope(frame, encoding)
    if tag == "ActionResponse":
        found = members(value, tag, {"id": object, "output": object})
        return ActionResponse(_id(found["id"], "id", frame), from_wire(found["output"]))
    if tag == "Event":
        found = members(value, tag, {"name": str, "args": list})
        return Event(found["name"], event_args(from_wire(found["args"])))
    if tag == "Init":
        found = members(value, tag, {"actorId": str, "connectionId": str})
        return Init(found["actorId"], found["connectionId"])
    if tag == "Error":
        error = error_of(value, tag, {"actionId": object})
        raw = value["actionId"]
        return ErrorFrame(error, None if raw is None else _id(raw, "actionId", frame))
    raise SchemaError(f"{tag!r} is no message of a server")


def _envelope(frame: Frame, encoding: str) -> tuple[str, Any]:
    document = members(load_document(frame, encoding), "a frame", {"body": dict})
    body = members(document["body"], "the body of a frame", {"tag": str, "val": dict})
    return body["tag"], body["val"]


def _id(raw: Any, name: str, frame: Frame) -> int:
    """An id in the one form that a JS client takes for a big integer: tagged in JSON, eight bytes wide in CBOR (WIRE-421, WIRE-422)."""
    value = number(raw, f"member {name!r}")
    if isinstance(frame, str):
        if not isinstance(raw, list):
            raise SchemaError(f"member {name!r} is a plain number and not a big integer")
    elif isinstance(raw, list) or bytes([0x60 + len(name)]) + name.encode() + b"\x1b" + value.to_bytes(8, "big") not in frame:
        raise SchemaError(f"member {name!r} is not in the eight-byte form")
    return value


def _bare_to_client(frame: Frame) -> ToClient:
    reader = opened(frame)
    tag = reader.byte()
    message: ToClient
    if tag == 0:
        message = Init(reader.str(), reader.str())
    elif tag == 1:
        group, code, text, metadata = reader.str(), reader.str(), reader.str(), read_metadata(reader)
        action_id = reader.uint() if reader.bool() else None
        message = ErrorFrame(WireError(group, code, text, metadata, read_actor(reader)), action_id)
    elif tag == 2:
        message = ActionResponse(reader.uint(), load_value(reader.data()))
    elif tag == 3:
        message = Event(reader.str(), event_args(load_value(reader.data())))
    else:
        raise SchemaError(f"tag {tag} is no message of a server")
    reader.finish(type(message).__name__)
    return message
