"""Suite conn-state: state, listing and disconnecting of connections."""

from __future__ import annotations

from harness import requirement, suite

pytestmark = suite("conn-state")


@requirement("CONN-015", "CONN-051")
async def test_defaults_without_parameters(conform, clock):
    """The builder's defaults apply when no parameters are given."""
    async with conform.connected(conform.get_or_create("connStateActor")) as conn:
        state = await conn.action("getConnectionState")
        assert {name: state[name] for name in ("username", "role", "counter", "noCount")} == {
            "username": "anonymous",
            "role": "user",
            "counter": 0,
            "noCount": False,
        }
        assert state["id"] == conn.connection_id
        assert abs(state["createdAt"] - clock.now_ms()) < conform.limit(60) * 1000


@requirement("CONN-040", "CONN-015")
async def test_state_is_built_from_parameters(conform):
    """Parameters end up in the connection's state."""
    params = {"username": "ann", "role": "admin", "noCount": True}
    async with conform.connected(conform.get_or_create("connStateActor"), params=params) as conn:
        state = await conn.action("getConnectionState")
        assert (state["username"], state["role"], state["noCount"]) == ("ann", "admin", True)


@requirement("CONN-040")
async def test_empty_parameters_take_the_defaults(conform):
    """Empty strings and null are replaced by the defaults."""
    params = {"username": "", "role": None, "noCount": None}
    async with conform.connected(conform.get_or_create("connStateActor"), params=params) as conn:
        state = await conn.action("getConnectionState")
        assert (state["username"], state["role"], state["noCount"]) == ("anonymous", "user", False)


@requirement("CONN-051")
async def test_connection_counters_are_separate(conform):
    """Each connection has its own counter; the shared one is common."""
    actor = conform.get_or_create("connStateActor")
    async with conform.connected(actor) as first, conform.connected(actor) as second:
        await first.action("incrementConnCounter", 5)
        await second.action("incrementConnCounter", 10)
        await second.action("incrementConnCounter")
        assert await first.action("incrementSharedCounter", 2) == 2
        assert await second.action("incrementSharedCounter") == 3
        assert (await first.action("getConnectionState"))["counter"] == 5
        assert (await second.action("getConnectionState"))["counter"] == 11


@requirement("CONN-051")
async def test_connection_state_can_be_updated(conform):
    """Assigned fields change, others stay."""
    async with conform.connected(conform.get_or_create("connStateActor"), params={"username": "old"}) as conn:
        updated = await conn.action("updateConnection", {"username": "new"})
        assert (updated["username"], updated["role"]) == ("new", "user")
        await conn.action("updateConnection", {"role": "moderator"})
        state = await conn.action("getConnectionState")
        assert (state["username"], state["role"]) == ("new", "moderator")


@requirement("CONN-060", "CONN-061")
async def test_all_live_connections_are_listed(conform):
    """The map lists every live connection and the caller's own."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    async with conform.connected(actor, params={}) as first, conform.connected(actor, params={}) as second:
        ids = await actor.action("getConnectionIds")
        assert sorted(ids) == sorted([first.connection_id, second.connection_id])
        states = await first.action("getAllConnectionStates")
        assert sorted(state["id"] for state in states) == sorted(ids)


@requirement("CONN-060", "CONN-063")
async def test_closed_connection_leaves_the_list(conform, eventually):
    """A disposed connection is no longer listed."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    async with conform.connected(actor, params={}) as stays:
        async with conform.connected(actor, params={}) as goes:
            assert len(await actor.action("getConnectionIds")) == 2
            gone = goes.connection_id
        ids = await eventually(
            lambda: actor.action("getConnectionIds"), until=lambda listed: gone not in listed, what="the closed connection to go"
        )
        assert ids == [stays.connection_id]


@requirement("CONN-001", "CONN-076")
async def test_disconnections_are_counted_once(conform, eventually):
    """Every ended connection is counted exactly once."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    for _ in range(3):
        async with conform.connected(actor, params={}):
            pass
    await eventually(lambda: actor.action("getDisconnectionCount"), until=lambda n: n >= 3, what="three disconnects")
    assert await actor.action("getDisconnectionCount") == 3


@requirement("CONN-001", "CONN-040")
async def test_stateless_calls_count_as_disconnections(conform):
    """A stateless call's transient connection disconnects before the next call sees state."""
    actor = conform.get_or_create("connStateActor")
    await actor.action("incrementSharedCounter")
    await actor.action("incrementSharedCounter")
    quiet = conform.get_or_create("connStateActor", params={"noCount": True})
    assert await quiet.action("getDisconnectionCount") == 2


@requirement("CONN-063", "EVENT-001")
async def test_disconnect_is_announced_to_others(conform, eventually):
    """A broadcast from onDisconnect reaches the remaining connections."""
    actor = conform.get_or_create("connStateActor")
    async with conform.connected(actor, params={"noCount": True}) as stays:
        seen = []
        stays.on("userDisconnected", seen.append)
        await stays.action("getConnectionState")
        async with conform.connected(actor, params={}) as goes:
            gone = goes.connection_id
        await eventually(lambda: seen, until=lambda s: {"id": gone} in s, what="the disconnect event")
        assert seen.count({"id": gone}) == 1


@requirement("EVENT-008", "CONN-011")
async def test_connect_is_announced_to_others(conform, eventually):
    """A broadcast from onConnect reaches the other subscribed connections."""
    actor = conform.get_or_create("connStateActor")
    async with conform.connected(actor, params={"noCount": True}) as watcher:
        seen = []
        watcher.on("userConnected", seen.append)
        await watcher.action("getConnectionState")
        async with conform.connected(actor, params={"username": "ignored"}) as joined:
            await eventually(lambda: seen, until=bool, what="the connect event")
            assert seen == [{"id": joined.connection_id, "username": "anonymous", "role": "user"}]


@requirement("CONN-070", "CONN-074", "WIRE-540")
async def test_server_side_disconnect_closes_with_the_reason(conform, eventually):
    """`conn.disconnect(reason)` closes with 1000 and the reason, and the client reconnects under a new id."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    async with conform.connected(actor, params={}) as conn:
        errors = []
        conn.on_error(errors.append)
        before = conn.connection_id
        pending = conform.spawn(conn.action("disconnectSelf", "test.bye"))
        await eventually(lambda: errors, until=bool, what="the structured close error")
        assert (errors[0].group, errors[0].code) == ("test", "bye")
        await eventually(lambda: conn.status, until=lambda status: status == "connected", what="the reconnect")
        assert conn.connection_id != before
        await conform.settled(pending)
    assert await actor.action("getDisconnectionCount") >= 1


@requirement("CONN-071", "CONN-073")
async def test_stateless_call_may_disconnect_itself(conform):
    """A stateless call that disconnects its own connection is still answered, and counted once."""
    actor = conform.get_or_create("connStateActor")
    assert await actor.action("disconnectSelf") is True
    quiet = conform.get_or_create("connStateActor", params={"noCount": True})
    assert await quiet.action("getDisconnectionCount") == 1


@requirement("CONN-010", "CONN-011", "CONN-012", "CONN-013")
async def test_connection_is_invisible_before_it_is_connected(conform):
    """A connection appears in the map at onConnect, not before."""
    actor = conform.get_or_create("connPreflightVisibilityActor")
    async with conform.connected(actor, params={"label": "one"}), conform.connected(actor, params={"label": "two"}) as second:
        seen = await second.action("snapshot")
        assert seen["beforeVisibleLabels"] == [[], ["one"]]
        assert seen["createVisibleLabels"] == [[], ["one"]]
        assert [entry["ownVisible"] for entry in seen["connectSnapshots"]] == [True, True]
        assert sorted(seen["connectSnapshots"][1]["visibleLabels"]) == ["one", "two"]
        assert sorted(seen["visibleLabels"]) == ["one", "two"]


@requirement("CONN-010", "CONN-030")
async def test_connection_waiting_in_a_hook_is_invisible(conform, eventually):
    """While a connection waits in its hooks neither the hooks nor the others see it."""
    actor = conform.get_or_create("connPreflightVisibilityActor")
    async with conform.connected(actor, params={"label": "observer"}) as observer:
        slow = actor.connect(params={"label": "slow", "beforeDelayMs": 600, "createDelayMs": 300})
        try:
            seen = await eventually(lambda: observer.action("snapshot"), until=lambda now: now["beforeStarted"] == 2, what="the slow hook")
            # The live peer answers others only when the hooks are through.
            through = len(seen["connectSnapshots"]) == 2
            assert sorted(seen["visibleLabels"]) == (["observer", "slow"] if through else ["observer"])
            await slow.ready()
            seen = await observer.action("snapshot")
            assert seen["beforeVisibleLabels"] == seen["createVisibleLabels"] == [[], ["observer"]]
            assert sorted(seen["visibleLabels"]) == ["observer", "slow"]
        finally:
            await slow.dispose()


@requirement("CONN-030", "CONN-031")
async def test_rejected_connections_leave_no_trace(conform, expect_error):
    """Rejected connections run neither onConnect nor onDisconnect."""
    actor = conform.get_or_create("connPreflightVisibilityActor")
    for params in ({"label": "a", "rejectBefore": True}, {"label": "b", "rejectCreate": True}):
        conn = actor.connect(params=params)
        try:
            async with expect_error("rivetkit", "internal_error"):
                await conn.ready()
        finally:
            await conn.dispose()
    seen = await actor.action("snapshot")
    assert (seen["beforeStarted"], seen["createStarted"]) == (3, 2)
    assert [entry["label"] for entry in seen["connectSnapshots"]] == ["anonymous"]
    assert seen["disconnectSnapshots"] == []


@requirement("CONN-063")
async def test_disconnecting_connection_has_left_the_map(conform, eventually):
    """In onDisconnect the connection itself is no longer listed."""
    actor = conform.get_or_create("connPreflightVisibilityActor")
    async with conform.connected(actor, params={"label": "stays"}) as stays:
        async with conform.connected(actor, params={"label": "goes"}):
            pass
        seen = await eventually(
            lambda: stays.action("snapshot"), until=lambda s: bool(s["disconnectSnapshots"]), what="the disconnect snapshot"
        )
        assert seen["disconnectSnapshots"] == [{"label": "goes", "otherLabels": ["stays"]}]
