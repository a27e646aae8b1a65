"""Suite hibernation-details: what hibernates, what is delivered across boundaries, what a close in hibernation does."""

from __future__ import annotations

import itertools
import json

from harness import requirement, suite, timing, untimed

pytestmark = [suite("hibernation-details"), timing]

CLEANUP = "fileSystemHibernationCleanupActor"
RAW = "rawWebSocketActor"


async def receive(socket):
    """One JSON message."""
    return json.loads(await socket.recv())


async def fast_asleep(boundary, clock, actor):
    """Put the actor to sleep, and let it be until its generation has ended, whatever its record says."""
    actor_id = await boundary.sleep(actor)
    await clock.sleep(1)
    assert await boundary.is_asleep(actor_id)
    return actor_id


async def woken_and_asleep_again(boundary, eventually, actor_id):
    """Watch the actor's record, which wakes nobody, until it was awake and sleeps again."""
    await eventually(lambda: boundary.record(actor_id), until=lambda record: record["connectable_ts"] is not None, what="the wake")
    await boundary.wait_asleep(actor_id)


@requirement("HIB-003", "HIB-001")
@untimed
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
async def test_no_message_is_lost_over_sleeps(conform, witness):
    """Messages sent before, during and after several sleeps are all handled, the first time in order."""
    actor_id = await conform.get_or_create(RAW).resolve()
    socket = await conform.get_or_create(RAW).web_socket()
    numbers = itertools.count()

    async def send_some():
        for _ in range(5):
            await socket.send(json.dumps({"type": "indexedEcho", "payload": next(numbers)}))

    try:
        for _ in range(3):
            await send_some()
            await conform.rest.sleep_actor(actor_id)
            await send_some()
            await conform.get_or_create(RAW).action("getStats")
            await send_some()
            await conform.get_or_create(RAW).action("triggerSleep")
            await send_some()
        last, handled, welcomes = next(numbers) - 1, [], 0
        while last not in handled:
            message = await receive(socket)
            welcomes += message["type"] == "welcome"
            if message["type"] == "indexedEcho" and message["payload"] not in handled:
                handled.append(message["payload"])
                assert message["rivetMessageIndex"] == message["payload"] + 1
        assert handled == list(range(last + 1))
        witness.hit("a message in a later generation", welcomes > 1)
    finally:
        await socket.close()


@requirement("HIB-053", "HIB-052")
async def test_replay_waits_for_the_listeners(conform, boundary, witness):
    """Messages that waited for the wake are delivered after the handler has registered its listeners, none before, none lost."""
    socket = await conform.get_or_create(RAW).web_socket()
    try:
        await receive(socket)
        for _ in range(3):
            await boundary.sleep(conform.get_or_create(RAW))
            for payload in range(3):
                await socket.send(json.dumps({"type": "indexedEcho", "payload": payload}))
            received = [await receive(socket)]
            while received[-1].get("payload") != 2:
                received.append(await receive(socket))
            assert [message["payload"] for message in received if message["type"] == "indexedEcho"] == [0, 1, 2]
            if witness.hit("messages that waited", received[0]["type"] == "welcome"):
                return
    finally:
        await socket.close()


@requirement("HIB-056", "HIB-059", "HIB-055")
async def test_raw_socket_closed_while_asleep(conform, boundary, eventually, clock):
    """The wake that follows neither delivers the close event nor opens the handler again, and ends by itself."""
    actor = conform.get_or_create(RAW)
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "welcome", "connectionCount": 1}
    actor_id = await fast_asleep(boundary, clock, actor)
    await socket.close()
    await woken_and_asleep_again(boundary, eventually, actor_id)
    # The handler would count one more, the close event one less.
    assert await conform.get_or_create(RAW).action("getStats") == {"connectionCount": 1, "messageCount": 0}


@requirement("HIB-059", "HIB-055")
async def test_idle_sleep_follows_a_wake_by_a_close(conform, boundary, eventually, clock):
    """A closed connection wakes its actor exactly once; it disconnects there and sleeps again."""
    actor = conform.get_or_create(CLEANUP)
    conn = actor.connect()
    assert await conn.action("ping") == "pong"
    actor_id = await fast_asleep(boundary, clock, actor)
    await conn.dispose()
    await woken_and_asleep_again(boundary, eventually, actor_id)
    actor = conform.get_or_create(CLEANUP)
    assert await actor.action("getCounts") == {"wakeCount": 3, "sleepCount": 2}
    assert await actor.action("getDisconnectWakeCounts") == [2]
