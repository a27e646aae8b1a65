"""The same over real sockets: both WebSocket implementations of uvicorn, and the `websockets` client."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from runtime.actor.connections.sockets import Upgrade
from runtime.gateway.websocket import serve_websocket
from runtime.http import Request
from tests.runtime.connections.actors import Hibernating, Raw, Room
from tests.runtime.connections.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IMPLEMENTATIONS = ["websockets-sansio", "wsproto"]


@asynccontextmanager
async def serving(world: World, implementation: str) -> AsyncIterator[str]:
    """Actor ids are the first path element."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        actor, _, path = scope["path"].lstrip("/").partition("/")
        request = Request("GET", f"http://127.0.0.1/{path}", {})
        upgrade = Upgrade(actor, request, tuple(scope["subprotocols"]), "ray", headers=((b"x-rivet-ray-id", b"ray"),))
        await serve_websocket(world.host.reach, world.host.sockets, upgrade, receive, send)

    config = uvicorn.Config(
        application, port=0, ws=implementation, lifespan="off", log_level="error", ws_ping_interval=None, ws_per_message_deflate=False,
        ws_max_size=64 * 1024 * 1024,
    )  # fmt: skip
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    try:
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


def open_client(url: str, *entries: str) -> Any:
    return connect(url, subprotocols=["rivet", *entries], compression=None, max_size=None)


async def close_of(client: Any) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code, client.close_reason


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
async def test_connection_protocol(implementation: str) -> None:
    async with World(Room) as world, serving(world, implementation) as url:
        actor = await world.create("room")
        async with open_client(f"{url}/{actor}/connect", "rivet_encoding.json") as client:
            assert client.subprotocol == "rivet"
            assert client.response.headers["x-rivet-ray-id"] == "ray"
            assert json.loads(await client.recv())["body"]["tag"] == "Event"
            assert json.loads(await client.recv())["body"]["tag"] == "Init"
            await client.send(json.dumps({"body": {"tag": "ActionRequest", "val": {"id": 7, "name": "increment", "args": [4]}}}))
            assert json.loads(await client.recv()) == {"body": {"tag": "ActionResponse", "val": {"id": ["$BigInt", "7"], "output": 4}}}
            await world.sleep(actor)
            await client.send(json.dumps({"body": {"tag": "ActionRequest", "val": {"id": 8, "name": "increment", "args": [1]}}}))
            assert json.loads(await client.recv())["body"]["val"]["output"] == 5
        async with open_client(f"{url}/{actor}/connect", "rivet_conn_params.%7B%22deny%22%3Atrue%7D") as client:
            assert json.loads(await client.recv())["body"]["val"]["code"] == "denied"
            assert await close_of(client) == (1011, "user.denied")


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
async def test_raw_traffic_and_closes(implementation: str) -> None:
    async with World(Raw, Hibernating) as world, serving(world, implementation) as url:
        actor = await world.create("raw")
        async with open_client(f"{url}/{actor}/websocket/") as client:
            await client.recv()
            for data in ("text", b"bytes", "", b"", "x" * 1_000_000):
                await client.send(data)
                assert await client.recv() == data
            await client.send("close")
            assert await close_of(client) == (4001, "bye")
        async with open_client(f"{url}/{actor}/websocket/") as client:
            await client.recv()
            await client.close(3001, "x")
        acks = await world.acks(actor, 2)
        assert (acks[1].code, acks[1].reason) == (3001, "x")
        async with open_client(f"{url}/{actor}/websocket/") as client:
            await client.recv()
            await client.send(bytes(32 * 1024 * 1024 + 1))
            assert await close_of(client) == (1011, "core.internal_error#ray")
        async with open_client(f"{url}/{actor}/websocket/") as client:
            await client.recv()
            client.transport.abort()
        assert len(await world.acks(actor, 4)) == 4
        async with open_client(f"{url}/{actor}/websocket/") as client:
            await client.recv()
            await world.sleep(actor)
            assert await close_of(client) == (1000, "actor.stopped")


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
async def test_a_close_while_asleep_is_answered(implementation: str) -> None:
    async with World(Hibernating) as world, serving(world, implementation) as url:
        actor = await world.create("hibernating")
        client = await open_client(f"{url}/{actor}/websocket/")
        await client.recv()
        await world.sleep(actor)
        await client.close(1000, "done")
        assert client.close_code == 1000
        (ack,) = await world.acks(actor, 1)
        assert ack.initiator == "stale"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
async def test_a_missing_actor(implementation: str) -> None:
    async with World(Raw) as world, serving(world, implementation) as url, open_client(f"{url}/nobody/connect") as client:
        assert await close_of(client) == (1011, "actor.not_found#ray")
