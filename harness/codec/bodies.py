"""Bodies of actor HTTP requests and answers (WIRE sections 6 and 7.1)."""

from __future__ import annotations

from typing import Any

from client import UNDEFINED, Encoding
from harness.codec.documents import dump_document, dump_value, load_document, load_value, members
from harness.codec.envelope import OLDEST, OLDEST_QUEUE, args_of, error_of, opened, read_actor, read_metadata, versioned
from harness.codec.errors import SchemaError
from harness.codec.messages import QueueResult, QueueSend, WireError
from harness.codec.values import from_wire, to_wire

STATUSES = ("completed", "timedOut")


def encode_action_request(args: list[Any], encoding: str) -> bytes:
    """The body of an action call."""
    if encoding == Encoding.BARE:
        return versioned().data(dump_value(args)).finish()
    return dump_document({"args": to_wire(args)}, encoding)


def decode_action_request(body: bytes, encoding: str) -> list[Any]:
    """The arguments of an action call, strictly; raises `SchemaError`."""
    if encoding == Encoding.BARE:
        reader = opened(body, OLDEST)
        args = load_value(reader.data())
        reader.finish("an action request")
        return args_of(args)
    document = load_document(body, encoding)
    if isinstance(document, list):
        return []
    return args_of(from_wire(members(document, "an action request", {}, {"args": object}).get("args")))


def decode_action_response(body: bytes, encoding: str) -> Any:
    """The output of an action, strictly; raises `SchemaError`."""
    if encoding == Encoding.BARE:
        reader = opened(body)
        output = load_value(reader.data())
        reader.finish("an action response")
        return output
    return from_wire(members(load_document(body, encoding), "an action response", {"output": object})["output"])


def encode_queue_request(send: QueueSend, encoding: str) -> bytes:
    """The body of a queue send."""
    if encoding == Encoding.BARE:
        writer = versioned().data(dump_value(send.body)).bool(False).bool(True).bool(send.wait)
        return (writer.bool(False) if send.timeout_ms is None else writer.bool(True).u64(send.timeout_ms)).finish()
    document: dict[str, Any] = {"body": to_wire(send.body), "wait": send.wait}
    if send.timeout_ms is not None:
        document["timeout"] = send.timeout_ms
    return dump_document(document, encoding)


def decode_queue_request(body: bytes, encoding: str) -> QueueSend:
    """A queue send, strictly; raises `SchemaError`."""
    if encoding == Encoding.BARE:
        reader = opened(body, OLDEST_QUEUE)
        value = load_value(reader.data())
        if reader.bool():
            reader.str()
        wait = reader.bool() and reader.bool()
        timeout = reader.u64() if reader.bool() else None
        reader.finish("a queue send")
        return QueueSend(value, wait, timeout)
    document = load_document(body, encoding)
    # The npm client writes members it was not given as `undefined`.
    given = {name: one for name, one in document.items() if one is not UNDEFINED} if isinstance(document, dict) else document
    found = members(given, "a queue send", {}, {"body": object, "wait": bool, "timeout": int, "name": str})
    return QueueSend(from_wire(found.get("body")), found.get("wait", False), found.get("timeout"))


def decode_queue_response(body: bytes, encoding: str) -> QueueResult:
    """The outcome of a queue send, strictly; raises `SchemaError`."""
    if encoding == Encoding.BARE:
        reader = opened(body)
        status = reader.str()
        response = load_value(reader.data()) if reader.bool() else UNDEFINED
        reader.finish("a queue response")
    else:
        found = members(load_document(body, encoding), "a queue response", {"status": str}, {"response": object})
        status, response = found["status"], from_wire(found.get("response", UNDEFINED))
    if status not in STATUSES:
        raise SchemaError(f"the status of a queue send is one of {', '.join(STATUSES)}, not {status!r}")
    return QueueResult(status, response)


def decode_error(body: bytes, encoding: str) -> WireError:
    """The body of an error answer, strictly; raises `SchemaError`."""
    if encoding != Encoding.BARE:
        return error_of(load_document(body, encoding), "an error")
    reader = opened(body)
    error = WireError(reader.str(), reader.str(), reader.str(), read_metadata(reader), read_actor(reader))
    reader.finish("an error")
    return error
