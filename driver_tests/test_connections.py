"""Suite actor-conn: the connection protocol as a client sees it: calls, events, subscriptions, parameters, errors."""

from __future__ import annotations

import asyncio

import pytest

from client import UNDEFINED, ConnectionDisposedError
from harness import requirement, suite

pytestmark = suite("actor-conn")


@requirement("CONN-092", "WIRE-521")
async def test_action_over_a_connection(conform):
    """Each request gets its own response."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        assert await conn.action("increment", 5) == 5
        assert await conn.action("getCount") == 5


@requirement("WIRE-912", "WIRE-228")
async def test_connection_and_handle_reach_the_same_actor(conform):
    """A connection and a stateless handle share one actor."""
    actor = conform.get_or_create("counter")
    async with conform.connected(actor) as conn:
        await conn.action("increment", 2)
        assert await actor.action("getCount") == 2
        assert conn.actor_id == await actor.resolve()


@requirement("CONN-050", "WIRE-153")
async def test_connection_ids_are_unique_uuids(conform):
    """Every connection has its own UUID."""
    actor = conform.get_or_create("connStateActor")
    async with conform.connected(actor) as first, conform.connected(actor) as second:
        assert first.connection_id != second.connection_id
        assert [len(part) for part in first.connection_id.split("-")] == [8, 4, 4, 4, 12]
        assert (await first.action("getConnectionState"))["id"] == first.connection_id


@requirement("EVENT-001", "WIRE-526")
async def test_broadcast_reaches_every_subscriber(conform, eventually):
    """A broadcast reaches all connections subscribed to its event."""
    actor = conform.get_or_create("counter")
    async with conform.connected(actor) as first, conform.connected(actor) as second:
        seen = {"first": [], "second": []}
        first.on("newCount", seen["first"].append)
        second.on("newCount", seen["second"].append)
        await first.action("getCount")
        await second.action("getCount")
        await actor.action("increment", 5)
        await eventually(lambda: seen, until=lambda s: s == {"first": [5], "second": [5]}, what="both events")


@requirement("EVENT-001")
async def test_broadcast_does_not_reach_others(conform, eventually):
    """Connections without a subscription get nothing."""
    actor = conform.get_or_create("counter")
    async with conform.connected(actor) as subscribed, conform.connected(actor) as other:
        got, unwanted = [], []
        subscribed.on("newCount", got.append)
        other.on("otherEvent", unwanted.append)
        await subscribed.action("getCount")
        await other.action("getCount")
        await actor.action("increment", 1)
        await eventually(lambda: got, until=lambda g: g == [1], what="the subscriber's event")
        await other.action("getCount")
        assert unwanted == []


@requirement("EVENT-006", "WIRE-527")
async def test_events_precede_the_response_of_their_action(conform):
    """An event an action emits is delivered before its response."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        seen = []
        conn.on("newCount", seen.append)
        await conn.action("getCount")
        assert await conn.action("increment", 3) == 3
        assert seen == [3]


@requirement("EVENT-005", "WIRE-528")
async def test_events_keep_emission_order(conform, eventually):
    """Events of one actor arrive in the order in which they were emitted."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        seen = []
        conn.on("newCount", seen.append)
        for _ in range(30):
            await conn.action("increment", 1)
        await eventually(lambda: seen, until=lambda s: len(s) == 30, what="30 events")
        assert seen == list(range(1, 31))


@requirement("EVENT-013", "EVENT-015", "WIRE-955")
async def test_unsubscribed_listener_is_not_called(conform):
    """A removed listener hears nothing any more."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        seen = []
        unsubscribe = conn.on("newCount", seen.append)
        await conn.action("increment", 1)
        unsubscribe()
        await conn.action("increment", 1)
        await conn.action("getCount")
        assert seen == [1]


@requirement("EVENT-013")
async def test_listeners_of_one_event_share_a_subscription(conform):
    """Removing one of two listeners keeps the other."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        first, second = [], []
        remove = conn.on("newCount", first.append)
        conn.on("newCount", second.append)
        await conn.action("increment", 1)
        remove()
        await conn.action("increment", 1)
        assert first == [1]
        assert second == [1, 2]


@requirement("EVENT-013")
async def test_once_listener_fires_once(conform):
    """A once listener is called at most once."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        seen = []
        conn.once("newCount", seen.append)
        for _ in range(3):
            await conn.action("increment", 1)
        assert seen == [1]


@requirement("EVENT-011", "WIRE-523")
async def test_subscription_takes_effect_before_later_frames(conform):
    """A subscription sent before an action sees that action's event."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        for value in range(1, 11):
            seen = []
            remove = conn.on("newCount", seen.append)
            assert await conn.action("increment", 1) == value
            assert seen == [value]
            remove()


@requirement("EVENT-012", "WIRE-524")
async def test_undeclared_events_may_be_subscribed(conform):
    """Subscribing to a name the actor never declared is no error."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        conn.on("neverDeclared", lambda *args: None)
        assert await conn.action("getCount") == 0
        assert conn.status == "connected"


@requirement("EVENT-002", "CONN-057")
async def test_direct_message_reaches_its_connection_only(conform, eventually):
    """`conn.send` reaches one connection, subscribed or not; others hear nothing."""
    actor = conform.get_or_create("connStateActor")
    async with conform.connected(actor) as sender, conform.connected(actor) as receiver, conform.connected(actor) as other:
        got, wrong = [], []
        receiver.on("directMessage", got.append)
        other.on("directMessage", wrong.append)
        await receiver.action("getConnectionState")
        await other.action("getConnectionState")
        assert await sender.action("sendToConnection", receiver.connection_id, {"hello": 1}) is True
        await eventually(lambda: got, until=bool, what="the direct message")
        assert got == [{"from": sender.connection_id, "message": {"hello": 1}}]
        await other.action("getConnectionState")
        assert wrong == []


@requirement("CONN-060")
async def test_message_to_an_unknown_connection(conform):
    """The actor's map of connections does not contain unknown ids."""
    async with conform.connected(conform.get_or_create("connStateActor")) as conn:
        assert await conn.action("sendToConnection", "00000000-0000-4000-8000-000000000000", "x") is False


@requirement("EVENT-008")
async def test_events_sent_in_on_connect_are_delivered(conform, eventually):
    """Events a connect hook sends to its own connection arrive, each once."""
    actor = conform.get_or_create("connStateActor")
    seen = []
    conn = actor.connect(params={"username": "early"})
    conn.on("connectedFromOnConnect", lambda value: seen.append(("direct", value)))
    conn.on("connectedFromOnConnectConns", lambda value: seen.append(("map", value)))
    try:
        await conn.ready()
        await eventually(lambda: seen, until=lambda s: len(s) >= 2, what="both events of onConnect")
        expected = {"id": conn.connection_id, "username": "early"}
        assert seen == [("direct", expected), ("map", expected)]
    finally:
        await conn.dispose()


@requirement("CONN-040", "CONN-044")
async def test_parameters_reach_the_actor(conform):
    """Connection parameters name the connection."""
    actor = conform.get_or_create("counterWithParams", params={"name": "user1"})
    await actor.action("increment", 1)
    async with conform.connected(actor, params={"name": "user2"}) as conn:
        seen = []
        conn.on("newCount", seen.append)
        await conn.action("increment", 1)
        assert seen == [{"count": 2, "by": "user2"}]
    names = await actor.action("getInitializers")
    assert names[:2] == ["user1", "user2"]


@requirement("CONN-030", "WIRE-506")
async def test_builder_that_raises_refuses_the_connection(conform, expect_error):
    """Without parameters the connection-state builder fails, and so does the connection."""
    actor = conform.get_or_create("counterWithParams")
    async with expect_error("rivetkit", "internal_error"):
        await actor.action("increment", 1)
    conn = actor.connect()
    try:
        async with expect_error("rivetkit", "internal_error"):
            await conn.ready()
    finally:
        await conn.dispose()


@requirement("CONN-001", "CONN-061", "TASK-110")
async def test_connect_and_disconnect_hooks_are_counted(conform, eventually):
    """Each live connection counts once; the caller's own transient one counts too."""
    actor = conform.get_or_create("counterConn")
    assert await actor.action("getConnectionCount") == 1
    async with conform.connected(actor), conform.connected(actor):
        assert await actor.action("getConnectionCount") == 3
    await eventually(lambda: actor.action("getConnectionCount"), until=lambda n: n == 1, what="both disconnects")


@requirement("CONN-051")
async def test_connection_state_is_per_connection(conform):
    """Two connections count separately."""
    actor = conform.get_or_create("counterConn")
    async with conform.connected(actor) as first, conform.connected(actor) as second:
        await first.action("increment", 1)
        await second.action("setCount", 10)
        await second.action("increment", 1)
        assert await first.action("getCount") == 1
        assert await second.action("getCount") == 11


@requirement("CONN-092", "CONN-093", "TASK-020")
async def test_pipelined_requests_are_all_answered(conform):
    """A burst of requests on one connection is answered completely and applied exactly once."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        results = await asyncio.gather(*(conn.action("increment", 1) for _ in range(100)))
        assert sorted(results) == list(range(1, 101))
        assert await conn.action("getCount") == 100


@requirement("WIRE-954", "CONN-103")
async def test_actions_before_init_are_queued(conform):
    """Calls made before the connection is ready are sent once it is."""
    conn = conform.get_or_create("counter").connect()
    try:
        results = await asyncio.gather(conn.action("increment", 1), conn.action("increment", 1))
        assert sorted(results) == [1, 2]
    finally:
        await conn.dispose()


@requirement("CONN-104", "WIRE-962")
async def test_disposed_connection_refuses_calls(conform):
    """After dispose every call is rejected and the status is idle."""
    actor = conform.get_or_create("counterConn")
    conn = actor.connect()
    await conn.ready()
    await conn.dispose()
    assert conn.status == "idle"
    with pytest.raises(ConnectionDisposedError):
        await conn.action("getCount")


@requirement("CONN-001", "WIRE-541")
async def test_dispose_runs_the_disconnect_hook_once(conform, eventually):
    """A disposed connection is disconnected exactly once."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    async with conform.connected(actor, params={"username": "leaver"}):
        pass
    await eventually(lambda: actor.action("getDisconnectionCount"), until=lambda n: n >= 1, what="the disconnect")
    assert await actor.action("getDisconnectionCount") == 1


@requirement("EVENT-004")
async def test_event_with_no_arguments(conform, eventually):
    """An event without arguments calls its listener without arguments."""
    actor = conform.get_or_create("sleepWithLongRpc")
    async with conform.connected(actor) as conn:
        seen = []
        conn.on("waiting", lambda *args: seen.append(args))
        pending = conform.spawn(conn.action("longRunningRpc"))
        await eventually(lambda: seen, until=bool, what="the waiting event")
        assert seen == [()]
        await conn.action("finishLongRunningRpc")
        assert await pending is UNDEFINED


@requirement("CONN-020", "WIRE-507")
async def test_slow_before_connect_hook_times_out(conform, expect_error):
    """A pre-connect hook over its limit refuses the connection."""
    actor = conform.get_or_create("beforeConnectTimeoutActor")
    async with expect_error("actor", "callback_timed_out"):
        await actor.action("ping")
    conn = actor.connect()
    try:
        async with expect_error("actor", "callback_timed_out"):
            await conn.ready()
    finally:
        await conn.dispose()


@requirement("CONN-030", "WIRE-311", "WIRE-506")
async def test_rejection_keeps_code_and_metadata(conform, expect_error):
    """A user error of the pre-connect hook reaches stateless callers and connections."""
    params = {"shouldReject": True}
    actor = conform.get_or_create("beforeConnectRejectActor", params=params)
    async with expect_error("user", "connection_rejected") as caught:
        await actor.action("ping")
    assert caught.error.message == "Connection rejected by policy"
    assert caught.error.metadata == {"reason": "test"}
    conn = actor.connect(params=params)
    try:
        async with expect_error("user", "connection_rejected") as caught:
            await conn.ready()
        assert caught.error.metadata == {"reason": "test"}
    finally:
        await conn.dispose()
    accepted = conform.get_or_create("beforeConnectRejectActor", params={"shouldReject": False})
    assert await accepted.action("ping") == "pong"


@requirement("CONN-030", "WIRE-623")
async def test_generic_rejection_is_an_internal_error(conform, expect_error):
    """An ordinary exception of the pre-connect hook is an internal error."""
    params = {"shouldFail": True}
    actor = conform.get_or_create("beforeConnectGenericErrorActor", params=params)
    async with expect_error("rivetkit", "internal_error"):
        await actor.action("ping")
    conn = actor.connect(params=params)
    try:
        async with expect_error("rivetkit", "internal_error"):
            await conn.ready()
    finally:
        await conn.dispose()
    assert await conform.get_or_create("beforeConnectGenericErrorActor").action("ping") == "pong"


@requirement("CONN-030", "CONN-033")
async def test_structured_error_of_the_state_builder(conform, expect_error):
    """Group and code of a structured error survive in every encoding."""
    params = {"shouldThrow": True}
    actor = conform.get_or_create("connErrorSerializationActor", params=params)
    async with expect_error("connection", "custom_error"):
        await actor.action("getValue")
    conn = actor.connect(params=params)
    try:
        async with expect_error("connection", "custom_error"):
            await conn.ready()
    finally:
        await conn.dispose()
    fine = conform.get_or_create("connErrorSerializationActor", params={"shouldThrow": False})
    assert await fine.action("getValue") == 0


@requirement("ACCESS-001", "CONN-030")
async def test_rejected_connection_after_a_delay(conform, expect_error, clock):
    """A rejection that takes half a second arrives no earlier."""
    actor = conform.get_or_create("rejectConnectionActor", params={"reject": True})
    started = clock.monotonic()
    async with expect_error("user", "rejected") as caught:
        await actor.action("ping")
    assert clock.monotonic() - started >= 0.5
    assert caught.error.message == "Rejected connection"
    assert await conform.get_or_create("rejectConnectionActor", params={"reject": False}).action("ping") == "pong"
