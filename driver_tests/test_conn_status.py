"""Suite conn-status: the status of a client connection over its life."""

from __future__ import annotations

from client import ActorError, ConnectionClosedError
from harness import requirement, suite, timing, untimed

pytestmark = [suite("conn-status"), timing]


async def lose(conform, eventually, conn):
    """Have the server close the connection and wait for the reconnect; how the call that asked for it failed, if it did."""
    seen = []
    stop = conn.on_status_change(seen.append)
    failure = await conform.settled(conform.spawn(conn.action("disconnectSelf")))
    # The answer may arrive before the close does.
    await eventually(lambda: seen, until=lambda statuses: "connected" in statuses, what="the reconnect")
    stop()
    return failure


@requirement("WIRE-951", "CONN-101")
@untimed
async def test_status_from_connecting_to_connected(conform):
    """A new connection goes from idle over connecting to connected."""
    conn = conform.get_or_create("counter").connect()
    seen = []
    conn.on_status_change(seen.append)
    try:
        assert conn.status == "idle"
        await conn.ready()
        assert conn.status == "connected"
        assert seen == ["connecting", "connected"]
    finally:
        await conn.dispose()


@requirement("CONN-104", "WIRE-962")
@untimed
async def test_dispose_goes_idle_and_may_be_repeated(conform):
    """Dispose ends in idle; a second one does nothing."""
    conn = conform.get_or_create("counter").connect()
    await conn.ready()
    seen = []
    conn.on_status_change(seen.append)
    await conn.dispose()
    await conn.dispose()
    assert seen == ["idle"]
    assert conn.status == "idle"


@requirement("CONN-101", "WIRE-952")
async def test_open_and_close_listeners(conform, eventually):
    """Open listeners run on connected, close listeners on leaving it."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    conn = actor.connect(params={})
    opened, closed = [], []
    conn.on_open(lambda: opened.append(True))
    conn.on_close(lambda: closed.append(True))
    try:
        await conn.ready()
        assert opened == [True]
        await conform.settled(conform.spawn(conn.action("disconnectSelf")))
        await eventually(lambda: len(opened), until=lambda n: n == 2, what="the reconnect")
        assert closed == [True]
        assert await conn.action("getConnectionState") is not None
        assert (opened, closed) == ([True, True], [True])
    finally:
        await conn.dispose()


@requirement("WIRE-952")
@untimed
async def test_late_open_listener_fires(conform, eventually):
    """A listener added after the connection opened is called soon."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        opened = []
        conn.on_open(lambda: opened.append(True))
        await eventually(lambda: opened, until=bool, what="the late open listener")


@requirement("CONN-100", "WIRE-958")
async def test_reconnects_after_the_server_disconnects(conform, eventually):
    """A lost connection is disconnected, then connecting, then connected again, under a new id."""
    conn = conform.get_or_create("connStateActor", params={"noCount": True}).connect(params={})
    await conn.ready()
    first, seen = conn.connection_id, []
    conn.on_status_change(seen.append)
    try:
        await conform.settled(conform.spawn(conn.action("disconnectSelf")))
        await eventually(lambda: seen, until=lambda s: "connected" in s, what="the reconnect")
        assert seen == ["disconnected", "connecting", "connected"]
        assert conn.connection_id != first
        assert await conn.action("getConnectionState") is not None
    finally:
        await conn.dispose()


@requirement("CONN-103", "WIRE-957")
async def test_actions_in_flight_are_rejected(conform, eventually):
    """What is in flight when the socket is lost is rejected, not resent; later calls work."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    conn = actor.connect(params={})
    await conn.ready()
    try:
        failure = await lose(conform, eventually, conn)
        assert failure is None or isinstance(failure, (ActorError, ConnectionClosedError))
        assert await conn.action("incrementSharedCounter") == 1
    finally:
        await conn.dispose()


@requirement("WIRE-955", "CONN-101")
async def test_subscriptions_are_restored_on_reconnect(conform, eventually):
    """Listened events are subscribed again after a reconnect."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    conn = actor.connect(params={})
    await conn.ready()
    seen = []
    conn.on("userConnected", seen.append)
    try:
        await lose(conform, eventually, conn)
        await conn.action("getConnectionState")
        async with conform.connected(actor, params={}) as other:
            await eventually(
                lambda: seen, until=lambda s: {"id": other.connection_id, "username": "anonymous", "role": "user"} in s, what="the event"
            )
    finally:
        await conn.dispose()


@requirement("CONN-100", "WIRE-959", "CONN-105")
async def test_terminal_failure_goes_idle(conform, clock, expect_error):
    """A hook that rejects the connection ends it: idle, no retry, and later calls get the stored error."""
    conn = conform.get_or_create("beforeConnectRejectActor").connect(params={"shouldReject": True})
    seen = []
    conn.on_status_change(seen.append)
    try:
        async with expect_error("user", "connection_rejected"):
            await conn.ready()
        assert conn.status == "idle"
        await clock.sleep(2)
        assert seen == ["connecting", "idle"]
        async with expect_error("user", "connection_rejected"):
            await conn.action("ping")
        assert await conform.get_or_create("beforeConnectRejectActor").action("ping") == "pong"
        assert seen == ["connecting", "idle"]
    finally:
        await conn.dispose()


@requirement("WIRE-956")
@untimed
async def test_error_listener_hears_of_a_rejection(conform, expect_error):
    """A rejected opening calls the error listeners."""
    conn = conform.get_or_create("beforeConnectRejectActor").connect(params={"shouldReject": True})
    errors = []
    conn.on_error(errors.append)
    try:
        async with expect_error("user", "connection_rejected"):
            await conn.ready()
        assert [(error.group, error.code) for error in errors] == [("user", "connection_rejected")]
    finally:
        await conn.dispose()


@requirement("CONN-102", "HIB-020")
async def test_hibernation_changes_no_status(conform, boundary):
    """Sleep and wake of the actor cause no status change, no open and no close."""
    actor = conform.get_or_create("hibernationActor")
    async with conform.connected(actor) as conn:
        seen = []
        conn.on_status_change(seen.append)
        conn.on_open(lambda: seen.append("open"))
        conn.on_close(lambda: seen.append("close"))
        await conn.action("ping")
        seen.clear()
        before = conn.connection_id
        await boundary.sleep(actor)
        assert await conn.action("ping") == "pong"
        assert seen == []
        assert conn.connection_id == before


@requirement("WIRE-910", "CONN-045")
async def test_params_provider_is_called_per_attempt(conform, eventually):
    """A parameters provider is asked anew for each connection attempt."""
    calls = []

    async def provide():
        calls.append(True)
        return {"username": f"user-{len(calls)}"}

    conn = conform.client.get_or_create("connStateActor", conform.key, get_params=provide).connect()
    try:
        assert (await conn.action("getConnectionState"))["username"] == "user-1"
        await conform.settled(conform.spawn(conn.action("disconnectSelf")))
        await eventually(lambda: len(calls), until=lambda n: n == 2, what="the second attempt")
        assert (await conn.action("getConnectionState"))["username"] == "user-2"
    finally:
        await conn.dispose()
