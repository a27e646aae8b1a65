"""Suite raw-websocket: sockets that the actor handles itself."""

from __future__ import annotations

import asyncio
import json

import pytest

from harness import any_encoding, capability, depends_on, requirement, suite

pytestmark = [suite("raw-websocket"), depends_on("raw-websocket::test_socket_is_greeted")]


async def receive(socket):
    """One JSON message."""
    return json.loads(await socket.recv())


async def ask(socket, message):
    """Send one JSON message and get one."""
    await socket.send(json.dumps(message))
    return await receive(socket)


async def opened(conform, name="rawWebSocketActor", path="", **options):
    """A socket whose greeting was read."""
    socket = await conform.get_or_create(name, **options).web_socket(path)
    assert (await receive(socket))["type"] == "welcome"
    return socket


@requirement("RAWWS-001", "RAWWS-006", "RAWWS-004", "WIRE-600")
@any_encoding
async def test_socket_is_greeted(conform):
    """The handler may send at once."""
    socket = await conform.get_or_create("rawWebSocketActor").web_socket()
    assert await receive(socket) == {"type": "welcome", "connectionCount": 1}
    await socket.close()


@requirement("RAWWS-020", "WIRE-604")
@any_encoding
async def test_text_and_binary_keep_their_type(conform):
    """Text comes back as text, bytes as bytes, empty messages included."""
    socket = await opened(conform)
    for message in ("hello", "", "ünï", b"\x00\x01\xff", b""):
        await socket.send(message)
        assert await socket.recv() == message
    await socket.close()


@requirement("RAWWS-020")
@any_encoding
async def test_order_is_kept(conform):
    """Messages come back in the order they were sent."""
    socket = await opened(conform)
    for number in range(50):
        await socket.send(f"message {number}")
    assert [await socket.recv() for _ in range(50)] == [f"message {number}" for number in range(50)]
    await socket.close()


@requirement("RAWWS-003")
async def test_stats_are_shared_by_sockets(conform, eventually):
    """Sockets of one actor share its state; a closed one is no longer counted."""
    # Both at once and soon: sockets do not keep this actor awake.
    await conform.get_or_create("rawWebSocketActor").action("getStats")
    first, second = await asyncio.gather(opened(conform), opened(conform))
    stats = await ask(first, {"type": "getStats"})
    assert stats == {"type": "stats", "connectionCount": 2, "messageCount": 1}
    await second.close()
    actor = conform.get_or_create("rawWebSocketActor")
    await eventually(lambda: actor.action("getStats"), until=lambda s: s["connectionCount"] == 1, what="the close")
    await first.close()


@requirement("RAWWS-002", "WIRE-601")
@any_encoding
@pytest.mark.parametrize(
    ("path", "pathname", "search"), [("", "/websocket/", ""), ("custom/path?token=abc", "/websocket/custom/path", "?token=abc")]
)
async def test_request_of_the_upgrade(conform, path, pathname, search):
    """The handler sees the full path with its prefix and query."""
    socket = await opened(conform, path=path)
    info = await ask(socket, {"type": "getRequestInfo"})
    assert (info["pathname"], info["search"]) == (pathname, search)
    await socket.close()


@requirement("HIB-030", "HIB-039", "HIB-033")
@any_encoding
async def test_messages_are_numbered(conform):
    """Client messages are numbered from 1, binary ones included."""
    socket = await opened(conform)
    assert (await ask(socket, {"type": "indexedEcho", "payload": "a"}))["rivetMessageIndex"] == 1
    await socket.send(b"\x00")
    await socket.recv()
    assert (await ask(socket, {"type": "indexedEcho"})) == {"type": "indexedEcho", "payload": None, "rivetMessageIndex": 3}
    assert (await ask(socket, {"type": "getIndexedMessageOrder"}))["order"] == [1, 3]
    await socket.close()


@requirement("RAWWS-021")
@any_encoding
async def test_large_messages_pass(conform):
    """Message limits do not apply to raw sockets."""
    socket = await opened(conform)
    for size in (70_000, 200_000, 508_000):
        await socket.send(b"x" * size)
        assert len(await socket.recv()) == size
    await socket.close()


@requirement("RAWWS-020")
@any_encoding
async def test_binary_actor_reverses(conform):
    """A handler may answer binary messages and ignore text."""
    socket = await conform.get_or_create("rawWebSocketBinaryActor").web_socket()
    await socket.send("ignored")
    await socket.send(b"\x01\x02\x03")
    assert await socket.recv() == b"\x03\x02\x01"
    await socket.send(b"")
    assert await socket.recv() == b""
    await socket.close()


@requirement("RAWWS-005")
async def test_asynchronous_open_handler(conform):
    """The handler may be asynchronous."""
    actor = conform.get_or_create("rawWebSocketAsyncOpenActor")
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "async-open", "openCount": 1}
    assert await actor.action("getOpenCount") == 1
    await socket.close()


@requirement("RAWWS-003", "CONN-015", "CONN-050")
@any_encoding
async def test_connection_of_a_socket(conform):
    """The handler's connection has an id and writable state."""
    socket = await conform.get_or_create("rawWebSocketConnContextActor").web_socket()
    context = await receive(socket)
    assert context["state"] == {"opened": True, "connId": context["connId"]}
    assert len(context["connId"]) == 36
    await socket.close()


@requirement("RAWWS-008", "WIRE-609")
async def test_actor_without_a_handler(conform, clock):
    """Without a handler the socket is accepted and stays open, silently."""
    actor = conform.get_or_create("counter")
    socket = await actor.web_socket()
    await socket.send("anything")
    await clock.sleep(0.2)
    assert socket.close_code is None
    await socket.close()
    assert await actor.action("getCount") == 0


@requirement("RAWWS-023", "RAWWS-024", "WIRE-608")
@any_encoding
async def test_failing_listener_leaves_the_socket_open(conform):
    """A listener that raises is logged; later messages are handled."""
    actor = conform.get_or_create("sleepWsActiveDbExceedsGrace")
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "connected"}
    await socket.send("not json")
    await socket.send('{"type":"start-writes"}')
    assert await receive(socket) == {"type": "started"}
    await socket.close()


@requirement("RAWWS-009", "CONN-030", "ACCESS-004", "WIRE-603")
@any_encoding
async def test_refused_socket(conform):
    """A refused connection closes with 1011 and the error, without a message."""
    socket = await conform.get_or_create("accessControlActor", params={"allowWebSocket": False}).web_socket()
    assert await socket.wait_closed() == (1011, "auth.forbidden")


@requirement("WIRE-607", "WIRE-267")
@pytest.mark.parametrize("code", [1000, 3001, 4999])
async def test_client_close_codes(conform, eventually, code):
    """A client close with any code is noticed."""
    actor = conform.get_or_create("rawWebSocketActor")
    socket = await opened(conform)
    await socket.close(code, "bye")
    await eventually(lambda: actor.action("getStats"), until=lambda s: s["connectionCount"] == 0, what="the close")


@requirement("WIRE-267", "CONN-001")
async def test_lost_client_is_noticed(conform, eventually):
    """A client that vanishes without a close frame is disconnected."""
    actor = conform.get_or_create("rawWebSocketActor")
    socket = await opened(conform)
    socket.abort()
    await eventually(lambda: actor.action("getStats"), until=lambda s: s["connectionCount"] == 0, what="the lost client")


@requirement("RAWWS-051", "RAWWS-063", "RAWWS-050", "WIRE-612")
@capability("close_ack")
async def test_close_handler_writes_are_complete(conform, eventually):
    """The rows of a close handler are complete and in order once it finished."""
    for name in ("sleepWithRawWsCloseDb", "sleepWithRawWsCloseDbListener"):
        actor = conform.get_or_create(name)
        socket = await actor.web_socket()
        assert await receive(socket) == {"type": "connected"}
        await socket.close()
        actor = conform.get_or_create(name)
        await eventually(lambda actor=actor: actor.action("getStatus"), until=lambda s: s["closeFinished"] == 1, what="the close handler")
        events = [row["event"] for row in await actor.action("getLogEntries")]
        assert events[:3] == ["wake", "close-start", "close-finish"]
