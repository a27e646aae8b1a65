"""Bodies of actor HTTP requests and responses in both directions (WIRE sections 6 and 7.1)."""

from __future__ import annotations

from typing import Any

from runtime.protocol.bare import Writer
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import QueueResult, QueueSend, WireError
from runtime.protocol.payload import (
    VERSION_PREFIX,
    args_of,
    blob,
    dump_document,
    error_document,
    error_of,
    finish_client,
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

_OLDEST = 1
_OLDEST_QUEUE = 3


def encode_action_request(args: list[Any], encoding: Encoding) -> bytes:
    """The body of an action call."""
    if encoding is Encoding.BARE:
        return Writer(VERSION_PREFIX).data(blob(args)).finish()
    return dump_document({"args": to_wire(args)}, encoding)


def decode_action_request(body: bytes, encoding: Encoding) -> list[Any]:
    """The positional arguments of an action call (WIRE-316); raises `ValueTagError` or `DecodeError`."""
    if encoding is Encoding.BARE:
        reader, _ = open_versioned(body, _OLDEST)
        return args_of(load_value(reader.data()))
    document = load_document(body, encoding)
    if isinstance(document, dict):
        return args_of(value_of(document.get("args")))
    # A bare list has no member `args`, which is the same as none (WIRE-316).
    if isinstance(document, list):
        return []
    raise DecodeError("an action request must be an object")


def encode_action_response(output: Any, encoding: Encoding) -> bytes:
    """The answer to an action call; raises `ValueError` when the output has no form in this encoding."""
    if encoding is Encoding.JSON:
        # Written around the value: the most frequent body needs no document built for it.
        return b'{"output":' + dump_document(to_wire(output), encoding) + b"}"
    if encoding is Encoding.BARE:
        return Writer(VERSION_PREFIX).data(blob(output)).finish()
    return b"\xa1\x66output" + blob(output)


def decode_action_response(body: bytes, encoding: Encoding) -> Any:
    """The output of an action call."""
    if encoding is Encoding.BARE:
        reader, _ = open_versioned(body, _OLDEST)
        output = load_value(reader.data(), limits=STORED)
        finish_client(reader)
        return output
    document = load_document(body, encoding, STORED)
    if not isinstance(document, dict):
        raise DecodeError("an action response must be an object")
    return value_of(document.get("output", UNDEFINED))


def encode_queue_request(send: QueueSend, encoding: Encoding, name: str | None = None) -> bytes:
    """The body of a queue send; `name` is the redundant member that servers ignore (WIRE-330)."""
    if encoding is Encoding.BARE:
        writer = Writer(VERSION_PREFIX).data(blob(send.body))
        # Servers go by the path (WIRE-330).
        if name is None:
            writer.byte(0)
        else:
            writer.byte(1).str(name)
        writer.byte(1).bool(send.wait)
        return (writer.byte(0) if send.timeout_ms is None else writer.byte(1).u64(send.timeout_ms)).finish()
    document: dict[str, Any] = {"body": to_wire(send.body)}
    if name is not None:
        document["name"] = name
    document["wait"] = send.wait
    if send.timeout_ms is not None:
        document["timeout"] = send.timeout_ms
    return dump_document(document, encoding)


def decode_queue_request(body: bytes, encoding: Encoding) -> QueueSend:
    """A queue send (WIRE-331): missing body is null, timeout an unsigned integer."""
    if encoding is Encoding.BARE:
        # Queue messages came with version 3 (WIRE-411).
        reader, _ = open_versioned(body, _OLDEST_QUEUE)
        value = load_value(reader.data())
        if reader.bool():
            reader.str()
        # An optional bool: present, and then true.
        waits = reader.bool() and reader.bool()
        return QueueSend(value, waits, reader.u64() if reader.bool() else None)
    document = load_document(body, encoding)
    if not isinstance(document, dict):
        raise DecodeError("a queue send must be an object")
    # The JS client writes members it was not given as `undefined`.
    given = {name: value for name, value in document.items() if value is not None and value is not UNDEFINED}
    wait, timeout_ms = given.get("wait", False), given.get("timeout")
    # Truthy is not enough: `"false"` would wait.
    if type(wait) is not bool:
        raise DecodeError("member 'wait' must be a boolean")
    if timeout_ms is not None and (type(timeout_ms) is not int or not 0 <= timeout_ms < 2**64):
        raise DecodeError("member 'timeout' must be an unsigned integer")
    return QueueSend(value_of(given.get("body")), wait, timeout_ms)


def encode_queue_response(result: QueueResult, encoding: Encoding) -> bytes:
    """The answer to a queue send; `response` is absent when completed without one (WIRE-335)."""
    if encoding is Encoding.BARE:
        writer = Writer(VERSION_PREFIX).str(result.status)
        return (writer.byte(0) if result.response is UNDEFINED else writer.byte(1).data(blob(result.response))).finish()
    document: dict[str, Any] = {"status": result.status}
    if result.response is not UNDEFINED:
        document["response"] = to_wire(result.response)
    return dump_document(document, encoding)


def decode_queue_response(body: bytes, encoding: Encoding) -> QueueResult:
    """The outcome of a queue send."""
    if encoding is Encoding.BARE:
        reader, _ = open_versioned(body, _OLDEST_QUEUE)
        status = reader.str()
        response = load_value(reader.data(), limits=STORED) if reader.bool() else UNDEFINED
        finish_client(reader)
        return QueueResult(status, response)
    document = load_document(body, encoding, STORED)
    return QueueResult(member(document, "status", str), value_of(document.get("response", UNDEFINED)))


def encode_error(error: WireError, encoding: Encoding) -> bytes:
    """An error body."""
    if encoding is not Encoding.BARE:
        return dump_document(error_document(error), encoding)
    writer = Writer(VERSION_PREFIX)
    write_error_tail(writer, error)
    write_actor(writer, error.actor)
    return writer.finish()


def decode_error(body: bytes, encoding: Encoding) -> WireError:
    """An error body; raises `DecodeError` when it is none."""
    if encoding is not Encoding.BARE:
        return error_of(load_document(body, encoding, STORED))
    reader, version = open_versioned(body, _OLDEST)
    group, code, message = reader.str(), reader.str(), reader.str()
    metadata = read_metadata(reader)
    # Errors name their actor since version 4.
    actor = read_actor(reader) if version >= 4 else None
    finish_client(reader)
    return WireError(group, code, message, metadata, actor)
