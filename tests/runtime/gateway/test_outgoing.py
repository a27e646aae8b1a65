"""The queue in front of a slow client."""

import asyncio

from runtime.gateway import outgoing
from runtime.gateway.outgoing import WebSocketTransport


class Client:
    """Takes frames while `reading` is set."""

    def __init__(self):
        self.frames = []
        self.reading = asyncio.Event()
        self.reading.set()

    async def send(self, message):
        await self.reading.wait()
        self.frames.append(message)


async def test_everything_sent_before_the_close_comes_before_it():
    client = Client()
    transport = WebSocketTransport(client.send)
    transport.send("a")
    transport.send(b"b")
    transport.close(4000, "bye")
    transport.send("late")
    transport.close(1000, "")
    await transport.finished()
    await transport.stop()
    assert client.frames == [
        {"type": "websocket.send", "text": "a"},
        {"type": "websocket.send", "bytes": b"b"},
        {"type": "websocket.close", "code": 4000, "reason": "bye"},
    ]


async def test_a_message_alone_may_exceed_the_bound_and_a_second_one_may_not(monkeypatch):
    monkeypatch.setattr(outgoing, "MAX_QUEUED_BYTES", 4)
    client, overflows = Client(), []
    transport = WebSocketTransport(client.send)
    transport.on_overflow = lambda: overflows.append(1)
    client.reading.clear()
    transport.send("12345")
    assert overflows == []
    transport.send("6")
    assert overflows == [1]
    await transport.stop()


async def test_a_client_that_is_gone_ends_the_wait():
    transport = WebSocketTransport(Client().send)
    transport.lost()
    await transport.finished()
    await transport.stop()
