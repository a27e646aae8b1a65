"""Raw WebSockets, and what an observer sees."""

from __future__ import annotations

import httpx
import pytest

from client import SocketClosedError
from tests.client.gateway import text

pytestmark = pytest.mark.virtual_time


class Seen:
    def __init__(self) -> None:
        self.exchanges, self.frames = [], []

    def on_exchange(self, exchange) -> None:
        self.exchanges.append(exchange)

    def on_frame(self, frame) -> None:
        self.frames.append(frame)


async def echo(peer) -> None:
    await peer.raw("early")
    while (message := await peer.receive())["type"] == "websocket.receive":
        if message.get("text") == "bye":
            await peer.send({"type": "websocket.close", "code": 4001, "reason": "as you wish"})
        else:
            await peer.raw(message.get("text") or message["bytes"])
    peer.closed = (message["code"], message.get("reason"))


async def test_frames_keep_type_and_order(gateway, client):
    gateway.scripts += [echo]
    socket = await client.get_or_create("chat", "a").web_socket("x")
    assert socket.subprotocol == "rivet"
    for sent in ("one", b"\x00\xff", "two"):
        await socket.send(sent)
    assert [await socket.recv() for _ in range(4)] == ["early", "one", b"\x00\xff", "two"]
    await socket.close(4000, "done")
    assert gateway.peers[0].closed == (4000, "done")
    with pytest.raises(SocketClosedError):
        await socket.recv()


async def test_close_by_the_server(gateway, client):
    gateway.scripts += [echo, echo]
    socket = await client.get_for_id("chat", "id-7").web_socket()
    await socket.send("bye")
    assert [message async for message in socket] == ["early"]
    assert (socket.close_code, socket.close_reason) == (4001, "as you wish")
    with pytest.raises(SocketClosedError, match="code 4001, reason 'as you wish'"):
        await socket.recv()
    again = await client.get_for_id("chat", "id-7").web_socket()
    await again.send("bye")
    assert await again.wait_closed() == (4001, "as you wish")


async def test_abort_is_a_lost_client(gateway, client):
    gateway.scripts += [echo]
    socket = await client.get_for_id("chat", "id-7").web_socket()
    await socket.recv()
    socket.abort()
    code, _ = await socket.wait_closed()
    assert code == 1006


async def test_observer(gateway, new_client):
    seen = Seen()
    client = await new_client(observer=seen)
    handle = client.get_or_create("chat", "a")
    gateway.answers += [text(500, "oops")]
    await handle.fetch("x", content="body", method="POST")
    lookup, resolution, exchange = seen.exchanges
    assert (lookup.url, lookup.status) == (f"{gateway.url}/metadata?namespace=default", 200)
    assert resolution.method == "PUT"
    assert (exchange.method, exchange.request_body, exchange.status, exchange.response_body) == ("POST", b"body", 500, b"oops")
    assert exchange.started < exchange.ended
    assert exchange.request_headers["x-rivet-encoding"] == "bare"
    gateway.scripts += [echo]
    socket = await handle.web_socket("x")
    await socket.send("one")
    await socket.recv()
    await socket.recv()
    await socket.close(1000, "done")
    await socket.close()
    assert [frame.kind for frame in seen.frames] == ["open", "sent", "received", "received", "closed"]
    opened, sent, early, _, closed = seen.frames
    assert opened.protocols[0] == "rivet"
    assert (sent.data, early.data, closed.code, closed.reason) == ("one", "early", 1000, "done")


async def test_observer_sees_failed_exchanges(new_client):
    seen = Seen()
    client = await new_client(endpoint="http://127.0.0.1:9", metadata_lookup=False, observer=seen)
    with pytest.raises(httpx.ConnectError):
        await client.get_for_id("chat", "id-7").fetch("x")
    assert seen.exchanges[0].status is None
    assert "Connect" in seen.exchanges[0].error
