"""Suite wire-sockets: WebSockets below the protocol of connections: upgrades, pings, sizes, parameters, silence."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote, urlsplit

from websockets import ConnectionClosed
from websockets.asyncio.client import connect

from client.transport import Transport
from harness import any_encoding, encodings, requirement, suite, timing, untimed

pytestmark = [suite("wire-sockets"), timing]

LIMIT = 32 * 1024 * 1024
NORMAL = 0x88
"""The first byte of a close frame."""


async def raw_upgrade(conform, path):
    """Upgrade without any sub-protocol, by hand: the status line, and the first byte and payload of the first frame."""
    address = urlsplit(conform.endpoint)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    key = base64.b64encode(b"0123456789abcdef").decode()
    head = [
        f"GET {path} HTTP/1.1", f"host: {address.netloc}", "connection: Upgrade", "upgrade: websocket",
        "sec-websocket-version: 13", f"sec-websocket-key: {key}",
    ]  # fmt: skip
    try:
        async with asyncio.timeout(conform.limit(20)):
            writer.write("\r\n".join([*head, "", ""]).encode())
            status = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode()
            first, length = await reader.readexactly(2)
            assert length < 126
            return status, first, await reader.readexactly(length)
    finally:
        writer.close()


@asynccontextmanager
async def raw_socket(conform, name, entries=(), path="/websocket/"):
    """A raw socket of the test's actor with these sub-protocol entries."""
    actor_id = await conform.get_or_create(name).resolve()
    transport = Transport(conform.transcript)
    try:
        socket = await transport.open(f"{conform.endpoint}/gateway/{actor_id}{path}", ["rivet", *entries], {})
        yield socket
        await socket.close()
    finally:
        await transport.close()


@requirement("WIRE-232", "WIRE-264", "WIRE-263")
@any_encoding
@untimed
async def test_upgrade_without_subprotocols(conform):
    """Without a token in the path the header is needed; with one the actor is reached."""
    actor_id = await conform.get_or_create("rawWebSocketActor").resolve()
    status, first, payload = await raw_upgrade(conform, f"/gateway/{actor_id}/websocket/")
    assert "101" in status
    assert (first, int.from_bytes(payload[:2], "big")) == (NORMAL, 1011)
    assert payload[2:].startswith(b"guard.missing_header#")
    status, first, payload = await raw_upgrade(conform, f"/gateway/{actor_id}@token/websocket/")
    assert "101" in status
    assert (first, json.loads(payload)["type"]) == (0x81, "welcome")


@requirement("WIRE-265")
@any_encoding
@untimed
async def test_pings_are_answered(conform):
    """Every ping gets its pong, also when the actor itself is silent."""
    actor_id = await conform.get_or_create("rawWebSocketActor").resolve()
    url = f"ws{conform.endpoint.removeprefix('http')}/gateway/{actor_id}/websocket/"
    async with connect(url, subprotocols=["rivet"], compression=None, ping_interval=None, proxy=None) as socket:
        assert json.loads(await socket.recv())["type"] == "welcome"
        for payload in (b"", b"x", b"y" * 125):
            async with asyncio.timeout(conform.limit(10)):
                await (await socket.ping(payload))


@requirement("WIRE-266")
@encodings("json")
@untimed
async def test_oversized_message_closes_the_socket(conform):
    """A message over 32 MiB closes the socket with the gateway's own fault; the actor serves on."""
    actor = conform.get_or_create("rawWebSocketActor")
    url = f"ws{conform.endpoint.removeprefix('http')}/gateway/{await actor.resolve()}/websocket/"
    async with connect(url, subprotocols=["rivet"], compression=None, ping_interval=None, max_size=None, proxy=None) as socket:
        await socket.recv()
        with suppress(ConnectionClosed):
            await socket.send(b"x" * (LIMIT + 1))
        await socket.wait_closed()
        assert socket.close_code == 1011
        assert socket.close_reason.startswith("core.internal_error#")
    assert (await actor.action("getStats"))["messageCount"] == 0


@requirement("WIRE-602")
@encodings("json")
@untimed
async def test_parameters_of_a_raw_socket(conform, eventually):
    """Parameters come from their entry and are null without; an encoding plays no part."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    params = "rivet_conn_params." + quote(json.dumps({"username": "raw", "role": "admin"}), safe="")

    async def seen():
        states = await actor.action("getAllConnectionStates")
        return sorted((state["username"], state["role"]) for state in states if not state["noCount"])

    async with raw_socket(conform, "connStateActor", ["rivet_encoding.nonsense", params]), raw_socket(conform, "connStateActor"):
        await eventually(seen, until=lambda found: found == [("anonymous", "user"), ("raw", "admin")], what="both connections")


@requirement("WIRE-532")
async def test_idle_connection_is_silent(conform, boundary):
    """A connection that asks for nothing gets nothing, awake, asleep and awake again."""
    actor = conform.get_or_create("hibernationActor")
    actor_id = await actor.resolve()
    async with conform.frames(actor_id) as connection:
        pending = conform.spawn(connection.receive())
        await boundary.sleep(actor)
        await boundary.sleep(conform.get_or_create("hibernationActor"))
        assert await conform.get_or_create("hibernationActor").action("getActorCounts") == {"sleepCount": 2, "wakeCount": 3}
        assert not pending.done()
        assert len(connection.received) == 1
        await connection.request(5, "ping")
        assert (await pending).id == 5
