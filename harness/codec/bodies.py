"""Bodies of actor HTTP requests and answers (WIRE sections 6 and 7.1)."""

from __future__ import annotations

from typing import Any

from harness.codec.messages import QueueResult, QueueSend, WireError, arguments, error_made, queue_result
from harness.codec.schema import read, write


def decode_action_request(body: bytes, encoding: str) -> list[Any]:
    """The arguments of an action call, strictly; raises `SchemaError`."""
    return arguments(read("HttpActionRequest", body, encoding)[1])


def decode_action_response(body: bytes, encoding: str) -> Any:
    """The output of an action, strictly; raises `SchemaError`."""
    return read("HttpActionResponse", body, encoding)[1]["output"]


def decode_queue_request(body: bytes, encoding: str) -> QueueSend:
    """A queue send, strictly; raises `SchemaError`."""
    found = read("HttpQueueSendRequest", body, encoding)[1]
    return QueueSend(found.get("body"), found.get("wait", False), found.get("timeout"))


def decode_queue_response(body: bytes, encoding: str) -> QueueResult:
    """The outcome of a queue send, strictly; raises `SchemaError`."""
    return queue_result(read("HttpQueueSendResponse", body, encoding)[1])


def decode_error(body: bytes, encoding: str) -> WireError:
    """The body of an error answer, strictly; raises `SchemaError`."""
    return error_made(read("HttpResponseError", body, encoding)[1])


def encode_action_request(args: list[Any], encoding: str) -> bytes:
    """The body of an action call."""
    return write("HttpActionRequest", "HttpActionRequest", {"args": args}, encoding)


def encode_queue_request(send: QueueSend, encoding: str) -> bytes:
    """The body of a queue send."""
    fields = {"body": send.body, "wait": send.wait, "timeout": send.timeout_ms}
    # Left out and not null: to a server null would be a time-out that somebody gave.
    given = {name: value for name, value in fields.items() if name != "timeout" or value is not None}
    return write("HttpQueueSendRequest", "HttpQueueSendRequest", given, encoding)
