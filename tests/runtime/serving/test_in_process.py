"""Serving: ports, failures, mounting below another application."""

import asyncio
import json
import socket

import httpx
import pytest
import websockets

from runtime import Actor, Context, InProcessServer, Registry, action, create_app
from runtime.storage.memory import MemoryStorage


class Hello(Actor):
    name = "hello"

    @action
    def hello(self, c: Context) -> str:
        return "hello"


async def test_a_taken_port_is_an_os_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = InProcessServer(create_app(Registry(Hello)), port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await server.__aenter__()


async def test_a_storage_that_does_not_open_is_reported():
    class Newer(MemoryStorage):
        async def open(self):
            raise RuntimeError("data is newer than this runtime")

    with pytest.raises(RuntimeError, match="the application did not start: data is newer than this runtime"):
        await InProcessServer(create_app(Registry(Hello), storage=Newer())).__aenter__()


async def test_every_connection_is_without_delay():
    async with InProcessServer(create_app(Registry(Hello))) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        await reader.readuntil(b"}")
        accepted = next(iter(server._server.server_state.connections)).transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()


async def test_leaving_closes_idle_connections_and_the_port():
    async with InProcessServer(create_app(Registry(Hello))) as server:
        port = server.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


class Mount:
    """What Starlette's `Mount` does to a scope; the outer application owns the lifespan."""

    def __init__(self, prefix, app):
        self.prefix, self.app = prefix, app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            async with self.app.running():
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["path"].startswith(self.prefix + "/")
        await self.app({**scope, "root_path": self.prefix}, receive, send)


async def test_mounted_below_a_path():
    app = create_app(Registry(Hello))
    async with InProcessServer(Mount("/api/actors", app)) as server, httpx.AsyncClient(base_url=server.url, verify=False) as http:
        assert (await http.get("/api/actors/health")).status_code == 200
        assert app.host.endpoint == f"{server.url}/api/actors"
        body = {"name": "hello", "key": "k", "runner_name_selector": "default", "crash_policy": "sleep"}
        created = await http.put("/api/actors/actors?namespace=default", json=body)
        actor_id = created.json()["actor"]["actor_id"]
        answer = await http.post(f"/api/actors/gateway/{actor_id}/action/hello", json={})
        assert answer.json() == {"output": "hello"}
        url = f"ws://127.0.0.1:{server.port}/api/actors/gateway/{actor_id}/connect"
        async with websockets.connect(url, subprotocols=["rivet", "rivet_encoding.json"]) as connection:
            assert json.loads(await connection.recv())["body"]["tag"] == "Init"


async def test_a_connection_that_cannot_be_closed_keeps_nothing_else_from_being_closed():
    """One client in an odd state would leave the others open, and the storage."""
    ended = []

    class Noting(MemoryStorage):
        async def close(self):
            ended.append("storage")
            await super().close()

    async with InProcessServer(create_app(Registry(Hello), storage=Noting())) as server:
        first, odd = await asyncio.open_connection("127.0.0.1", server.port)
        second, other = await asyncio.open_connection("127.0.0.1", server.port)
        for writer, reader in ((odd, first), (other, second)):
            writer.write(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
            await reader.readuntil(b"}")
        for connection in server._server.server_state.connections:
            connection.shutdown = lambda: 1 / 0
    assert (await first.read(), await second.read(), ended) == (b"", b"", ["storage"])
    odd.close()
    other.close()
