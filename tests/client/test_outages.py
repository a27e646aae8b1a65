"""Servers that go away and come back: who waits for them, for how long, and how many calls (WIRE-909, WIRE-964, WIRE-965)."""

from __future__ import annotations

import asyncio
import itertools
import socket as sockets
import ssl

import pytest

from client import ActorError, ConfigurationError, ConnectionClosedError, Limits, RetryPolicy
from client.connections.reconnection import Reconnection
from runtime.errors import make_error
from tests.client.gateway import Gateway, refuse, silent
from tests.client.silent import vanishing_server
from tests.harness.app_server import AppServer

pytestmark = pytest.mark.virtual_time
LONG = 600


class Restarting:
    """A gateway on one port that can be stopped and started."""

    def __init__(self):
        with sockets.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.app = Gateway()

    async def start(self):
        self.server = AppServer(self.app, port=self.port)
        return await self.server.start()

    async def stop(self):
        await self.server.stop()


async def test_a_connection_comes_back_after_any_outage(new_client, watched):
    place = Restarting()
    client = await new_client(endpoint=await place.start(), limits=Limits(unsent=2 * LONG))
    conn = client.get_or_create("counter", "a").connect()
    await conn.ready()
    seen = watched(conn)
    conn.on("tick", print)
    await place.stop()
    await asyncio.sleep(1)
    waiting = asyncio.create_task(conn.ping())
    await asyncio.sleep(LONG)
    assert conn.status != "idle"
    await place.start()
    assert await waiting == "ping"
    assert place.app.peers[-1].subscriptions() == [("tick", True)]
    assert seen[-2:] == ["connected", "open"]
    assert "client.connection_open_failed" in seen
    await conn.dispose()
    await place.stop()


@pytest.mark.parametrize(
    "script",
    [
        refuse(1001, ""),
        refuse(1012, "service restart"),
        refuse(1013, "try again"),
        refuse(1011, "actor.starting#ray"),
        silent,
    ],
)
async def test_openings_that_are_repeated_once_connected(gateway, client, script):
    async with client.get_or_create("counter", "a").connect() as conn:
        gateway.scripts += [script, script]
        with pytest.raises(ConnectionClosedError):
            await conn.drop()
        assert await conn.ping() == "ping"
        assert len(gateway.peers) == 4


@pytest.mark.parametrize("script", [refuse(1011, "user.denied"), refuse(1000, ""), refuse(1003, "actor.unsupported_websocket_encoding")])
async def test_refusals_that_were_meant_end_it_all_the_same(gateway, client, script):
    conn = client.get_or_create("counter", "a").connect()
    await conn.ready()
    gateway.scripts += [script]
    with pytest.raises(ConnectionClosedError):
        await conn.drop()
    with pytest.raises(ActorError):
        await conn.ping()
    assert conn.status == "idle"


@pytest.mark.parametrize(("status", "comes_back"), [(503, True), (502, True), (429, True), (403, False), (404, False)])
async def test_what_stands_before_a_server_answers_for_it(gateway, client, status, comes_back):
    conn = client.get_or_create("counter", "a").connect()
    await conn.ready()
    gateway.upgrade_statuses += [status, status]
    with pytest.raises(ConnectionClosedError):
        await conn.drop()
    if comes_back:
        assert await conn.ping() == "ping"
    else:
        with pytest.raises(ActorError, match=str(status)):
            await conn.ping()
    await conn.dispose()


async def test_a_server_that_loses_every_connection_at_once_is_not_asked_without_a_pause(gateway, client):
    async def lose(peer):
        await peer.init()
        await asyncio.sleep(0.01)
        await peer.close(1001)

    gateway.scripts += [lose] * 10
    conn = client.get_or_create("counter", "a").connect()
    peer = await gateway.peer(10)
    waits = [later.at - earlier.at for earlier, later in itertools.pairwise(gateway.peers)]
    assert waits == pytest.approx([0, 0, 0, 0, 0, 0.25, 0.5, 1, 2, 4], abs=0.1)
    await asyncio.sleep(2)
    await peer.close(1001)
    last = await gateway.peer(11)
    assert last.at - peer.at == pytest.approx(2, abs=0.1), "a connection that lasted begins anew"
    await conn.dispose()


async def test_a_call_waits_so_long_for_a_connection_and_was_not_sent(gateway, new_client):
    client = await new_client(limits=Limits(unsent=20))
    conn = client.get_or_create("counter", "a").connect()
    await conn.ready()
    gateway.scripts += [refuse(1001, "")] * 7
    with pytest.raises(ConnectionClosedError):
        await conn.drop()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(ActorError, match="Timed out after 20 s waiting for the connection to call ping") as failed:
        await conn.ping()
    assert (failed.value.name, loop.time() - began) == ("client.timed_out", pytest.approx(20, abs=0.1))
    assert await asyncio.wait_for(conn.later(), 19) == "later"
    assert [one for peer in gateway.peers[1:] for one in peer.actions()] == [(2, "later")]
    await conn.dispose()


async def test_calls_without_an_answer_are_bounded(gateway, new_client):
    client = await new_client(limits=Limits(pending=3))
    async with client.get_or_create("counter", "a").connect() as conn:
        hanging = [asyncio.create_task(conn.hang()) for _ in range(3)]
        await asyncio.sleep(0.01)
        with pytest.raises(ActorError, match="3 messages of this connection are waiting already") as refused:
            await conn.ping()
        assert refused.value.name == "client.overloaded"
        hanging[0].cancel()
        await asyncio.sleep(0)
        assert await conn.ping() == "ping"
        for task in hanging:
            task.cancel()


async def test_messages_that_a_peer_does_not_take_are_bounded(new_client, watched):
    async with vanishing_server() as url:
        client = await new_client(endpoint=url, metadata_lookup=False, limits=Limits(pending=5, ping_interval=None, close=1))
        conn = client.get_for_id("counter", "id").connect()
        await conn.ready()
        failures = []
        for _ in range(12):
            # Given up by their callers, they are no longer pending, but wait to be sent all the same.
            try:
                await asyncio.wait_for(conn.action("x", b"x" * 6_000_000 if not failures else b""), 0.1)
            except (TimeoutError, ActorError) as failure:
                failures.append(getattr(failure, "name", "waited"))
        assert failures == ["waited"] * 6 + ["client.overloaded"] * 6
        seen = watched(conn)
        conn.on("tick", print)
        await asyncio.sleep(0.1)
        assert "disconnected" in seen, "a subscription cannot be refused: the connection begins anew"
        await conn.dispose()


def delays(policy, count=6):
    return list(itertools.islice(policy.reconnect_delays(at_once=False), count))


def test_jitter_shortens_every_delay_and_comes_from_the_seed():
    exact = [0.25, 0.5, 1, 2, 4, 8]
    one, same, other = delays(RetryPolicy(seed=1)), delays(RetryPolicy(seed=1)), delays(RetryPolicy(seed=2))
    assert one == same != other
    assert all(most / 2 <= delay <= most for delay, most in zip(one, exact, strict=True))
    assert delays(RetryPolicy(jitter=0)) == exact
    assert delays(RetryPolicy()) != delays(RetryPolicy()), "two clients of two processes keep apart"
    policy = RetryPolicy(seed=1)
    assert delays(policy) != delays(policy), "and two connections of one client"
    assert list(RetryPolicy(seed=1).outer()) != [0.025, 0.05, 0.1, 0.2]
    assert next(RetryPolicy(seed=1).metadata_delays()) < 0.5
    assert next(RetryPolicy(seed=1).reconnect_delays()) == 0, "the first attempt is immediate"


@pytest.mark.parametrize("jitter", [-0.1, 1.1, float("nan")])
def test_jitter_is_a_share(jitter):
    with pytest.raises(ConfigurationError, match="jitter"):
        RetryPolicy(jitter=jitter)


@pytest.mark.parametrize(
    ("cause", "comes_back"),
    [
        (ConnectionRefusedError(), True), (sockets.gaierror(), True), (TimeoutError(), True), (EOFError(), True),
        (ssl.SSLCertVerificationError(), False), (ValueError(), False),
    ],
)  # fmt: skip
async def test_outages(cause, comes_back):
    failure = make_error("client.connection_open_failed", reason="x")
    failure.__cause__ = cause
    again = Reconnection(RetryPolicy(), dynamic=True)
    assert not again.goes_on(failure, opened=False), "an address where nobody ever was may be wrong"
    again.opened()
    assert again.goes_on(failure, opened=False) is comes_back
