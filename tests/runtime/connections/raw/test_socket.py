"""What user code can do with a raw socket object."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime.actor.connections.raw.socket import CloseEvent, RawSocket, ReadyState
from runtime.declaration.actor import Actor
from runtime.declaration.options import Options
from tests.runtime.connections.world import World, virtual


class Link:
    def __init__(self) -> None:
        self.closed = False
        self.sent: list[str | bytes] = []
        self.closes: list[tuple[int, str]] = []
        self.added = 0

    def listener_added(self) -> None:
        self.added += 1

    def send(self, data: str | bytes) -> None:
        self.sent.append(data)

    def close(self, code: int, reason: str) -> None:
        self.closed = True
        self.closes.append((code, reason))


def make() -> tuple[RawSocket, Link]:
    link = Link()
    return RawSocket(link, conn=None), link  # type: ignore[arg-type]


def test_listeners_come_in_order_and_the_property_last() -> None:
    socket, link = make()
    names: list[str] = []
    socket.on_message = lambda event: names.append("property")

    @socket.on("message")
    def first(event: Any) -> None:
        names.append("first")
        socket.off("message", second)

    def second(event: Any) -> None:
        names.append("second")

    assert socket.on("message", second) is second
    for listener in socket.listeners("message"):
        listener(None)
    for listener in socket.listeners("message"):
        listener(None)
    assert names == ["first", "second", "property", "first", "property"]
    assert link.added == 3
    assert socket.listeners("close") == ()


def test_unknown_kinds_bad_codes_and_bad_data_are_refused() -> None:
    socket, link = make()
    with pytest.raises(ValueError, match="open"):
        socket.on("open", print)  # type: ignore[call-overload]
    for code in (0, 999, 1005, 1006, 1015, 5000):
        with pytest.raises(ValueError, match="close code"):
            socket.close(code)
    with pytest.raises(ValueError, match="123"):
        socket.close(1000, "é" * 62)
    with pytest.raises(TypeError):
        socket.send(5)  # type: ignore[arg-type]
    assert (link.sent, link.closes) == ([], [])


def test_sending_and_closing() -> None:
    socket, link = make()
    socket.send("text")
    socket.send(bytearray(b"bytes"))
    assert socket.ready_state is ReadyState.OPEN
    socket.close(4001, "bye")
    assert socket.ready_state is ReadyState.CLOSED == 3
    assert (link.sent, link.closes) == (["text", b"bytes"], [(4001, "bye")])


def test_close_events_know_whether_they_are_clean() -> None:
    assert CloseEvent(1000, "").was_clean
    assert not CloseEvent(1001, "").was_clean


class Tracked(Actor):
    """Keeps its sockets, so that tests can look at them."""

    options = Options(sleep_timeout=5.0)
    sockets: list[Any] = []

    def on_web_socket(self, c: Any, socket: Any) -> None:
        self.sockets.append(socket)
        events: list[Any] = []
        socket.seen = events
        socket.on("error", lambda event: events.append(event.type))
        socket.on("close", lambda event: events.append((event.type, event.code, int(socket.ready_state))))
        socket.send("open")


@virtual
async def test_closed_can_be_awaited_before_and_after() -> None:
    async with World(Tracked) as world:
        actor = await world.create("tracked")
        client = world.raw(actor)
        await client.frame(0)
        socket = Tracked.sockets[-1]
        waiting = asyncio.create_task(socket.closed())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        client.client_close(1006)
        ack = await waiting
        assert (ack.conn_id, ack.code, ack.outcome) == (socket.conn.id, 1011, "settled")
        assert await socket.closed() is ack
        assert socket.seen == ["error", ("close", 1011, 3)]
        socket.send("too late")
        socket.close()
        assert client.frames == ["open"]
