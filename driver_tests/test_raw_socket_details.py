"""Suite raw-socket-details: invalid text, sends after the close, the close cycle at the end of a generation."""

from __future__ import annotations

import pytest
from websockets import ConnectionClosed
from websockets.asyncio.client import connect

from driver_tests.inspecting import inspect
from harness import capability, requirement, suite, timing, untimed

pytestmark = [suite("raw-socket-details"), timing]

CLOSE_DELAY = 0.25
"""How long the close handlers of these fixtures take, in seconds."""


async def greeted(actor, greeting='{"type":"connected"}'):
    """A raw socket whose greeting was read."""
    socket = await actor.web_socket()
    assert await socket.recv() == greeting
    return socket


@requirement("RAWWS-022", "WIRE-605")
@untimed
async def test_text_that_is_no_utf8(conform, eventually):
    """A text frame with invalid UTF-8 closes the socket with 1007 and is not delivered."""
    actor = conform.get_or_create("rawWebSocketActor")
    url = f"ws{conform.endpoint.removeprefix('http')}/gateway/{await actor.resolve()}/websocket/"
    async with connect(url, subprotocols=["rivet"], compression=None, open_timeout=30, proxy=None) as socket:
        await socket.recv()
        # A character may be split over the frames of one message.
        await socket.send([b"fine \xc3", b"\xa4"], text=True)
        assert await socket.recv() == "fine ä"
        await socket.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (1007, "message.invalid_utf8")
    stats = await eventually(lambda: actor.action("getStats"), until=lambda found: found["connectionCount"] == 0, what="the close")
    assert stats["messageCount"] == 1


@requirement("RAWWS-027", "RAWWS-026")
async def test_sends_after_the_close_do_nothing(conform, eventually):
    """Handlers that send on a socket which has closed meanwhile run to their end."""
    actor = conform.get_or_create("sleepWsMessageExceedsGrace")
    socket = await greeted(actor)
    for _ in range(20):
        await socket.send("slow-db-work")
    await socket.close()
    status = await eventually(lambda: actor.action("getStatus"), until=lambda found: found["messageFinished"] == 20, what="all handlers")
    assert (status["startCount"], status["messageStarted"]) == (1, 20)
    events = [row["event"] for row in await actor.action("getLogEntries")]
    assert (events.count("msg-start"), events.count("msg-finish")) == (20, 20)


@requirement("RAWWS-041", "RAWWS-050")
@pytest.mark.parametrize("lost", [False, True])
async def test_close_event_comes_once(conform, eventually, boundary, lost):
    """A closed and a lost socket each have one close event, also after the generation ended."""
    actor = conform.get_or_create("sleepWithRawWebSocket")
    stays = await greeted(actor, '{"type":"connected","connectionCount":1}')
    goes = await greeted(actor, '{"type":"connected","connectionCount":2}')
    if lost:
        goes.abort()
    else:
        await goes.close(3001, "x")
    await eventually(lambda: actor.action("getCounts"), until=lambda counts: counts["connectionCount"] == 1, what="the close event")
    await stays.close()
    await eventually(lambda: actor.action("getCounts"), until=lambda counts: counts["connectionCount"] == 0, what="the other one")
    await boundary.sleep(actor, via="api")
    counts = await conform.get_or_create("sleepWithRawWebSocket").action("getCounts")
    assert counts == {"startCount": 2, "sleepCount": 1, "connectionCount": 0}


@requirement("RAWWS-066", "RAWWS-065", "RAWWS-067", "RAWWS-052")
@capability("close_ack")
@pytest.mark.parametrize("name", ["sleepWithRawWsCloseDb", "sleepWithRawWsCloseDbListener"])
async def test_close_cycle_at_the_end_of_a_generation(conform, clock, name):
    """Close handlers run after onSleep and hold the end of the generation, but not the close frame."""
    actor = conform.get_or_create(name)
    socket = await greeted(actor)
    await actor.action("triggerSleep")
    assert await socket.wait_closed() == (1000, "actor.stopped")
    closed_at = clock.monotonic()
    # This call is held until the next generation is ready.
    assert [row["event"] for row in await actor.action("getLogEntries")] == ["wake", "sleep", "close-start", "close-finish", "wake"]
    assert clock.monotonic() - closed_at >= CLOSE_DELAY / 2
    status = await actor.action("getStatus")
    assert (status["closeStarted"], status["closeFinished"]) == (1, 1)


@requirement("RAWWS-007", "WIRE-610")
@capability("inspector")
async def test_handler_that_fails(conform, eventually):
    """The socket is closed with 1011 and the error, and its connection is removed."""
    actor = conform.get_or_create("rawWebSocketActor")
    inspector = await inspect(conform, "rawWebSocketActor")
    # Without an object as state the handler fails at its first line.
    await inspector.request("PATCH", "state", json={"state": None})
    socket = await actor.web_socket()
    assert await socket.wait_closed() == (1011, "rivetkit.internal_error")
    await eventually(lambda: inspector.get("connections"), until=lambda found: found["connections"] == [], what="the connection to go")
    await inspector.request("PATCH", "state", json={"state": {"connectionCount": 5, "messageCount": 0, "indexedMessageOrder": []}})
    assert await actor.action("getStats") == {"connectionCount": 5, "messageCount": 0}


@requirement("RAWWS-053")
@capability("inspector")
async def test_failing_close_listener_does_not_hold_the_actor(conform, boundary, eventually):
    """A close listener that raises ends the socket like any other: the actor serves on and idles out."""
    actor = conform.get_or_create("sleepWithRawWebSocket")
    socket = await greeted(actor, '{"type":"connected","connectionCount":1}')
    inspector = await inspect(conform, "sleepWithRawWebSocket")
    await inspector.request("PATCH", "state", json={"state": None})
    await socket.close()
    await eventually(lambda: inspector.get("connections"), until=lambda found: found["connections"] == [], what="the connection to go")
    await inspector.request("PATCH", "state", json={"state": {"startCount": 1, "sleepCount": 0, "connectionCount": 7}})
    assert await actor.action("getCounts") == {"startCount": 1, "sleepCount": 0, "connectionCount": 7}
    await boundary.sleep(actor, via="idle")
    counts = await conform.get_or_create("sleepWithRawWebSocket").action("getCounts")
    assert counts == {"startCount": 2, "sleepCount": 1, "connectionCount": 7}
