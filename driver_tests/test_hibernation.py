"""Suite hibernation: connections and raw sockets that outlive the sleep of their actor."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

from driver_tests.metering import generation_over
from harness import any_encoding, depends_on, requirement, suite, timing

pytestmark = [suite("hibernation"), timing, depends_on("hibernation::test_connection_wakes_the_actor")]

TRIES = 8
"""The manager reports an actor asleep from the intent on (SLEEP-026): what is sent at once may still reach the stopping generation."""

WINDOW = "a message while asleep"


@requirement("HIB-020", "HIB-021", "WIRE-621", "WIRE-622")
async def test_connection_wakes_the_actor(conform, boundary):
    """A call on a hibernating connection wakes the actor and is answered there, under the same connection id."""
    actor = conform.get_or_create("hibernationActor")
    async with conform.connected(actor) as conn:
        assert await conn.action("ping") == "pong"
        before = conn.connection_id
        await boundary.sleep(actor)
        assert await conn.action("getActorCounts") == {"sleepCount": 1, "wakeCount": 2}
        assert conn.connection_id == before


@requirement("CONN-052", "HIB-042", "HIB-050")
async def test_connection_state_survives(conform, boundary):
    """Connection state is there after the wake and goes on changing."""
    actor = conform.get_or_create("hibernationActor")
    async with conform.connected(actor) as conn:
        assert await conn.action("connIncrement") == 1
        assert await conn.action("connIncrement") == 2
        await boundary.sleep(actor)
        assert await conn.action("getConnCount") == 2
        assert await conn.action("connIncrement") == 3


@requirement("HIB-041", "HIB-054", "WIRE-623")
async def test_hooks_do_not_run_again(conform, boundary):
    """Across two sleeps the connection was connected once and never disconnected."""
    actor = conform.get_or_create("hibernationActor")
    async with conform.connected(actor) as conn:
        await conn.action("ping")
        for _ in range(2):
            await boundary.sleep(conform.get_or_create("hibernationActor"))
            assert await conn.action("getConnLifecycleCounts") == {"connectCount": 1, "disconnectCount": 0}
        assert await conn.action("getActorCounts") == {"sleepCount": 2, "wakeCount": 3}


@requirement("HIB-050", "CONN-060")
async def test_restored_connection_is_listed(conform, boundary):
    """After a wake by somebody else the connection is listed."""
    actor = conform.get_or_create("hibernationActor")
    async with conform.connected(actor) as conn:
        await conn.action("ping")
        await boundary.sleep(actor)
        assert conn.connection_id in await conform.get_or_create("hibernationActor").action("getConnectionIds")


@requirement("EVENT-017", "EVENT-032", "HIB-022")
async def test_subscriptions_survive(conform, boundary, eventually):
    """A broadcast caused by somebody else after the wake reaches the restored subscriber."""
    actor = conform.get_or_create("counter")
    async with conform.connected(actor) as conn:
        seen = []
        conn.on("newCount", seen.append)
        await conn.action("increment", 1)
        await boundary.sleep(actor, via="api")
        await conform.get_or_create("counter").action("increment", 1)
        await eventually(lambda: seen, until=lambda s: s == [1, 2], what="the event after the wake")


@requirement("EVENT-017")
async def test_removed_subscription_stays_removed(conform, boundary, eventually):
    """A subscription removed before the sleep is not restored."""
    actor = conform.get_or_create("counter")
    async with conform.connected(actor) as conn, conform.connected(actor) as control:
        unwanted, wanted = [], []
        remove = conn.on("newCount", unwanted.append)
        control.on("newCount", wanted.append)
        await conn.action("getCount")
        await control.action("getCount")
        remove()
        await conn.action("getCount")
        await boundary.sleep(actor, via="api")
        await conform.get_or_create("counter").action("increment", 1)
        await eventually(lambda: wanted, until=lambda s: s == [1], what="the control's event")
        await conn.action("getCount")
        assert unwanted == []


@requirement("HIB-045", "SLEEP-052", "WIRE-626")
async def test_action_in_the_sleep_window_runs_in_the_next_generation(conform, eventually, witness):
    """A call sent while the actor is going to sleep is answered by the next generation, once."""
    actor = conform.get_or_create("hibernationSleepWindowActor")
    async with conform.connected(actor) as conn:
        sleeping = []
        conn.on("sleeping", lambda *args: sleeping.append(args))
        await conn.action("getActorCounts")
        await conn.action("triggerSleep")
        await eventually(lambda: sleeping, until=bool, what="the sleeping event")
        witness.hit("sent while onSleep runs")
        assert await conn.action("getActorCounts") == {"sleepCount": 1, "wakeCount": 2}


@requirement("EVENT-030", "HIB-043")
async def test_event_of_on_sleep_arrives(conform, eventually):
    """A broadcast in onSleep reaches a hibernating connection before it sleeps, with its one undefined argument."""
    actor = conform.get_or_create("hibernationSleepWindowActor")
    async with conform.connected(actor) as conn:
        seen = []
        conn.on("sleeping", lambda *args: seen.append(len(args)))
        await conn.action("getActorCounts")
        await conn.action("triggerSleep")
        await eventually(lambda: seen, until=bool, what="the sleeping event")
        assert await conn.action("getActorCounts") == {"sleepCount": 1, "wakeCount": 2}
        assert seen == [1]


@requirement("HIB-055", "HIB-058", "CONN-001")
async def test_close_while_asleep_is_noticed(conform, boundary, eventually, witness):
    """A client that closes while the actor sleeps is disconnected exactly once, by the woken generation."""
    name = "fileSystemHibernationCleanupActor"
    for _ in range(TRIES):
        key = conform.unique_key()
        actor = conform.get_or_create(name, key)
        conn = actor.connect()
        assert await conn.action("ping") == "pong"
        async with generation_over(conform, eventually, name):
            await boundary.sleep(actor)
        await conn.dispose()
        again = conform.get_or_create(name, key)
        recorded = await eventually(
            lambda again=again: again.action("getDisconnectWakeCounts"), until=bool, what="the disconnect of the closed connection"
        )
        if witness.hit("a close while asleep", recorded != [1]):
            assert recorded == [2]
            return


@requirement("HIB-055", "WIRE-628")
async def test_close_while_asleep_wakes_the_actor(conform, boundary, eventually):
    """The close alone wakes the actor, which runs its disconnect hook in that generation."""
    name = "fileSystemHibernationCleanupActor"
    actor = conform.get_or_create(name)
    conn = actor.connect()
    await conn.action("ping")
    actor_id = await boundary.sleep(actor)
    before = (await boundary.record(actor_id))["sleep_ts"]
    await conn.dispose()
    await eventually(
        lambda: boundary.record(actor_id),
        until=lambda record: record["sleep_ts"] != before or record["connectable_ts"] is not None,
        what="the wake by the close",
    )
    # Woken for the close, it may sleep again before it is asked; the hook of the close says which generation ran it.
    assert await conform.get_or_create(name).action("getDisconnectWakeCounts") == [2]


@requirement("HIB-020", "HIB-022", "WIRE-620")
async def test_several_connections_hibernate_together(conform, boundary):
    """Each of several connections keeps its own state."""
    actor = conform.get_or_create("hibernationActor")
    async with conform.connected(actor) as one, conform.connected(actor) as two:
        await one.action("connIncrement")
        for _ in range(3):
            await two.action("connIncrement")
        await boundary.sleep(actor)
        assert await one.action("getConnCount") == 1
        assert await two.action("getConnCount") == 3
        assert await one.action("getActorCounts") == {"sleepCount": 1, "wakeCount": 2}


@requirement("HIB-032", "HIB-037")
async def test_burst_to_a_sleeping_actor_arrives_in_order(conform, boundary):
    """Calls sent back to back to a sleeping actor are all handled."""
    actor = conform.get_or_create("hibernationActor")
    async with conform.connected(actor) as conn:
        await conn.action("ping")
        await boundary.sleep(actor)
        counts = await asyncio.gather(*(conn.action("connIncrement") for _ in range(20)))
        assert sorted(counts) == list(range(1, 21))


async def receive(socket):
    """One JSON message."""
    return json.loads(await socket.recv())


@asynccontextmanager
async def hibernating(conform, boundary, eventually, messages=0):
    """A greeted raw socket of a sleeping actor, after some numbered messages."""
    actor = conform.get_or_create("rawWebSocketActor", conform.unique_key())
    socket = await actor.web_socket()
    try:
        assert await receive(socket) == {"type": "welcome", "connectionCount": 1}
        for expected in range(1, messages + 1):
            await socket.send('{"type":"indexedEcho","payload":"a"}')
            assert (await receive(socket))["rivetMessageIndex"] == expected
        async with generation_over(conform, eventually, "rawWebSocketActor"):
            await boundary.sleep(actor)
        yield socket
    finally:
        await socket.close()


@requirement("HIB-001", "HIB-052", "WIRE-622", "WIRE-623")
async def test_raw_socket_hibernates(conform, boundary, eventually, witness):
    """A hibernating raw socket stays open; a message wakes the actor, whose handler greets again first."""
    for _ in range(TRIES):
        async with hibernating(conform, boundary, eventually) as socket:
            await socket.send('{"type":"getStats"}')
            first = await receive(socket)
            if witness.hit(WINDOW, first["type"] == "welcome"):
                assert first == {"type": "welcome", "connectionCount": 2}
                assert await receive(socket) == {"type": "stats", "connectionCount": 2, "messageCount": 1}
                return


@requirement("HIB-030", "HIB-039", "WIRE-624")
async def test_message_indexes_go_on_across_hibernation(conform, boundary, eventually, witness):
    """Client messages are numbered from 1, without a gap over a sleep."""
    for _ in range(TRIES):
        async with hibernating(conform, boundary, eventually, messages=2) as socket:
            await socket.send('{"type":"indexedEcho","payload":"b"}')
            first = await receive(socket)
            hit = witness.hit(WINDOW, first["type"] == "welcome")
            assert (await receive(socket) if hit else first)["rivetMessageIndex"] == 3
            if hit:
                return


@requirement("HIB-032", "HIB-037", "HIB-031")
async def test_raw_burst_to_a_sleeping_actor_keeps_its_order(conform, boundary, eventually, witness):
    """Messages sent back to back to a sleeping actor arrive in order, none twice."""
    for _ in range(TRIES):
        async with hibernating(conform, boundary, eventually) as socket:
            for number in range(20):
                await socket.send(json.dumps({"type": "indexedEcho", "payload": number}))
            first = await receive(socket)
            if witness.hit(WINDOW, first["type"] == "welcome"):
                echoes = [await receive(socket) for _ in range(20)]
                assert [echo["payload"] for echo in echoes] == list(range(20))
                assert [echo["rivetMessageIndex"] for echo in echoes] == list(range(1, 21))
                return


@requirement("HIB-022")
async def test_other_wakes_reattach_the_raw_socket(conform, boundary):
    """A wake by an action re-invokes the handler of a hibernating raw socket."""
    actor = conform.get_or_create("rawWebSocketActor")
    socket = await actor.web_socket()
    try:
        await receive(socket)
        await boundary.sleep(actor)
        await conform.get_or_create("rawWebSocketActor").action("getStats")
        assert await receive(socket) == {"type": "welcome", "connectionCount": 2}
    finally:
        await socket.close()


@requirement("WIRE-604", "HIB-020")
async def test_binary_messages_wake_too(conform, boundary, eventually, witness):
    """A binary message to a hibernating socket is delivered as binary."""
    for _ in range(TRIES):
        async with hibernating(conform, boundary, eventually) as socket:
            await socket.send(b"\x00\x01\xff")
            first = await socket.recv()
            if witness.hit(WINDOW, isinstance(first, str)):
                assert json.loads(first)["type"] == "welcome"
                assert await socket.recv() == b"\x00\x01\xff"
                return


@requirement("HIB-001", "RAWWS-032", "WIRE-611")
@any_encoding
async def test_non_hibernating_socket_is_closed(conform, boundary):
    """A raw socket without hibernation is closed with 1000 actor.stopped at a forced sleep."""
    actor = conform.get_or_create("rawWebSocketAsyncOpenActor")
    socket = await actor.web_socket()
    assert await receive(socket) == {"type": "async-open", "openCount": 1}
    await boundary.sleep(actor, via="api")
    assert await socket.wait_closed() == (1000, "actor.stopped")
