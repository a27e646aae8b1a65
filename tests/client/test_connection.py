"""Connections: status, calls, events, disposal."""

from __future__ import annotations

import asyncio

import pytest

from client import ActorError, Client, ConnectionDisposedError
from runtime.protocol.encodings import Encoding
from tests.client.gateway import answer, error, refuse, serve, silent

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("encoding", list(Encoding))
async def test_calls_and_events(gateway, new_client, encoding):
    client = await new_client(encoding=encoding)
    async with client.get_or_create("counter", "a").connect() as conn:
        assert (conn.actor_id, conn.connection_id) == ("id-1", "conn")
        got = []
        conn.on("tick", lambda *args: got.append(args))
        assert await conn.calculator.add(1) == "calculator.add"
        peer = gateway.peers[0]
        await peer.event("tick", 1, None, {"a": [2]})
        await peer.event("tick")
        await peer.event("unheard", 1)
        assert await conn.action("next") == "next"
        assert got == [(1, None, {"a": [2]}), ()]
        assert peer.actions() == [(0, "calculator.add"), (1, "next")]


async def test_status_and_listeners_in_order(gateway, handle, watched):
    conn = handle.connect()
    seen = watched(conn)
    assert conn.status == "idle"
    await conn.ready()
    await conn.dispose()
    assert seen == ["connecting", "connected", "open", "idle", "close"]
    assert gateway.peers[0].closed == (1000, "Disposed")


async def test_what_is_called_early_is_sent_on_open(gateway, handle):
    conn = handle.connect()
    remove = conn.on("forgotten", print)
    conn.on("tick", print)
    remove()
    calls = [asyncio.create_task(conn.action(name)) for name in ("one", "two", "three")]
    await asyncio.sleep(0)
    calls[1].cancel()
    assert await calls[0] == "one"
    assert await calls[2] == "three"
    assert gateway.peers[0].subscriptions() == [("tick", True)]
    assert gateway.peers[0].actions() == [(0, "one"), (2, "three")]
    await conn.dispose()


async def test_early_events_reach_early_listeners(gateway, handle):
    async def script(peer):
        await peer.event("welcome", 1)
        await serve(peer)

    gateway.scripts += [script]
    conn, got = handle.connect(), []
    conn.on("welcome", got.append)
    await conn.ready()
    assert got == [1]
    await conn.dispose()


async def test_subscriptions(gateway, handle):
    async with handle.connect() as conn:
        peer, got = gateway.peers[0], []
        first, second = conn.on("tick", got.append), conn.on("tick", lambda _: got.append("second"))
        first()
        first()
        await conn.ping()
        assert peer.subscriptions() == [("tick", True)]
        second()
        conn.once("once", got.append)
        await conn.ping()
        await peer.event("once", 1)
        await peer.event("once", 2)
        await conn.ping()
        assert peer.subscriptions() == [("tick", True), ("tick", False), ("once", True), ("once", False)]
        assert got == [1]


async def test_a_late_open_listener_fires_once(handle):
    async with handle.connect() as conn:
        opened = []
        conn.on_open(lambda: opened.append(True))
        assert opened == []
        await conn.ping()
        assert opened == [True]


async def test_raising_listeners_harm_nobody(handle):
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    conn, heard = handle.connect(), []
    for register in (conn.on_status_change, conn.on_open, conn.on_close, conn.on_error):
        register(lambda *args: 1 / 0)
    conn.on_status_change(heard.append)
    assert await conn.ping() == "ping"
    await conn.dispose()
    assert heard == ["connecting", "connected", "idle"]
    assert len(reported) == 5
    assert all(isinstance(one, ZeroDivisionError) for one in reported)


async def test_errors_of_actions(gateway, handle, watched):
    async def script(peer):
        await peer.init()
        await peer.hear()
        await peer.reject("user.denied", 0)
        await answer(peer)

    gateway.scripts += [script]
    async with handle.connect() as conn:
        seen = watched(conn)
        with pytest.raises(ActorError, match=r"user\.denied: no"):
            await conn.ping()
        assert await conn.ping() == "ping"
        assert seen == ["open"]


async def test_error_of_the_connection_rejects_what_is_in_flight(gateway, handle, watched):
    async def script(peer):
        await peer.init()
        await peer.hear()
        await peer.reject("actor.overheated")
        await answer(peer)

    gateway.scripts += [script]
    async with handle.connect() as conn:
        seen = watched(conn)
        with pytest.raises(ActorError, match="overheated"):
            await conn.ping()
        assert await conn.ping() == "ping"
        assert seen == ["open", "actor.overheated"]


async def test_dispose_rejects_everything(gateway, handle):
    conn = handle.connect()
    await conn.ready()
    hanging = asyncio.create_task(conn.hang())
    await asyncio.sleep(0)
    await conn.dispose()
    await conn.dispose()
    assert conn.status == "idle"
    for call in (hanging, conn.ping(), conn.send("q")):
        with pytest.raises(ConnectionDisposedError, match=r"^Attempting to interact with a disposed actor connection\.$"):
            await call
    await asyncio.sleep(60)
    assert len(gateway.peers) == 1


@pytest.mark.parametrize("script", [silent, refuse(1011, "guard.service_unavailable")])
async def test_dispose_while_opening(gateway, handle, script):
    gateway.scripts += [script] * 9
    conn = handle.connect()
    queued, opening = asyncio.create_task(conn.ping()), asyncio.create_task(conn.ready())
    await asyncio.sleep(0.5)
    await conn.dispose()
    for call in (queued, opening):
        with pytest.raises(ConnectionDisposedError):
            await call
    before = len(gateway.peers)
    await asyncio.sleep(60)
    assert len(gateway.peers) == before


async def test_dispose_at_once(gateway, handle):
    conn = handle.connect()
    await conn.dispose()
    with pytest.raises(ConnectionDisposedError):
        await conn.ready()
    assert gateway.peers == []


async def test_client_dispose_disposes_connections(gateway):
    async with Client(gateway.url) as client:
        conns = [client.get_or_create("counter", str(number)).connect() for number in range(3)]
        await asyncio.gather(*(conn.ready() for conn in conns))
    assert [conn.status for conn in conns] == ["idle"] * 3
    assert [peer.closed for peer in gateway.peers] == [(1000, "Disposed")] * 3
    assert [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.startswith(("Connection.", "Link.", "Client."))] == []


async def test_a_cancelled_ready_leaves_the_connection_alone(handle):
    conn = handle.connect()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(conn.ready(), 0)
    assert await conn.ping() == "ping"
    await conn.dispose()


async def test_a_cancelled_call_ignores_its_answer(gateway, handle):
    async def script(peer):
        await peer.init()
        await peer.hear()
        await asyncio.sleep(5)
        await peer.reject("user.late", 0)
        await answer(peer)

    gateway.scripts += [script]
    async with handle.connect() as conn:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(conn.slow(), 1)
        assert await conn.ping() == "ping"
        assert conn._pending == {}


async def test_unencodable_arguments_leave_nothing_behind(handle):
    async with handle.connect() as conn:
        with pytest.raises((ValueError, TypeError)):
            await conn.ping(object())
        assert await conn.ping() == "ping"
        assert conn._pending == {}


async def test_queue_sends_go_over_http_through_the_query(gateway, client):
    handle = client.get_or_create("counter", "a", params={"a": 1})
    async with handle.connect() as conn:
        gateway.answers += [error("actor.stopping")]
        result = await conn.send("q", 1, wait=True)
        assert (result.status, result.response) == ("completed", "done")
        assert gateway.rest == []
        assert {asked.path for asked in gateway.asked} == {"/gateway/counter/queue/q"}
        assert gateway.asked[0].headers["x-rivet-conn-params"] == '{"a":1}'
        assert gateway.peers[0].messages == []
