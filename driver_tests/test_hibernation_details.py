"""Suite hibernation-details: what hibernates, what is delivered across boundaries, what a close in hibernation does."""

from __future__ import annotations

import json

from harness import requirement, suite, timing

pytestmark = [suite("hibernation-details"), timing]

CLEANUP = "fileSystemHibernationCleanupActor"
RAW = "rawWebSocketActor"


async def receive(socket):
    """One JSON message."""
    return json.loads(await socket.recv())


@requirement("HIB-003", "HIB-001")
async def test_stateless_calls_do_not_hibernate(conform, eventually):
    """A stateless call's connection is not hibernatable when it disconnects, a client connection is."""
    actor = conform.get_or_create(CLEANUP)
    for _ in range(3):
        await actor.action("ping")
    assert await actor.action("getDisconnectWakeCounts") == []
    async with conform.connected(actor):
        pass
    recorded = await eventually(lambda: actor.action("getDisconnectWakeCounts"), until=bool, what="the connection's disconnect")
    assert recorded == [1]


@requirement("HIB-038", "HIB-032", "HIB-037", "HIB-030")
async def test_no_message_is_lost_over_sleeps(conform, boundary):
    """Messages sent before, during and after several sleeps are all handled, the first time in order."""
    actor = conform.get_or_create(RAW)
    socket = await actor.web_socket()
    sent = 0
    try:
        for _ in range(3):
            actor = conform.get_or_create(RAW)
            for phase in range(3):
                for _ in range(5):
                    await socket.send(json.dumps({"type": "indexedEcho", "payload": sent}))
                    sent += 1
                if phase == 0:
                    await actor.action("triggerSleep")
                elif phase == 1:
                    await boundary.sleep(actor, via="api")
        handled = []
        while sent - 1 not in handled:
            message = await receive(socket)
            if message["type"] == "indexedEcho" and message["payload"] not in handled:
                handled.append(message["payload"])
                assert message["rivetMessageIndex"] == message["payload"] + 1
        assert handled == list(range(sent))
    finally:
        await socket.close()


@requirement("HIB-053", "HIB-052")
async def test_replay_waits_for_the_listeners(conform, boundary):
    """Messages that waited for the wake are delivered after the handler has registered its listeners, none before, none lost."""
    actor = conform.get_or_create(RAW)
    socket = await actor.web_socket()
    try:
        await receive(socket)
        await boundary.sleep(actor)
        for payload in range(3):
            await socket.send(json.dumps({"type": "indexedEcho", "payload": payload}))
        received = [await receive(socket) for _ in range(4)]
        assert received[0] == {"type": "welcome", "connectionCount": 2}
        assert [message["payload"] for message in received[1:]] == [0, 1, 2]
    finally:
        await socket.close()


@requirement("HIB-056", "HIB-059", "HIB-055")
async def test_raw_socket_closed_while_asleep(conform, boundary, eventually):
    """The wake that follows neither delivers the close event nor opens the handler again, and ends by itself."""
    actor = conform.get_or_create(RAW)
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "welcome", "connectionCount": 1}
    actor_id = await boundary.sleep(actor)
    before = (await boundary.record(actor_id))["sleep_ts"]
    await socket.close()
    await eventually(
        lambda: boundary.record(actor_id), until=lambda record: record["sleep_ts"] not in (None, before), what="a wake and an idle sleep"
    )
    # The handler would count one more, the close event one less.
    assert await conform.get_or_create(RAW).action("getStats") == {"connectionCount": 1, "messageCount": 0}


@requirement("HIB-059", "HIB-055")
async def test_idle_sleep_follows_a_wake_by_a_close(conform, boundary, eventually):
    """A closed connection wakes its actor exactly once; it disconnects there and sleeps again."""
    actor = conform.get_or_create(CLEANUP)
    conn = actor.connect()
    assert await conn.action("ping") == "pong"
    actor_id = await boundary.sleep(actor)
    before = (await boundary.record(actor_id))["sleep_ts"]
    await conn.dispose()
    await eventually(
        lambda: boundary.record(actor_id), until=lambda record: record["sleep_ts"] not in (None, before), what="a wake and an idle sleep"
    )
    actor = conform.get_or_create(CLEANUP)
    assert await actor.action("getCounts") == {"wakeCount": 3, "sleepCount": 2}
    assert await actor.action("getDisconnectWakeCounts") == [2]
