"""The queue in front of a slow client."""

import asyncio

import pytest

from runtime.gateway.outgoing import WebSocketTransport
from runtime.gateway.room import Backlog, DirectWire, Room


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


@pytest.mark.parametrize(
    ("reason", "sent"),
    [("caf\udce9", "caf?"), ("\u00e9" * 100, "\u00e9" * 61), ("\U0001f600" * 40, "\U0001f600" * 30), ("x" * 200, "x" * 123)],
)
async def test_a_reason_that_no_frame_can_hold_still_closes(reason, sent):
    client = Client()
    transport = WebSocketTransport(client.send)
    transport.close(1000, reason)
    await transport.finished()
    await transport.stop()
    assert [frame["reason"] for frame in client.frames] == [sent]


def wire(room, write=lambda data: False, cut=None):
    backlog = Backlog(room)
    backlog.on_cut = cut
    return DirectWire(write, backlog, room)


async def test_a_message_alone_may_exceed_the_bound_and_a_second_one_may_not():
    client, overflows, room = Client(), [], Room(per_socket=4)
    transport = WebSocketTransport(client.send, wire(room))
    transport.on_overflow = lambda: overflows.append(1)
    client.reading.clear()
    transport.send("12345")
    assert overflows == []
    assert room.taken == 5
    transport.send("6")
    assert (overflows, room.taken, room.behind) == ([1], 0, set())
    await transport.stop()


async def test_what_the_server_takes_at_once_never_waits():
    """And what it does not waits, in order, with what comes after it."""
    client, written, takes = Client(), [], [True, True, False, True]
    room = Room()
    transport = WebSocketTransport(client.send, wire(room, lambda data: takes.pop(0) and not written.append(data)))
    client.reading.clear()
    for data in ("a", b"b", "cc", "d"):
        transport.send(data)
    assert (written, room.taken) == (["a", b"b"], 3)
    client.reading.set()
    transport.close(1000, "")
    await transport.finished()
    assert [one.get("text") for one in client.frames] == ["cc", "d", None]
    assert room.taken == 0
    await transport.stop()


async def test_too_much_for_all_cuts_the_one_that_has_most():
    room, ends = Room(per_socket=100, all_sockets=200), []
    transports = {}
    for name in ("a", "b", "greedy", "c"):
        client = Client()
        client.reading.clear()
        transport = transports[name] = WebSocketTransport(client.send, wire(room, cut=lambda name=name: ends.append(f"{name} cut")))
        transport.on_overflow = lambda name=name: ends.append(f"{name} told")
        transport.send("x" * (90 if name == "greedy" else 40))
    assert ends == ["greedy told", "greedy cut"]
    assert room.taken == 120
    transports["b"].send("x" * 60)
    assert (len(ends), room.taken) == (2, 180)
    # What is closing already is cut without being told again.
    transports["b"].close(1000, "")
    transports["c"].send("x" * 50)
    assert ends[2:] == ["b cut"]
    await transports["b"].finished()
    for transport in transports.values():
        await transport.stop()
    assert (room.taken, room.behind) == (0, set())


async def test_a_client_that_is_gone_ends_the_wait():
    transport = WebSocketTransport(Client().send)
    transport.lost()
    await transport.finished()
    await transport.stop()
