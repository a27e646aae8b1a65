"""Suite wire-frames: the frames of a connection byte by byte, in every encoding."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from client.transport import Transport
from harness import encodings, requirement, suite
from harness.testing.codecs import (
    ActionRequest,
    ActionResponse,
    Encoding,
    ErrorFrame,
    Init,
    decode_to_client,
    encode_to_server,
    load_value,
)

pytestmark = suite("wire-frames")

INVALID = (1011, "actor.invalid_request")


@asynccontextmanager
async def opened(conform, name="counter", entries=None, path="/connect"):
    """A `/connect` socket of the test's actor from which nothing was read."""
    actor_id = await conform.get_or_create(name).resolve()
    transport = Transport(None)
    given = [f"rivet_encoding.{conform.encoding}"] if entries is None else entries
    try:
        socket = await transport.open(f"{conform.endpoint}/gateway/{actor_id}{path}", ["rivet", *given], {})
        yield socket
        await socket.close()
    finally:
        await transport.close()


async def next_frame(conform, socket):
    """The next message, decoded."""
    return decode_to_client(await socket.receive(), Encoding(conform.encoding))


def request(conform, number, name, *args):
    """An action request."""
    return encode_to_server(ActionRequest(number, name, list(args)), Encoding(conform.encoding))


@requirement("WIRE-414", "WIRE-410", "WIRE-411")
@encodings("bare")
async def test_no_version_handshake(conform):
    """The first frame is `Init` in version 4; every request has a version of its own and is answered in version 4."""
    async with opened(conform) as socket:
        assert (await socket.receive())[:3] == b"\x04\x00\x00"
        for number, version in enumerate((1, 4, 2, 3), 1):
            await socket.send(bytes((version, 0, 0, number)) + b"\x08getCount\x01\x80")
            assert await socket.receive() == bytes((4, 0, 2, number)) + b"\x01\x00"


@requirement("WIRE-420", "WIRE-424", "WIRE-421")
async def test_event_arguments_are_a_list(conform):
    """Arguments of requests and events are lists; the frames of an event and its response are these."""
    async with opened(conform) as socket:
        await socket.receive()
        if conform.encoding == "json":
            await socket.send('{"body":{"tag":"SubscriptionRequest","val":{"eventName":"newCount","subscribe":true}}}')
            await socket.send('{"body":{"tag":"ActionRequest","val":{"id":7,"name":"increment","args":[5]}}}')
            event, response = json.loads(await socket.receive()), json.loads(await socket.receive())
            assert event == {"body": {"tag": "Event", "val": {"name": "newCount", "args": [5]}}}
            assert response == {"body": {"tag": "ActionResponse", "val": {"id": ["$BigInt", "7"], "output": 5}}}
        elif conform.encoding == "cbor":
            call = b"\xa3\x62id\x07\x64name\x69increment\x64args\x81\x05"
            await socket.send(
                b"\xa1\x64body\xa2\x63tag\x73SubscriptionRequest\x63val\xa2\x69eventName\x68newCount\x69subscribe\xf5"
            )  # fmt: skip
            await socket.send(b"\xa1\x64body\xa2\x63tag\x6dActionRequest\x63val" + call)
            event, response = await socket.receive(), await socket.receive()
            assert load_value(event) == {"body": {"tag": "Event", "val": {"name": "newCount", "args": [5]}}}
            # Only the eight-byte form is a big integer for a JS client.
            assert b"\x62id\x1b\x00\x00\x00\x00\x00\x00\x00\x07" in response
        else:
            await socket.send(b"\x04\x00\x01\x08newCount\x01")
            await socket.send(b"\x04\x00\x00\x07\x09increment\x02\x81\x05")
            assert await socket.receive() == b"\x04\x00\x03\x08newCount\x02\x81\x05"
            assert await socket.receive() == b"\x04\x00\x02\x07\x01\x05"


@requirement("WIRE-421", "WIRE-422")
@encodings("json", "cbor")
async def test_ids_of_errors(conform):
    """The error of an action carries its id as a big integer, the error of the connection null."""
    json_encoded = conform.encoding == "json"
    async with opened(conform) as socket:
        await socket.receive()
        await socket.send(request(conform, 9, "nothing"))
        frame = await socket.receive()
        if json_encoded:
            assert json.loads(frame)["body"]["val"]["actionId"] == ["$BigInt", "9"]
        else:
            assert b"\x68actionId\x1b\x00\x00\x00\x00\x00\x00\x00\x09" in frame
    async with opened(conform, "beforeConnectTimeoutActor") as socket:
        frame = await socket.receive()
        if json_encoded:
            assert json.loads(frame)["body"]["val"]["actionId"] is None
        else:
            assert b"\x68actionId\xf6" in frame


@requirement("WIRE-422")
@encodings("json")
@pytest.mark.parametrize("number", ["7", '["$BigInt","7"]'], ids=["plain", "tagged"])
async def test_forms_of_ids(conform, number):
    """A request may number itself by a plain number or a tagged one."""
    async with opened(conform) as socket:
        await socket.receive()
        await socket.send('{"body":{"tag":"ActionRequest","val":{"name":"getCount","args":[],"id":' + number + "}}}")
        assert json.loads(await socket.receive())["body"]["val"] == {"id": ["$BigInt", "7"], "output": 0}


@requirement("WIRE-422", "WIRE-531")
@encodings("json")
@pytest.mark.parametrize("number", ["-1", "1.5", '["$BigInt","-1"]', '"7"', "null"], ids=["negative", "fraction", "tagged", "text", "null"])
async def test_ids_that_are_none(conform, number):
    """A request without a usable id cannot be answered: the connection is closed."""
    async with opened(conform) as socket:
        await socket.receive()
        await socket.send('{"body":{"tag":"ActionRequest","val":{"name":"getCount","args":[],"id":' + number + "}}}")
        assert await socket.receive() is None
        assert (socket.close_code, socket.close_reason) == INVALID


@requirement("WIRE-424")
async def test_frame_types(conform):
    """JSON is text and is also taken in binary frames; the others are binary, and text on a BARE connection is no message."""
    async with opened(conform) as socket:
        assert isinstance(await socket.receive(), str if conform.encoding == "json" else bytes)
        frame = request(conform, 1, "getCount")
        if conform.encoding == "json":
            await socket.send(frame if isinstance(frame, bytes) else frame.encode())
        else:
            await socket.send(frame)
        answer = await socket.receive()
        assert isinstance(answer, str if conform.encoding == "json" else bytes)
        assert decode_to_client(answer, Encoding(conform.encoding)) == ActionResponse(1, 0)
        if conform.encoding == "bare":
            await socket.send("text")
            assert await socket.receive() is None
            assert (socket.close_code, socket.close_reason) == INVALID


@requirement("WIRE-500")
async def test_only_the_exact_path_connects(conform):
    """`/connect` with or without a query is the connection protocol, `/connect/` a raw socket."""
    for path in ("/connect", "/connect?x=1"):
        async with opened(conform, "accessControlActor", path=path) as socket:
            assert isinstance(await next_frame(conform, socket), Init)
    async with opened(conform, "accessControlActor", path="/connect/") as socket:
        assert json.loads(await socket.receive()) == {"type": "welcome"}


@requirement("WIRE-502")
async def test_unknown_entries_are_ignored(conform):
    """Sub-protocol entries of no meaning change nothing."""
    async with opened(
        conform, entries=["rivet_unknown.x", "other", f"rivet_encoding.{conform.encoding}", "rivet_test_ack_hook.abc"]
    ) as socket:
        assert isinstance(await next_frame(conform, socket), Init)
        await socket.send(request(conform, 1, "increment", 2))
        assert await next_frame(conform, socket) == ActionResponse(1, 2)


@requirement("WIRE-520", "WIRE-521")
async def test_requests_run_at_once(conform):
    """A later request may be answered first; the same number twice is answered twice."""
    async with opened(conform, "errorHandlingActor") as socket:
        await socket.receive()
        for number, name, args in (
            (1, "delayedAction", [300]),
            (2, "successfulAction", []),
            (2, "successfulAction", []),
            (3, "nothing", []),
        ):
            await socket.send(request(conform, number, name, *args))
        answers = [await next_frame(conform, socket) for _ in range(4)]
        numbers = [answer.action_id if isinstance(answer, ErrorFrame) else answer.id for answer in answers]
        assert sorted(numbers) == [1, 2, 2, 3]
        assert numbers[-1] == 1
