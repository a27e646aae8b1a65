"""What a client of an actor's socket does to the actor and to others: a real server, a real client."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from client import Client
from runtime import NO_RATE_LIMITS, Actor, Context, HostOptions, InProcessServer, Options, Registry, ServerLimits, action, create_app
from runtime.actor.connections import client_protocol
from tests.runtime.serving.socket_client import RawClient, masked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLACE = "?rvt-namespace=default&rvt-method=getOrCreate&rvt-key=a&rvt-pool=default"


def call(number: int, name: str, *args: object) -> bytes:
    """A call on a connection in JSON."""
    body = {"tag": "ActionRequest", "val": {"id": number, "name": name, "args": list(args)}}
    return masked(1, json.dumps({"body": body}).encode())


async def answers(client: RawClient, count: int) -> list[dict]:
    found = []
    while len(found) < count:
        opcode, payload = await client.frame()
        assert opcode == 1, payload
        body = json.loads(payload)["body"]
        if body["tag"] != "Init":
            found.append(body)
    return found


class Counter(Actor):
    """Idle; its calls take next to nothing, or until the test says."""

    name = "counter"
    gate: asyncio.Event
    running = most = 0

    @action
    async def brief(self, c: Context) -> int:
        return 1

    @action
    async def long(self, c: Context) -> int:
        kind = type(self)
        kind.running += 1
        kind.most = max(kind.most, kind.running)
        await kind.gate.wait()
        kind.running -= 1
        return 1


async def test_a_burst_finds_an_idle_actor_idle():
    """4,000 calls in one go, four times what the inbox holds: it is emptied as fast as they are read."""
    options = HostOptions(rate_limits=NO_RATE_LIMITS)
    async with InProcessServer(create_app(Registry(Counter), options=options)) as server:
        with await RawClient.open(server.port, f"/gateway/counter/connect{PLACE}") as client:
            burst = asyncio.create_task(client.send(b"".join(call(number, "brief") for number in range(4000))))
            assert {one["tag"] for one in await answers(client, 4000)} == {"ActionResponse"}
            await burst


async def test_calls_of_one_client_that_are_under_way_are_bounded(monkeypatch):
    monkeypatch.setattr(client_protocol, "MAX_UNDER_WAY", 50)
    Counter.gate, Counter.running, Counter.most = asyncio.Event(), 0, 0
    async with InProcessServer(create_app(Registry(Counter))) as server, Client(server.url) as other:
        with await RawClient.open(server.port, f"/gateway/counter/connect{PLACE}") as client:
            await client.send(b"".join(call(number, "long") for number in range(300)))
            await asyncio.sleep(0.1)
            assert Counter.running == 50
            # Nobody else waits for that.
            assert await other.get_or_create("counter", ["a"]).action("brief") == 1
            Counter.gate.set()
            assert {one["tag"] for one in await answers(client, 300)} == {"ActionResponse"}
    assert Counter.most == 50


class Sleepy(Actor):
    """Falls asleep as soon as nothing keeps it awake."""

    name = "sleepy"
    options = Options(sleep_timeout=0.05)
    asleep: asyncio.Event

    @action
    def ping(self, c: Context) -> str:
        return "pong"

    def on_sleep(self, c: Context) -> None:
        type(self).asleep.set()


@pytest.mark.parametrize("error", [RuntimeError("decoder"), RecursionError(), MemoryError()])
async def test_whatever_breaks_the_decoder_ends_the_socket_and_lets_the_actor_sleep(monkeypatch, error):
    decode = client_protocol.decode_to_server

    def broken(data, encoding):
        if b"bomb" in (data.encode() if isinstance(data, str) else data):
            raise error
        return decode(data, encoding)

    monkeypatch.setattr(client_protocol, "decode_to_server", broken)
    Sleepy.asleep = asyncio.Event()
    async with InProcessServer(create_app(Registry(Sleepy))) as server:
        with await RawClient.open(server.port, f"/gateway/sleepy/connect{PLACE}") as client:
            await client.send(call(1, "ping"))
            assert (await answers(client, 1))[0]["tag"] == "ActionResponse"
            await client.send(call(2, "bomb") + call(3, "ping"))
            code, reason = await client.closed()
            assert (code, reason.partition("#")[0]) == (1011, "core.internal_error")
            async with asyncio.timeout(3):
                await Sleepy.asleep.wait()


class Loud(Actor):
    """Says a lot to everybody, whether they read or not."""

    name = "loud"
    closes: list[tuple[int, str]]

    def on_web_socket(self, c: Context, socket) -> None:
        socket.on("close", lambda event: type(self).closes.append((event.code, event.reason.partition("#")[0])))

    @action
    async def shout(self, c: Context, count: int) -> int:
        for _ in range(count):
            c.broadcast("news", "x" * 100_000)
            await asyncio.sleep(0)
        return count


async def listener(server: InProcessServer, **more) -> RawClient:
    client = await RawClient.open(server.port, f"/gateway/loud/connect{PLACE}", **more)
    await client.send(
        masked(1, json.dumps({"body": {"tag": "SubscriptionRequest", "val": {"eventName": "news", "subscribe": True}}}).encode())
    )
    return client


async def test_who_does_not_read_is_closed_and_everybody_else_hears_all():
    limits = ServerLimits(websocket_unread=2 * 2**20)
    async with InProcessServer(create_app(Registry(Loud)), limits=limits) as server, Client(server.url) as other:
        with await listener(server) as reads, await listener(server, receive_buffer=2**17) as sleeps:
            sleeps.writer.transport.pause_reading()
            await reads.send(call(7, "shout", 120))
            events = await answers(reads, 121)
            assert [one["tag"] for one in events] == ["Event"] * 120 + ["ActionResponse"]
            # It reads again: what had left already, then why nothing more comes.
            sleeps.writer.transport.resume_reading()
            code, reason = await sleeps.closed()
            assert (code, reason.partition("#")[0]) == (1011, "guard.websocket_pending_limit_reached")
        assert await other.get_or_create("loud", ["a"]).action("shout", 0) == 0


async def test_all_who_do_not_read_have_one_bound_together():
    limits = ServerLimits(websockets_unread=4 * 2**20)
    async with InProcessServer(create_app(Registry(Loud)), limits=limits) as server:
        with await listener(server) as reads:
            sleepers = [await listener(server, receive_buffer=4096) for _ in range(4)]
            for one in sleepers:
                one.writer.transport.pause_reading()
            await reads.send(call(7, "shout", 100))
            assert len(await answers(reads, 101)) == 101
            room = reads_room(server)
            assert room.taken <= 4 * 2**20
            for one in sleepers:
                one.writer.transport.abort()


def reads_room(server: InProcessServer):
    """The room of a server's clients."""
    return server._server.config.ws_protocol_class.keywords["room"]


class Drowsy(Actor):
    """Falls asleep when it is told to or has nothing to do, notes when, and what ends its connections."""

    name = "drowsy"
    options = Options(sleep_timeout=0.05)
    happened: list[object]
    slow = 0.0

    async def on_wake(self, c: Context) -> None:
        await asyncio.sleep(type(self).slow)
        self.happened.append("awake")

    def on_sleep(self, c: Context) -> None:
        self.happened.append("asleep")

    def on_disconnect(self, c: Context, conn) -> None:
        self.happened.append("disconnected")

    def on_web_socket(self, c: Context, socket) -> None:
        socket.on("close", lambda event: self.happened.append((event.code, event.reason)))

    @action
    def nap(self, c: Context) -> None:
        c.sleep()

    @action
    def ping(self, c: Context) -> str:
        return "pong"


@asynccontextmanager
async def drowsy(path: str, *, slow: float = 0.0, **limits) -> AsyncIterator[tuple[InProcessServer, RawClient]]:
    Drowsy.happened, Drowsy.slow = [], slow
    options = HostOptions(rate_limits=NO_RATE_LIMITS)
    async with InProcessServer(create_app(Registry(Drowsy), options=options), limits=ServerLimits(**limits)) as server:
        with await RawClient.open(server.port, f"/gateway/drowsy/{path}{PLACE}") as client:
            yield server, client


async def happened(*events: object) -> None:
    for _ in range(1000):
        if Drowsy.happened == list(events):
            return
        await asyncio.sleep(0.002)
    assert Drowsy.happened == list(events)


async def test_pings_wake_nobody():
    """A client of a sleeping actor is asked and answers, and the actor sleeps on."""
    async with drowsy("connect", ping_interval=0.04, ping_timeout=0.04) as (_, client):
        await client.send(call(0, "nap"))
        await answers(client, 1)
        await happened("awake", "asleep")
        for _ in range(3):
            assert await client.frame() == (9, b"")
            await client.send(masked(10) + masked(9, b"mine"))
            assert await client.frame() == (10, b"mine")
        await happened("awake", "asleep")
        await client.send(call(1, "ping"))
        assert (await answers(client, 1))[0]["tag"] == "ActionResponse"


@pytest.mark.parametrize("way", ["silence", "reset", "fin"])
async def test_a_client_that_is_lost_while_its_actor_sleeps_ends_its_connection(way):
    more = {"ping_interval": 0.04, "ping_timeout": 0.04} if way == "silence" else {}
    async with drowsy("connect", **more) as (server, client):
        await client.send(call(0, "nap"))
        await answers(client, 1)
        await happened("awake", "asleep")
        if way == "reset":
            client.reset()
        elif way == "fin":
            client.writer.close()
        await happened("awake", "asleep", "awake", "disconnected", "asleep")
        assert not server._server.server_state.connections


@pytest.mark.parametrize("way", ["silence", "reset", "fin"])
async def test_a_client_that_is_lost_keeps_no_actor_awake(way):
    """A raw socket that does not hibernate keeps its actor awake, as long as somebody is there."""
    more = {"ping_interval": 0.04, "ping_timeout": 0.04} if way == "silence" else {}
    async with drowsy("websocket/", **more) as (server, client):
        await happened("awake")
        await asyncio.sleep(0.02)
        if way == "reset":
            client.reset()
        elif way == "fin":
            client.writer.close()
        await happened("awake", (1011, "ws.downstream_closed"), "disconnected", "asleep")
        assert not server._server.server_state.connections


@pytest.mark.parametrize("path", ["connect", "websocket/"])
@pytest.mark.parametrize("way", ["reset", "fin", "close"])
async def test_a_client_that_is_lost_while_its_actor_starts_leaves_nothing(way, path):
    async with drowsy(path, slow=0.05) as (server, client):
        if way == "reset":
            client.reset()
        elif way == "fin":
            client.writer.close()
        else:
            await client.send(masked(8, b"\x03\xe8"))
        await happened("awake", "asleep")
        assert not server._server.server_state.connections
        assert not server._app.host.sockets._sockets
