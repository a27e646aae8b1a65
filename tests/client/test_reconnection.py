"""Connections: loss, reconnection, openings that fail, parameters."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from client import ActorError, ConnectionClosedError
from tests.client.gateway import refuse

pytestmark = pytest.mark.virtual_time


async def until(condition, timeout=200.0):
    """Wait in virtual time."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.005)


async def test_loss_with_a_plain_reason(gateway, handle, watched):
    async with handle.connect() as conn:
        seen = watched(conn)
        conn.on("tick", print)
        hanging = asyncio.create_task(conn.hang())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionClosedError, match=r"Connection closed \(code: 1000, reason: \)"):
            await conn.drop()
        with pytest.raises(ConnectionClosedError):
            await hanging
        assert await conn.ping() == "ping"
        assert seen == ["open", "disconnected", "close", "connecting", "connected", "open"]
        old, new = gateway.peers
        assert new.at - old.at < 0.1, "the first attempt is immediate"
        assert new.subscriptions() == [("tick", True)]
        assert new.actions() == [(2, "ping")], "ids go on, nothing is sent twice"


async def test_loss_with_a_structured_reason(gateway, handle, watched):
    async with handle.connect() as conn:
        seen = watched(conn)
        with pytest.raises(ActorError, match=r"Connection closed: message\.incoming_too_long#ray") as failed:
            await conn.action("drop:message.incoming_too_long#ray")
        assert failed.value.name == "message.incoming_too_long"
        await conn.ping()
        assert seen == ["open", "disconnected", "close", "message.incoming_too_long", "connecting", "connected", "open"]


async def test_stale_loss_raises_no_error_event(handle, watched):
    async with handle.connect() as conn:
        seen = watched(conn)
        with pytest.raises(ActorError, match="stopping"):
            await conn.action("drop:actor.stopping")
        await conn.ping()
        assert "actor.stopping" not in seen


async def test_reconnection_backs_off_for_ever(gateway, handle):
    async with handle.connect() as conn:
        gateway.scripts += [refuse(1011, "guard.service_unavailable#ray")] * 10
        with pytest.raises(ConnectionClosedError):
            await conn.drop()
        assert await conn.ping() == "ping"
        times = [peer.at for peer in gateway.peers]
        waits = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert waits == pytest.approx([0, 0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30], abs=0.15)
        gateway.scripts += [refuse(1011, "guard.service_unavailable#ray")]
        with pytest.raises(ConnectionClosedError):
            await conn.drop()
        await conn.ping()
        assert gateway.peers[-1].at - gateway.peers[-2].at == pytest.approx(0.25, abs=0.1), "a success starts the back-off anew"


@pytest.mark.parametrize(
    "script",
    [
        *(
            refuse(1011, f"actor.{code}#ray")
            for code in ("not_found", "starting", "stopping", "not_configured", "dropped_reply", "destroyed_x")
        ),
        refuse(1011, "guard.actor_wake_retries_exceeded#ray"),
        refuse(1000, "actor.stopped"),
        refuse(1000, "ws.going_away"),
        refuse(1011, "actor.starting", frame="actor.starting"),
        refuse(1001, "envoy shutting down"),
    ],
)
async def test_openings_that_are_repeated(gateway, handle, script):
    gateway.scripts += [script, script]
    conn = handle.connect()
    assert await conn.ping() == "ping"
    times = [peer.at for peer in gateway.peers]
    assert [times[1] - times[0], times[2] - times[1]] == pytest.approx([0.25, 0.5], abs=0.15)
    await conn.dispose()


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (refuse(1011, "user.denied", frame="user.denied"), "user.denied"),
        (refuse(1011, "user.denied"), "user.denied"),
        (refuse(1011, "actor.destroying#ray"), "actor.destroying"),
        (refuse(1003, "actor.unsupported_websocket_encoding"), "actor.unsupported_websocket_encoding"),
        (refuse(1000, ""), "client.connection_open_failed"),
        (refuse(1006, "something else"), "client.connection_open_failed"),
        (lambda peer: peer.raw(b"\x04\x00\x09"), "client.connection_open_failed"),
    ],
)
async def test_openings_that_end_it(gateway, handle, watched, script, name):
    gateway.scripts += [script]
    conn = handle.connect()
    seen = watched(conn)
    queued = asyncio.create_task(conn.ping())
    with pytest.raises(ActorError) as failed:
        await conn.ready()
    assert failed.value.name == name
    assert seen == ["connecting", name, "idle"]
    for call in (queued, conn.ping(), conn.send("q")):
        with pytest.raises(ActorError) as later:
            await call
        assert later.value is failed.value
    assert len(gateway.peers) == 1
    await conn.dispose()


async def test_stale_openings_of_a_fixed_id_end_it(gateway, client):
    gateway.scripts += [refuse(1011, "actor.not_found#ray")]
    with pytest.raises(ActorError, match="not_found"):
        async with client.get_for_id("counter", "id-7").connect():
            pass
    assert len(gateway.peers) == 1


async def test_an_endpoint_without_a_server_ends_it(new_client, watched):
    client = await new_client(endpoint="http://127.0.0.1:9", metadata_lookup=False)
    conn = client.get_or_create("counter").connect()
    seen = watched(conn)
    with pytest.raises(ActorError):
        await conn.ready()
    assert seen == ["connecting", "client.connection_open_failed", "idle"]


async def test_stale_openings_keep_queued_calls_and_raise_no_error(gateway, handle, watched):
    gateway.scripts += [refuse(1011, "actor.stopping#ray", frame="actor.stopping")] * 3
    conn = handle.connect()
    seen = watched(conn)
    calls = [asyncio.create_task(conn.action(name)) for name in ("one", "two")]
    assert await asyncio.gather(*calls) == ["one", "two"]
    assert seen == [*["connecting", "disconnected"] * 3, "connecting", "connected", "open"]
    await conn.dispose()


async def test_denied_subscription_backs_off(gateway, handle):
    async def deny(peer):
        await peer.init()
        await peer.hear()
        await peer.close(1011, "auth.forbidden")

    gateway.scripts += [deny] * 4
    conn, errors = handle.connect(), []
    conn.on_error(errors.append)
    conn.on("secret", print)
    peer = await gateway.peer(4)
    assert peer.at - gateway.peers[0].at == pytest.approx(1.0, abs=0.2)
    await until(lambda: len(errors) == 4)
    assert {failure.name for failure in errors} == {"auth.forbidden"}
    await conn.dispose()


async def test_undecodable_frames_close_the_connection(gateway, handle, watched):
    async def script(peer):
        await peer.init()
        await peer.raw(b"\xff")
        while await peer.hear() is not None:
            pass

    gateway.scripts += [script]
    conn = handle.connect()
    seen = watched(conn)
    await gateway.peer(1)
    assert gateway.peers[0].closed is not None
    assert seen.count("DecodeError") == 1
    assert gateway.peers[1].at - gateway.peers[0].at == pytest.approx(0.25, abs=0.1)
    await conn.dispose()


async def test_params(gateway, client):
    calls = []

    async def provide():
        calls.append(True)
        return {"n": len(calls)}

    handle = client.get_or_create("counter", "a", params={"static": 1}, get_params=provide)
    conn = handle.connect()
    await conn.ready()
    with pytest.raises(ConnectionClosedError):
        await conn.drop()
    await conn.ping()
    await conn.dispose()
    async with handle.connect(params={"given": 1}):
        pass
    socket = await handle.web_socket()
    await socket.close()
    texts = [peer.protocols[-1].removeprefix("rivet_conn_params.") for peer in gateway.peers]
    assert texts == ["%7B%22n%22%3A1%7D", "%7B%22n%22%3A2%7D", "%7B%22given%22%3A1%7D", "%7B%22n%22%3A3%7D"]


async def test_failing_params(gateway, client, watched):
    calls = []

    async def provide():
        calls.append(asyncio.get_running_loop().time())
        if len(calls) < 4:
            raise LookupError("no session")
        return {}

    handle = client.get_or_create("counter", "a", get_params=provide)
    conn = handle.connect()
    seen = watched(conn)
    with pytest.raises(ActorError) as failed:
        await conn.ping()
    assert failed.value.name == "client.get_params_failed"
    assert failed.value.message == "Failed to resolve connection params: no session"
    await conn.ready()
    assert await conn.ping() == "ping"
    assert seen.count("client.get_params_failed") == 3
    assert [later - earlier for earlier, later in itertools.pairwise(calls)] == pytest.approx([0.25, 0.5, 1], abs=0.1)
    await conn.dispose()
    del calls[:]
    with pytest.raises(ActorError, match="get_params_failed"):
        await handle.web_socket()
