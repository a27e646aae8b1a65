"""Suite connection-details: limits and failures of the setup pipeline, what removed connections do not get, order of events."""

from __future__ import annotations

import asyncio

import pytest

from client import UNDEFINED
from client.transport import Transport
from driver_tests.inspecting import inspect
from driver_tests.metering import scrape
from harness import capability, requirement, suite, timing, untimed
from harness.codec.addresses import direct_path, offered
from harness.evidence.transcript import OwnFrames
from harness.testing.codecs import ActionResponse, ErrorFrame
from harness.testing.interpreter import latch, made, op, ref, trace, traced

pytestmark = [suite("connection-details"), timing]

PREFLIGHT = "connPreflightVisibilityActor"
SETUP_LIMIT = 5.0


def labels(snapshots):
    """The labels of a hook's records, without those of the stateless calls that asked."""
    return [entry["label"] for entry in snapshots if entry["label"] != "anonymous"]


async def mine(conform):
    """What the hooks recorded of the connection that gave the parameter, in order."""
    records = await traced(conform)
    return [record["label"] for record in records if record["label"] == "set up" or record["value"] == {"mine": True}]


@requirement("CONN-002", "INSP-058")
@capability("inspector")
@untimed
async def test_inspector_call_has_no_connection(conform):
    """An action that the inspector runs finds no connection, although any connection would have a state here."""
    inspector = await inspect(conform, "counterConn")
    assert await conform.get_or_create("counterConn").action("getCount") == 0
    response = await inspector.request("POST", "action/getCount", json={"args": []})
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"


@requirement("CONN-003", "EVENT-003")
async def test_messages_to_a_raw_socket_are_dropped(conform, boundary, eventually):
    """`conn.send` to a raw socket's connection raises nothing and writes nothing to the socket."""
    actor = conform.get_or_create("connStateActor")
    socket = await actor.web_socket(params={"username": "raw"})
    async with conform.connected(actor, params={"username": "sender"}) as sender:
        states = await eventually(
            lambda: sender.action("getAllConnectionStates"),
            until=lambda found: any(state["username"] == "raw" for state in found),
            what="the connection of the raw socket",
        )
        (raw,) = [state["id"] for state in states if state["username"] == "raw"]
        for number in range(3):
            assert await sender.action("sendToConnection", raw, number) is True
    await boundary.sleep(actor, via="api")
    assert [message async for message in socket] == []
    assert (socket.close_code, socket.close_reason) == (1000, "actor.stopped")


@requirement("CONN-018", "CONN-001")
@pytest.mark.parametrize("fails", [False, True], ids=["step-succeeds", "step-fails"])
@pytest.mark.parametrize("place", ["onBeforeConnect", "createConnState"])
async def test_client_that_leaves_during_setup(conform, eventually, clock, place, fails):
    """It is connected and then disconnected, once each; when the step fails neither hook runs."""
    then = [op("throw", message="refused", code="refused")] if fails else [op("value", value={})]
    only_mine = op("if", value=ref("params.mine"), then=[latch("in setup"), trace("set up"), *then], else_=[op("value", value={})])
    hooks = {"onConnect": [trace("connected", ref("conn.params"))], "onDisconnect": [trace("disconnected", ref("conn.params"))]}
    actor = made(conform, **{place: [only_mine]}, **hooks)
    actor_id = await actor.resolve()
    transport = Transport(OwnFrames(conform.transcript))
    entries = offered(conform.encoding, {"mine": True})
    socket = await transport.open(conform.endpoint + direct_path(actor_id, "/connect", conform.token), entries, {})
    try:
        await conform.latch("in setup").arrived()
        socket.abort()
        await clock.sleep(0.5)
        await conform.latch("in setup").release()
        await eventually(lambda: mine(conform), until=lambda seen: len(seen) >= (1 if fails else 3), what="the end of the setup")
        await clock.sleep(1)
        assert await mine(conform) == (["set up"] if fails else ["set up", "connected", "disconnected"])
    finally:
        await transport.close()


@requirement("CONN-021")
async def test_setup_as_a_whole_is_limited(conform, expect_error, clock):
    """Steps that each keep their own limit may together not take longer than the one of onConnect; this holds for `/connect` only."""
    slow = {"label": "slow", "beforeDelayMs": 3500, "createDelayMs": 3500}
    actor = conform.get_or_create(PREFLIGHT, params=slow)
    conn = actor.connect(params=slow)
    started = clock.monotonic()
    try:
        async with expect_error("actor", "callback_timed_out"):
            await conn.ready()
        clock.took(started, least=SETUP_LIMIT - 0.1, most=conform.limit(7))
    finally:
        await conn.dispose()
    assert "slow" in (await actor.action("snapshot"))["visibleLabels"]


@requirement("CONN-022", "CONN-020")
async def test_result_of_a_timed_out_hook_is_ignored(conform, expect_error, clock):
    """What a hook gives after its limit connects nobody."""
    actor = conform.get_or_create(PREFLIGHT)
    for params in ({"label": "late", "beforeDelayMs": 5500}, {"label": "later", "createDelayMs": 5500}):
        conn = actor.connect(params=params)
        try:
            async with expect_error("actor", "callback_timed_out"):
                await conn.ready()
        finally:
            await conn.dispose()
    async with expect_error("actor", "callback_timed_out"):
        await conform.get_or_create(PREFLIGHT, params={"label": "latest", "beforeDelayMs": 5500}).action("snapshot")
    await clock.sleep(2)
    seen = await actor.action("snapshot")
    assert seen["createStarted"] == 2  # of the second connection and of this call
    assert labels(seen["connectSnapshots"]) == labels(seen["disconnectSnapshots"]) == []
    assert seen["visibleLabels"] == ["anonymous"]


@requirement("CONN-032", "CONN-035", "CONN-033")
@untimed
async def test_error_frame_precedes_the_close(conform, expect_error):
    """A refused connection gets exactly one message, the error without an actor; the error of a stateless call names the actor."""
    params = {"shouldThrow": True}
    actor = conform.get_or_create("connErrorSerializationActor", params=params)
    actor_id = await actor.resolve()
    async with conform.frames(actor_id, params, accepted=False) as connection:
        assert await connection.wait_closed() == (1011, "connection.custom_error")
    (frame,) = connection.received
    assert isinstance(frame, ErrorFrame)
    assert (frame.error.group, frame.error.code, frame.action_id, frame.error.actor) == ("connection", "custom_error", None, None)
    async with expect_error("connection", "custom_error") as caught:
        await actor.action("getValue")
    assert caught.error.actor.actor_id == actor_id


@requirement("CONN-034")
@untimed
async def test_error_frame_is_masked(conform):
    """The text of an ordinary exception does not reach a refused connection."""
    actor_id = await conform.get_or_create("beforeConnectGenericErrorActor").resolve()
    async with conform.frames(actor_id, {"shouldFail": True}, accepted=False) as connection:
        assert await connection.wait_closed() == (1011, "rivetkit.internal_error")
    (frame,) = connection.received
    assert frame.error.message == "An internal error occurred"
    assert frame.error.metadata in (None, UNDEFINED)


@requirement("CONN-046")
@untimed
async def test_large_parameters(conform):
    """Parameters of 5000 bytes pass on every surface, unchanged where they can be seen."""
    name = "n" * 5000
    params = {"name": name}
    actor = conform.get_or_create("counterWithParams", params=params)
    await actor.action("increment", 1)
    async with conform.connected(actor, params=params) as conn:
        assert await conn.action("getInitializers") == [name, name]
    actor = conform.get_or_create("accessControlActor", params=params)
    await actor.send("allowedQueue", 1)
    assert await actor.action("allowedReceiveQueue") == 1
    assert (await actor.fetch("status")).json() == {"ok": True}
    socket = await actor.web_socket()
    assert await socket.recv() == '{"type":"welcome"}'
    await socket.close()


@requirement("CONN-075", "CONN-073", "CONN-070", "EVENT-016")
async def test_removed_connection_gets_nothing_more(conform, eventually):
    """Neither the answer of the call that removed it nor the event of its own onDisconnect, which the others get."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    actor_id = await actor.resolve()
    async with conform.connected(actor, params={"noCount": True}) as stays:
        heard = []
        stays.on("userDisconnected", heard.append)
        await stays.action("getConnectionState")
        async with conform.frames(actor_id, {}) as goes:
            gone = goes.received[-1].connection_id
            await goes.subscribe("userDisconnected")
            await goes.request(1, "getConnectionState")
            assert (await goes.until(ActionResponse)).output["id"] == gone
            await goes.request(2, "disconnectSelf", "test.gone")
            assert await goes.wait_closed() == (1000, "test.gone")
            assert goes.events("userDisconnected") == []
            assert [message.id for message in goes.received if isinstance(message, ActionResponse)] == [1]
            assert not any(isinstance(message, ErrorFrame) for message in goes.received)
        await eventually(lambda: heard, until=bool, what="the event of onDisconnect")
        assert heard == [{"id": gone}]
        assert await stays.action("sendToConnection", gone, "x") is False


@requirement("CONN-096", "CONN-075")
async def test_lost_socket_cancels_no_handler(conform, eventually):
    """An action goes on when its connection is lost; its answer is dropped, and the actor serves on."""
    actor = conform.get_or_create("concurrentActionActor")
    async with conform.frames(await actor.resolve()) as connection:
        await connection.request(1, "runWithDelay", "lost", 400)
        await eventually(lambda: actor.action("getEvents"), until=lambda seen: seen == ["start:lost"], what="the handler's start")
        connection.abort()
    await eventually(lambda: actor.action("getEvents"), until=lambda seen: seen == ["start:lost", "finish:lost"], what="the handler's end")
    assert await actor.action("runWithDelay", "next", 0) == "next"


@requirement("EVENT-003", "EVENT-005")
async def test_slow_subscriber_delays_nobody(conform, clock):
    """Broadcasts return although a subscriber reads nothing of more than a socket holds; it gets everything in order once it does."""
    actor = conform.get_or_create("accessControlActor")
    async with conform.frames(await actor.resolve()) as lazy:
        await lazy.subscribe("allowedEvent")
        await lazy.request(1, "allowedAction", "x")
        assert await lazy.until(ActionResponse) is not None
        started = clock.monotonic()
        for number in range(200):
            assert await actor.action("allowedBroadcastAllowedEvent", [number, "x" * 60_000]) is UNDEFINED
        clock.took(started, conform.limit(20))
        await lazy.request(2, "allowedAction", "x")
        assert await lazy.until(ActionResponse) is not None
        assert [args[0]["value"][0] for args in lazy.events("allowedEvent")] == list(range(200))


@requirement("EVENT-007")
@untimed
async def test_events_of_stateless_calls_keep_their_order(conform, eventually):
    """A subscriber gets the events of stateless calls in the order in which the actor emitted them, concurrent calls included."""
    actor = conform.get_or_create("counter")
    async with conform.connected(actor) as conn:
        seen = []
        conn.on("newCount", seen.append)
        await conn.action("getCount")
        for _ in range(10):
            await actor.action("increment", 1)
        await asyncio.gather(*(actor.action("increment", 1) for _ in range(30)))
        await eventually(lambda: seen, until=lambda found: len(found) == 40, what="40 events")
        assert seen == list(range(1, 41))


@requirement("EVENT-009")
@untimed
async def test_event_without_a_listener_is_dropped(conform, eventually):
    """A listener added after an event arrived does not get it."""
    actor = conform.get_or_create("connStateActor")
    async with conform.connected(actor) as conn:
        await conn.action("sendToConnection", conn.connection_id, "before")
        seen = []
        conn.on("connectedFromOnConnect", seen.append)
        conn.on("directMessage", seen.append)
        await conn.action("sendToConnection", conn.connection_id, "after")
        await eventually(lambda: seen, until=bool, what="the second message")
        assert [message["message"] for message in seen] == ["after"]


@requirement("CONN-090")
@capability("metrics")
@untimed
async def test_connections_are_metered(conform, eventually):
    """Accepted connections count in gauge and counter, refused ones in neither; disconnects are timed as such."""
    actor = conform.get_or_create(PREFLIGHT)
    await actor.resolve()
    before = await scrape(conform, actor, PREFLIGHT)

    def grown(figures, metric, **labels):
        return figures.value(metric, **labels) - before.value(metric, **labels)

    async with conform.connected(actor), conform.connected(actor):
        refused = actor.connect(params={"rejectBefore": True})
        assert await conform.settled(conform.spawn(refused.ready())) is not None
        await refused.dispose()
        now = await scrape(conform, actor, PREFLIGHT)
        assert (grown(now, "connections_active"), grown(now, "connections_total")) == (2, 2)
    await actor.action("snapshot")
    now = await eventually(
        lambda: scrape(conform, actor, PREFLIGHT),
        until=lambda figures: grown(figures, "user_task_duration_seconds_count", kind="disconnect_callback") >= 3,
        what="three timed disconnects",
    )
    assert (grown(now, "connections_active"), grown(now, "connections_total")) == (0, 3)
