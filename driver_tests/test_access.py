"""Suite access: who may connect, publish and subscribe; what hooks see of the request; large payloads."""

from __future__ import annotations

import pytest

from harness import any_encoding, requirement, suite

pytestmark = suite("access")


@requirement("ACCESS-010", "ACCESS-002")
async def test_admitted_caller(conform):
    """An admitted caller may call, publish and use raw routes."""
    actor = conform.get_or_create("accessControlActor")
    assert await actor.action("allowedAction", "x") == "allowed:x"
    assert (await actor.fetch("status")).json() == {"ok": True}
    socket = await actor.web_socket()
    assert await socket.recv() == '{"type":"welcome"}'
    await socket.close()


@requirement("ACCESS-001", "ACCESS-002", "ACCESS-003", "ACCESS-004")
@pytest.mark.parametrize("flag", ["allowRequest", "allowWebSocket"])
async def test_refused_caller(conform, expect_error, flag):
    """The pre-connect hook refuses every way in with auth.forbidden."""
    params = {flag: False}
    actor = conform.get_or_create("accessControlActor", params=params)
    async with expect_error("auth", "forbidden") as caught:
        await actor.action("allowedAction", "x")
    assert caught.error.message == "Forbidden"
    response = await actor.fetch("status")
    assert response.status_code == 403
    async with expect_error("auth", "forbidden"):
        await actor.send("allowedQueue", 1)
    conn = actor.connect(params=params)
    try:
        async with expect_error("auth", "forbidden"):
            await conn.ready()
    finally:
        await conn.dispose()


@requirement("ACCESS-020")
async def test_allowed_queue(conform):
    """A guard that allows sees the sender's connection, and the message is stored."""
    actor = conform.get_or_create("accessControlActor")
    await actor.send("allowedQueue", {"n": 1})
    assert await actor.action("allowedReceiveQueue") == {"n": 1}
    assert await actor.action("allowedGetLastCanPublishConnId") != ""


@requirement("ACCESS-020", "WIRE-333")
@pytest.mark.parametrize("wait", [False, True])
async def test_blocked_queue(conform, expect_error, wait):
    """A guard that denies refuses the send, waiting or not, and nothing is stored."""
    actor = conform.get_or_create("accessControlActor")
    async with expect_error("auth", "forbidden"):
        await actor.send("blockedQueue", 1, wait=wait)
    assert await actor.action("allowedReceiveAnyQueue") is None


@requirement("ACCESS-024", "WIRE-332")
async def test_undeclared_queue(conform):
    """A name without a declaration is answered and stored nowhere."""
    for name in ("accessControlActor", "accessControlNoQueuesActor"):
        actor = conform.get_or_create(name)
        await actor.send("undeclaredQueue", 1)
        assert (await actor.send("undeclaredQueue", 1, wait=True)).status == "completed"
        read = "allowedReceiveAnyQueue" if name == "accessControlActor" else "readAnyQueue"
        assert await actor.action(read) is None


@requirement("ACCESS-030", "EVENT-001")
async def test_allowed_event(conform, eventually):
    """A guard that allows sees the subscriber's connection; its events arrive."""
    async with conform.connected(conform.get_or_create("accessControlActor")) as conn:
        seen = []
        conn.on("allowedEvent", seen.append)
        await conn.action("allowedBroadcastAllowedEvent", "v")
        assert seen == [{"value": "v"}]
        assert await conn.action("allowedGetLastCanSubscribeConnId") == conn.connection_id


@requirement("ACCESS-031", "WIRE-525")
async def test_blocked_event_closes_the_connection(conform, eventually):
    """A guard that denies closes the connection with auth.forbidden."""
    conn = conform.get_or_create("accessControlActor").connect()
    await conn.ready()
    errors, first = [], conn.connection_id
    conn.on_error(errors.append)
    try:
        remove = conn.on("blockedEvent", lambda *args: None)
        await eventually(lambda: errors, until=bool, what="the denial")
        remove()
        assert (errors[0].group, errors[0].code) == ("auth", "forbidden")
        await eventually(lambda: conn.connection_id, until=lambda found: found != first, what="the reconnect")
    finally:
        await conn.dispose()


@requirement("ACCESS-033")
async def test_undeclared_event(conform):
    """Events without a declaration may be subscribed by anyone."""
    async with conform.connected(conform.get_or_create("accessControlActor")) as conn:
        seen = []
        conn.on("undefinedEvent", seen.append)
        await conn.action("allowedBroadcastUndefinedEvent", 1)
        assert seen == [{"value": 1}]


TRACK = {"trackRequest": True}


@requirement("CONN-014")
async def test_request_of_a_stateless_call(conform):
    """The connection hooks see the POST of the call."""
    actor = conform.get_or_create("requestAccessActor", params=TRACK)
    await actor.action("ping")
    info = await conform.get_or_create("requestAccessActor").action("getRequestInfo")
    for hook in ("onBeforeConnect", "createConnState"):
        assert info[hook]["hasRequest"] is True
        assert info[hook]["requestMethod"] == "POST"
        assert info[hook]["requestUrl"].endswith("/action/ping")
        assert "x-rivet-conn-params" in info[hook]["requestHeaders"]


@requirement("CONN-014", "WIRE-508")
async def test_request_of_a_connection(conform):
    """The connection hooks see the GET of `/connect`."""
    actor = conform.get_or_create("requestAccessActor")
    async with conform.connected(actor, params=TRACK) as conn:
        info = await conn.action("getRequestInfo")
    assert info["onBeforeConnect"]["requestMethod"] == "GET"
    assert "/connect" in info["onBeforeConnect"]["requestUrl"]
    assert "sec-websocket-protocol" in info["onBeforeConnect"]["requestHeaders"]


@requirement("CONN-014", "RAWHTTP-013")
@any_encoding
async def test_request_of_a_raw_request(conform):
    """A raw request is seen without its prefix."""
    actor = conform.get_or_create("requestAccessActor", params=TRACK)
    seen = (await actor.fetch("test-path?x=1", method="PUT", headers={"x-test": "v"})).json()
    assert seen["requestMethod"] == "PUT"
    assert seen["requestUrl"].endswith("/test-path?x=1")
    assert seen["requestHeaders"]["x-test"] == "v"


@requirement("RAWWS-002")
async def test_request_of_a_raw_socket(conform):
    """A raw socket's handler sees the whole path, and echoes afterwards."""
    socket = await conform.get_or_create("requestAccessActor", params=TRACK).web_socket("sub/path?q=1")
    assert '"hasRequest":true' in str(await socket.recv())
    await socket.send("echo")
    assert await socket.recv() == "echo"
    await socket.close()
    info = await conform.get_or_create("requestAccessActor").action("getRequestInfo")
    assert info["onWebSocket"]["requestUrl"].endswith("/websocket/sub/path?q=1")


@requirement("CONN-014")
async def test_untracked_requests_leave_nothing(conform):
    """Without the parameter nothing is recorded."""
    actor = conform.get_or_create("requestAccessActor")
    await actor.action("ping")
    info = await actor.action("getRequestInfo")
    places = ("onBeforeConnect", "createConnState", "onRequest", "onWebSocket")
    assert {place: record["hasRequest"] for place, record in info.items()} == dict.fromkeys(places, False)


@requirement("WIRE-314", "WIRE-981")
@pytest.mark.parametrize("count", [0, 1, 700])
async def test_large_requests(conform, count):
    """Requests below the limit pass; an empty list has no first item."""
    items = [f"Item {i} with some text" for i in range(count)]
    result = await conform.get_or_create("largePayloadActor").action("processLargeRequest", {"items": items})
    assert result["itemCount"] == count
    if count:
        assert (result["firstItem"], result["lastItem"]) == (items[0], items[-1])


@requirement("WIRE-314")
async def test_request_over_the_limit(conform, expect_error):
    """A request over the incoming limit is refused, and the actor goes on."""
    actor = conform.get_or_create("largePayloadActor")
    async with expect_error("message", "incoming_too_long"):
        await actor.action("processLargeRequest", {"items": ["x" * 100] * 800})
    assert await actor.action("echo", 1) == 1


@requirement("WIRE-319")
async def test_large_responses(conform, expect_error):
    """Responses below the limit pass, larger ones are errors."""
    actor = conform.get_or_create("largePayloadActor")
    assert len((await actor.action("getLargeResponse", 5000))["items"]) == 5000
    async with expect_error("message", "outgoing_too_long"):
        await actor.action("getLargeResponse", 25_000)


@requirement("CONN-097", "CONN-098")
async def test_large_payloads_on_a_connection(conform, expect_error):
    """The same limits hold on a connection."""
    async with conform.connected(conform.get_or_create("largePayloadConnActor")) as conn:
        items = ["y" * 50] * 900
        assert (await conn.action("processLargeRequest", {"items": items}))["itemCount"] == 900
        assert await conn.action("getLastRequestSize") == 900
        assert len((await conn.action("getLargeResponse", 5000))["items"]) == 5000
        async with expect_error("message", "outgoing_too_long"):
            await conn.action("getLargeResponse", 25_000)
        assert conn.status == "connected"
