"""Frames of the connection protocol in both directions (WIRE sections 7 and 8)."""

from __future__ import annotations

from typing import Any

from runtime.protocol import cbor
from runtime.protocol.bare import Writer
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import (
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
from runtime.protocol.payload import (
    VERSION_PREFIX,
    args_of,
    blob,
    dump_document,
    error_document,
    error_of,
    finish_client,
    integer,
    load_document,
    load_value,
    member,
    open_versioned,
    read_actor,
    read_metadata,
    value_of,
    write_actor,
    write_error_tail,
)
from runtime.protocol.values import UNDEFINED, to_wire

Frame = bytes | str
"""A text or binary WebSocket message; json is text, cbor and bare are binary (WIRE-424)."""

# Heads of the most frequent frames, encoded by hand: the rest of them is values that are encoded already.
_CBOR_REQUEST_HEAD = b"\xa1\x64body\xa2\x63tag\x6dActionRequest\x63val\xa3\x62id"
_CBOR_RESPONSE_HEAD = b"\xa1\x64body\xa2\x63tag\x6eActionResponse\x63val\xa2\x62id"
_OLDEST = 1


def encode_to_client(message: ToClient, encoding: Encoding) -> Frame:
    """Encode a server frame; raises `ValueError` when a value has no form in this encoding."""
    if encoding is Encoding.BARE:
        return _bare_to_client(message)
    # By hand, because a generic encoder would write a small id in its short form, which a client reads as a number (WIRE-421).
    if encoding is Encoding.CBOR and isinstance(message, ActionResponse):
        return _CBOR_RESPONSE_HEAD + cbor.wide(message.id) + b"\x66output" + blob(message.output)
    if encoding is Encoding.CBOR and isinstance(message, ErrorFrame):
        return _cbor_error(message)
    tag, value = _server_document(message)
    body = dump_document({"body": {"tag": tag, "val": value}}, encoding)
    return body.decode() if encoding is Encoding.JSON else body


def _server_document(message: ToClient) -> tuple[str, dict[str, Any]]:
    if isinstance(message, ActionResponse):
        # JSON has no big integers: ids travel in the compat form, whatever their size (WIRE-422).
        return "ActionResponse", {"id": ["$BigInt", str(message.id)], "output": to_wire(message.output)}
    if isinstance(message, Event):
        return "Event", {"name": message.name, "args": to_wire(message.args)}
    if isinstance(message, Init):
        return "Init", {"actorId": message.actor_id, "connectionId": message.connection_id}
    action_id = None if message.action_id is None else ["$BigInt", str(message.action_id)]
    return "Error", {**error_document(message.error), "actionId": action_id}


def _cbor_error(message: ErrorFrame) -> bytes:
    document = error_document(message.error)
    # A map head of up to 23 members fits into one byte; an error has six at most.
    head = b"\xa1\x64body\xa2\x63tag\x65Error\x63val" + bytes([0xA0 + len(document) + 1])
    members = b"".join(cbor.dumps(name) + cbor.dumps(value) for name, value in document.items())
    action_id = b"\xf6" if message.action_id is None else cbor.wide(message.action_id)
    return head + members + b"\x68actionId" + action_id


def _bare_to_client(message: ToClient) -> bytes:
    writer = Writer(VERSION_PREFIX)
    if isinstance(message, ActionResponse):
        return writer.byte(2).uint(message.id).data(blob(message.output)).finish()
    if isinstance(message, Event):
        return writer.byte(3).str(message.name).data(blob(message.args)).finish()
    if isinstance(message, Init):
        return writer.byte(0).str(message.actor_id).str(message.connection_id).finish()
    writer.byte(1)
    write_error_tail(writer, message.error)
    if message.action_id is None:
        writer.byte(0)
    else:
        writer.byte(1).uint(message.action_id)
    write_actor(writer, message.error.actor)
    return writer.finish()


def decode_to_server(frame: Frame, encoding: Encoding) -> ToServer:
    """Decode a client frame.

    Raises:
        ValueTagError: A well-formed action request with an unknown value tag; it carries the action id.
        DecodeError: Anything else that is not a client frame (WIRE-531).
    """
    if encoding is Encoding.BARE:
        return _bare_to_server(frame)
    document = load_document(frame, encoding)
    body = member(document, "body", dict)
    # Unknown members are not looked at, so that a newer client may send more than this version knows.
    value = member(body, "val", dict)
    tag = body.get("tag")
    if tag == "ActionRequest":
        action_id = integer(value.get("id"))
        # The id first: arguments with an unknown tag fail this one action, which has to be named for that (WIRE-401).
        return ActionRequest(action_id, member(value, "name", str), args_of(value_of(value.get("args"), action_id)))
    if tag == "SubscriptionRequest":
        return SubscriptionRequest(member(value, "eventName", str), member(value, "subscribe", bool))
    raise DecodeError(f"unknown message tag {tag!r}")


def _bare_to_server(frame: Frame) -> ToServer:
    reader, _ = open_versioned(frame, _OLDEST)
    tag = reader.byte()
    # Trailing bytes are ignored here, as the peer does; the client is stricter (WIRE-413).
    if tag == 0:
        action_id, name = reader.uint(), reader.str()
        return ActionRequest(action_id, name, args_of(load_value(reader.data(), action_id)))
    if tag == 1:
        return SubscriptionRequest(reader.str(), reader.bool())
    raise DecodeError(f"unknown message tag {tag}")


def encode_to_server(message: ToServer, encoding: Encoding) -> Frame:
    """Encode a client frame."""
    if encoding is Encoding.BARE:
        writer = Writer(VERSION_PREFIX)
        if isinstance(message, ActionRequest):
            return writer.byte(0).uint(message.id).str(message.name).data(blob(message.args)).finish()
        return writer.byte(1).str(message.event_name).bool(message.subscribe).finish()
    if isinstance(message, ActionRequest):
        if encoding is Encoding.CBOR:
            name = cbor.dumps(message.name)
            return _CBOR_REQUEST_HEAD + cbor.wide(message.id) + b"\x64name" + name + b"\x64args" + blob(message.args)
        tag = "ActionRequest"
        value = {"id": ["$BigInt", str(message.id)], "name": message.name, "args": to_wire(message.args)}
    else:
        tag, value = "SubscriptionRequest", {"eventName": message.event_name, "subscribe": message.subscribe}
    body = dump_document({"body": {"tag": tag, "val": value}}, encoding)
    return body.decode() if encoding is Encoding.JSON else body


def decode_to_client(frame: Frame, encoding: Encoding) -> ToClient:
    """Decode a server frame; raises `DecodeError`."""
    if encoding is Encoding.BARE:
        return _bare_from_server(frame)
    document = load_document(frame, encoding, STORED)
    body = member(document, "body", dict)
    value = member(body, "val", dict)
    tag = body.get("tag")
    if tag == "ActionResponse":
        return ActionResponse(integer(value.get("id")), value_of(value.get("output", UNDEFINED)))
    if tag == "Event":
        return Event(member(value, "name", str), _event_args(value_of(value.get("args"))))
    if tag == "Init":
        return Init(member(value, "actorId", str), member(value, "connectionId", str))
    if tag == "Error":
        raw = value.get("actionId")
        return ErrorFrame(error_of(value), None if raw is None or raw is UNDEFINED else integer(raw))
    raise DecodeError(f"unknown message tag {tag!r}")


def _bare_from_server(frame: Frame) -> ToClient:
    reader, version = open_versioned(frame, _OLDEST)
    tag = reader.byte()
    message: ToClient
    if tag == 0:
        message = Init(reader.str(), reader.str())
        # Version 1 has one more text here, which nothing needs any more (WIRE-411).
        if version == 1:
            reader.str()
    elif tag == 1:
        group, code, text = reader.str(), reader.str(), reader.str()
        metadata = read_metadata(reader)
        action_id = reader.uint() if reader.bool() else None
        actor = read_actor(reader) if version >= 4 else None
        message = ErrorFrame(WireError(group, code, text, metadata, actor), action_id)
    elif tag == 2:
        message = ActionResponse(reader.uint(), load_value(reader.data(), limits=STORED))
    elif tag == 3:
        message = Event(reader.str(), _event_args(load_value(reader.data(), limits=STORED)))
    else:
        raise DecodeError(f"unknown message tag {tag}")
    finish_client(reader)
    return message


def _event_args(value: Any) -> list[Any]:
    # No leniency as for arguments (WIRE-316): events are sent by runtimes, and a malformed one is a fault of theirs.
    if type(value) is not list:
        raise DecodeError("event arguments must be a list")
    return value
