"""Suite wire-closes: how raw sockets are opened, what travels on them, and the code and reason of each end, seen from both sides."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest

from client.transport import Transport
from harness import any_encoding, requirement, suite
from harness.codec.addresses import direct_path
from harness.testing.interpreter import made, op, play, put, ref, trace, traced

pytestmark = [suite("wire-closes"), any_encoding]


@asynccontextmanager
async def raw(conform, actor, *entries, path="/websocket/"):
    """A raw socket of an actor."""
    transport = Transport(conform.transcript)
    try:
        yield await transport.open(conform.endpoint + direct_path(await actor.resolve(), path, conform.token), ["rivet", *entries], {})
    finally:
        await transport.close()


async def ended(socket):
    """Code and reason; nothing may come before."""
    assert await socket.receive() is None
    return socket.close_code, socket.close_reason


@requirement("WIRE-606", "WIRE-540")
@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, (1000, "")),
        ({"code": 4000, "reason": "my reason"}, (4000, "my reason")),
        ({"code": 3001}, (3001, "")),
        ({"code": 4999, "reason": "é"}, (4999, "é")),
    ],
    ids=["none", "both", "code", "letters"],
)
async def test_an_actor_closes(conform, given, seen):
    """Code and reason come as they were given; without them it is 1000 and nothing."""
    actor = made(conform, onMessage=[op("socket.send", data="last"), op("socket.close", **given)])
    async with raw(conform, actor) as socket:
        await socket.send("go")
        assert await socket.receive() == "last"
        assert await ended(socket) == seen


@requirement("WIRE-607", "WIRE-267")
@pytest.mark.parametrize(
    ("code", "reason", "seen"),
    [(1000, "", (1000, "")), (1000, "bye", (1000, "bye")), (4001, "mine", (4001, "mine")), (3000, "", (3000, ""))],
    ids=["plain", "reason", "both", "code"],
)
async def test_a_client_closes(conform, eventually, code, reason, seen):
    """The actor hears of code and reason, once."""
    actor = made(conform, onClose=[trace("closed", ref("close"))])
    async with raw(conform, actor) as socket:
        await socket.send("hello")
        await socket.close(code, reason)
    [record] = await eventually(lambda: traced(conform), until=bool, what="the close")
    assert (record["value"]["code"], record["value"]["reason"]) == seen
    assert await play(actor, op("return", value=1)) == 1
    assert len(await traced(conform)) == 1


@requirement("WIRE-604", "WIRE-624")
async def test_frames_keep_their_kind(conform):
    """Texts stay texts and bytes bytes, empty and equal ones, too, in their order and beyond the limits of messages."""
    actor = made(conform, onMessage=[op("socket.send", data=ref("message.data"))])
    sent = ["a", b"a", "", b"", "é", "é".encode(), b"\xff\x00", '{"a":1}', "x" * 70_000, b"y" * 70_000, "z" * 1_100_000]
    async with raw(conform, actor) as socket:
        for data in sent:
            await socket.send(data)
        assert [await socket.receive() for _ in sent] == sent


@requirement("WIRE-603", "WIRE-506")
@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"kind": "user", "code": "denied"}, "user.denied"),
        ({"kind": "internal", "message": "secret"}, "rivetkit.internal_error"),
        ({"kind": "forbidden"}, "auth.forbidden"),
    ],
    ids=["user", "internal", "forbidden"],
)
async def test_a_refused_socket(conform, fault, name):
    """It ends with the name of the error and without a frame."""
    async with raw(conform, made(conform, onBeforeConnect=[op("throw", **fault)])) as socket:
        assert await ended(socket) == (1011, name)


@requirement("WIRE-603", "WIRE-602")
@pytest.mark.parametrize("text", ["%7B", "x", "%FF"])
async def test_parameters_that_cannot_be_read(conform, text):
    """They end a raw socket as a fault, without a ray."""
    async with raw(conform, made(conform), f"rivet_conn_params.{text}") as socket:
        assert await ended(socket) == (1011, "core.internal_error")


@requirement("WIRE-602", "WIRE-501")
async def test_parameters_of_a_raw_socket(conform, eventually):
    """They are those of the entry, null without one; the encoding is none of its matters."""
    actor = made(conform, onWebSocket=[trace("open", ref("conn.params"))])
    values = [{"a": [1, "é/"]}, 0, "", False]
    for value in values:
        async with raw(conform, actor, "rivet_encoding.nonsense", "rivet_conn_params." + quote(json.dumps(value), safe="")) as socket:
            await socket.send("x")
    async with raw(conform, actor) as socket:
        await socket.send("x")
    records = await eventually(lambda: traced(conform), until=lambda found: len(found) == 5, what="the sockets")
    assert sorted(json.dumps(record["value"]) for record in records) == sorted(map(json.dumps, [*values, None]))


@requirement("WIRE-608")
async def test_a_listener_that_raises(conform, eventually):
    """Its socket goes on."""
    actor = made(conform, onMessage=[trace("heard"), op("throw", kind="internal", message="secret")])
    async with raw(conform, actor) as socket:
        await socket.send("a")
        await eventually(lambda: traced(conform), until=bool, what="the listener")
        await put(actor, "onMessage", op("socket.send", data=ref("message.data")))
        await socket.send("b")
        assert await socket.receive() == "b"
        assert socket.close_code is None


@requirement("WIRE-610")
@pytest.mark.parametrize(
    ("fault", "name"),
    [({"kind": "user", "code": "mine"}, "user.mine"), ({"kind": "internal"}, "rivetkit.internal_error")],
    ids=["user", "internal"],
)
async def test_an_open_handler_that_raises(conform, fault, name):
    """What it sent before comes, then the end with the name of the error."""
    actor = made(conform, onWebSocket=[op("socket.send", data="first"), op("throw", **fault)])
    async with raw(conform, actor) as socket:
        assert await socket.receive() == "first"
        assert await ended(socket) == (1011, name)


@requirement("WIRE-611", "WIRE-620", "WIRE-540")
@pytest.mark.parametrize("end", ["sleep", "destroy"])
async def test_a_raw_socket_of_an_actor_that_stops(conform, boundary, end):
    """It ends with 1000 and `actor.stopped` when the actor sleeps or is destroyed."""
    actor = made(conform)
    async with raw(conform, actor) as socket:
        await socket.send("x")
        await (boundary.sleep(actor, via="api") if end == "sleep" else boundary.destroy(actor, via="api"))
        assert await ended(socket) == (1000, "actor.stopped")


@requirement("WIRE-600", "WIRE-601", "WIRE-500")
@pytest.mark.parametrize("path", ["/websocket/", "/websocket/a%20b/c?x=1&y", "/connect/", "/connectx", "/", "/action/exec", "/request/x"])
async def test_paths_of_raw_sockets(conform, path):
    """Every path but that of connections is a raw socket."""
    async with raw(conform, made(conform, onMessage=[op("socket.send", data="raw")]), path=path) as socket:
        await socket.send("x")
        assert await socket.receive() == "raw"
