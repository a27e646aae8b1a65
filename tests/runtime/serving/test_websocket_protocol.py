"""What a client of a WebSocket may send, and how it may leave: real connections, small limits."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from runtime import Actor, HostOptions, InProcessServer, Registry, ServerLimits, create_app
from runtime.gateway.room import DIRECT_WIRE
from runtime.serving import websocket_protocol
from tests.runtime.gateway.support import OPEN
from tests.runtime.serving.socket_client import RawClient, Recorder, longest_turn, masked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

FLOODED = (1008, "guard.rate_limit")
LOST = (1006, "")


@asynccontextmanager
async def served(*, echo: bool = False, **limits: Any) -> AsyncIterator[tuple[Recorder, RawClient]]:
    """An application that records, a server of these limits, and a client."""
    application = Recorder(echo=echo)
    async with InProcessServer(application, limits=ServerLimits(**limits)) as server:
        with await RawClient.open(server.port) as client:
            yield application, client


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing announces what is waited for
            await asyncio.sleep(0.002)


# Floods.


@pytest.mark.parametrize(
    ("frames", "whole"),
    [
        pytest.param(masked(1, b"x", fin=False) + masked(0, fin=False) * 40_000, True, id="empty fragments"),
        pytest.param(masked(2, b"x", fin=False) + masked(0, b"y", fin=False) * 40_000, True, id="tiny fragments"),
        pytest.param((masked(1, fin=False) + masked(0)) * 20_000, False, id="messages of two empty fragments"),
        pytest.param(masked(9, b"x") * 40_000, True, id="pings"),
        pytest.param(masked(10) * 40_000, True, id="pongs"),
        pytest.param(masked(9) * 2_000 + masked(10) * 2_000, True, id="both"),
    ],
)
async def test_floods_close_their_socket_and_hold_nobody(frames, whole):
    async with served() as (application, client), longest_turn() as turns:
        await client.send(frames)
        assert await client.closed() == FLOODED
        await client.ended()
        assert await application.end() == FLOODED
    assert not application.messages if whole else True
    # One turn took 0.3 s for these, when a chunk was taken in one go; the time of the client is in here, too.
    assert sorted(turns)[-3] < 0.05, sorted(turns)[-5:]


async def test_many_small_messages_wait_with_the_client():
    """Messages are not a flood: they wait until the application takes them, and not in the server's memory."""
    async with served() as (application, client):
        application.taking.clear()
        connection = application.send.__self__
        count = 30_000
        sending = asyncio.create_task(client.send(masked(2, b"x") * count))
        await asyncio.sleep(0.05)
        assert connection.queue.qsize() <= websocket_protocol.QUEUED_MESSAGES
        assert len(connection._reader._data) <= 256 * 1024
        application.taking.set()
        await until(lambda: len(application.messages) >= count)
        await sending
        client.writer.write(masked(8, struct.pack("!H", 3000)))
        assert await application.end() == (3000, "")


async def test_large_messages_wait_with_the_client():
    async with served() as (application, client):
        application.taking.clear()
        connection = application.send.__self__
        sending = asyncio.create_task(client.send(masked(2, b"x" * 400_000) * 20))
        await asyncio.sleep(0.1)
        assert connection.queue.qsize() <= 2
        assert connection._queued_bytes <= 500_000
        application.taking.set()
        await sending
        client.writer.write(masked(8))
        await application.end()
        assert len(application.messages) == 20


async def test_unfinished_messages_of_all_clients_have_one_bound():
    """The one that has most pays, and its room is given back; so is that of a message that was taken."""
    application = Recorder()
    async with InProcessServer(application, limits=ServerLimits(websockets_untaken=3 * 2**20)) as server:
        room = server._server.config.ws_protocol_class.keywords["incoming"]
        with await RawClient.open(server.port) as modest, await RawClient.open(server.port) as greedy:
            await modest.send(masked(2, b"x" * 2**20, fin=False))
            await until(lambda: room.taken == 2**20)
            await greedy.send(masked(1, b"x" * 2**20, fin=False) + masked(0, b"x" * (2**20 + 1), fin=False))
            await greedy.ended()
            assert room.taken == 2**20
            await modest.send(masked(0, b"y"))
            await until(lambda: application.messages)
            assert application.messages == [b"x" * 2**20 + b"y"]
            await until(lambda: not room.taken)
        await application.end()


async def test_control_frames_below_the_limit_are_answered():
    async with served(websocket_control_frames=100) as (application, client):
        await client.send(b"".join(masked(9, b"%d" % number) for number in range(99)))
        assert [await client.frame() for _ in range(99)] == [(10, b"%d" % number) for number in range(99)]
        await client.send(masked(8, b"\x03\xe8"))
        assert await client.closed() == (1000, "")
        assert await application.end() == (1000, "")


async def test_pongs_for_a_client_that_does_not_read_do_not_pile_up():
    async with served(websocket_control_frames=None) as (application, client):
        connection = application.send.__self__
        connection.pause_writing()
        await client.send(masked(9, b"x" * 125) * 500 + masked(9, b"last"))
        await client.send(masked(1, b"there"))
        await until(lambda: application.messages)
        assert connection.transport.get_write_buffer_size() == 0
        connection.resume_writing()
        assert await client.frame() == (10, b"last")


async def test_fragments_are_joined():
    async with served() as (application, client):
        text = "ü€😀" * 50
        data = text.encode()
        pieces = [data[at : at + 1] for at in range(len(data))]
        for opcode in (1, 2):
            await client.send(masked(opcode, fin=False) + masked(9) + b"".join(masked(0, piece, fin=False) for piece in pieces) + masked(0))
        await client.send(masked(8))
        await application.end()
        assert application.messages == [text, data]


async def test_large_text_arrives_whole():
    async with served() as (application, client):
        text = "añ€😀" * 40_000
        await client.send(masked(1, text.encode()))
        await client.send(masked(8))
        await application.end()
        assert application.messages == [text]


# Rules.


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param(masked(2, b"x", first=0xC2), 1002, id="reserved bit"),
        pytest.param(masked(3, b"x"), 1002, id="reserved opcode"),
        pytest.param(b"\x81\x01x", 1002, id="not masked"),
        pytest.param(masked(0, b"x"), 1002, id="continuation of nothing"),
        pytest.param(masked(9, b"x" * 126), 1002, id="long ping"),
        pytest.param(masked(8, b"\x03"), 1002, id="half a close code"),
        pytest.param(masked(8, struct.pack("!H", 1006)), 1002, id="reserved close code"),
        pytest.param(masked(8, b"\x03\xe8\xff"), 1007, id="close reason that is no text"),
        pytest.param(masked(1, b"\xff"), 1007, id="text that is none"),
        pytest.param(masked(1, b"\xc3"), 1007, id="half a character"),
        pytest.param(masked(1, b"\xc3", fin=False) + masked(0, b"x"), 1007, id="text that is none, in fragments"),
        pytest.param(masked(1, b"\xff", fin=False), 1007, id="text that is none, unfinished"),
    ],
)
@pytest.mark.parametrize("more", [0, 4 * 2**20])
async def test_a_broken_rule_closes_with_its_code(frames, code, more):
    """The close frame arrives although the client is still sending, and the application is told."""
    async with served() as (application, client):
        await client.send(masked(1, b"before") + frames + b"\0" * more)
        assert (await client.closed())[0] == code
        await client.ended()
        assert (await application.end())[0] == code
        assert application.messages == ["before"]


@pytest.mark.parametrize("fragments", [1, 3])
async def test_too_long_is_the_application_s_to_answer(fragments):
    async with served(websocket_frame=1000) as (application, client):
        size = 1002 // fragments
        frames = [masked(2 if number == 0 else 0, b"x" * size, fin=number == fragments - 1) for number in range(fragments)]
        await client.send(masked(2, b"x" * 1000) + b"".join(frames) + masked(1, b"more"))
        assert await client.closed() == (1011, "too long")
        await client.send(masked(8, b"\x03\xf3"))
        await client.ended()
        assert await application.end() == (1011, "too long")
        assert application.messages == [b"x" * 1000]


# How a client leaves.


@pytest.mark.parametrize(
    ("payload", "end"), [(b"", (1005, "")), (b"\x03\xe8", (1000, "")), (b"\x0b\xb8bye", (3000, "bye")), (b"\x13\x87", (4999, ""))]
)
async def test_a_client_that_leaves_says_how(payload, end):
    async with served() as (application, client):
        await client.send(masked(1, b"last words") + masked(8, payload))
        assert await client.frame() == (8, payload)
        assert await application.end() == end
        assert application.messages == ["last words"]


@pytest.mark.parametrize("way", ["reset", "fin", "half closed"])
@pytest.mark.parametrize(
    "unfinished", [b"", masked(1, b"12345")[:-2], masked(1, b"x", fin=False)], ids=["nothing", "half a frame", "half a message"]
)
async def test_a_client_that_vanishes_is_lost(way, unfinished):
    async with served() as (application, client):
        await client.send(masked(1, b"last words") + unfinished)
        await until(lambda: application.messages)
        if way == "reset":
            client.reset()
        elif way == "fin":
            client.writer.close()
        else:
            client.writer.write_eof()
        assert await application.end() == LOST
        assert application.messages == ["last words"]


async def test_what_came_before_the_end_is_handed_over_before_it():
    async with served() as (application, client):
        application.taking.clear()
        await client.send(b"".join(masked(2, b"%d" % number) for number in range(1000)))
        client.writer.write_eof()
        await asyncio.sleep(0.02)
        application.taking.set()
        assert await application.end() == LOST
        assert application.messages == [b"%d" % number for number in range(1000)]


async def test_a_client_that_does_not_take_part_in_its_close_is_cut(monkeypatch):
    monkeypatch.setattr(websocket_protocol, "CLOSING_TIME", 0.05)
    async with served() as (application, client):
        await application.send({"type": "websocket.close", "code": 4000, "reason": "enough"})
        assert await client.closed() == (4000, "enough")
        await client.ended()
        assert await application.end() == (4000, "enough")


async def test_a_client_that_reads_nothing_is_cut(monkeypatch):
    monkeypatch.setattr(websocket_protocol, "CLOSING_TIME", 0.05)
    application = Recorder()
    async with InProcessServer(application) as server:
        with await RawClient.open(server.port, receive_buffer=4096) as client:
            client.writer.transport.pause_reading()
            connection = application.send.__self__
            await application.send({"type": "websocket.send", "bytes": b"x" * 16 * 2**20})
            # The client says goodbye: what it has not read must not keep its connection.
            await client.send(masked(8, b"\x03\xe8"))
            assert await application.end() == (1000, "")
            await until(lambda: connection not in connection.connections)


async def test_what_waits_in_the_transport_counts():
    application = Recorder()
    async with InProcessServer(application) as server:
        with await RawClient.open(server.port, receive_buffer=4096) as client:
            client.writer.transport.pause_reading()
            connection = application.send.__self__
            direct = application.extensions[DIRECT_WIRE]
            written = 0
            while direct.write(b"x" * 2**20):
                written += 1
            assert direct.backlog.size == connection.transport.get_write_buffer_size() > 0
            assert direct.write("more") is False
            client.writer.transport.resume_reading()
            for _ in range(written):
                assert await client.frame() == (2, b"x" * 2**20)
            await until(lambda: direct.backlog.size == 0)
            assert direct.write("ü€")
            assert await client.frame() == (1, "ü€".encode())
            connection.pause_writing()
            client.reset()
            assert await application.end() == LOST
            assert (direct.backlog.size, direct.write(b"late")) == (0, False)


# Pings of the server.


async def test_silence_is_asked_about_and_an_answer_is_life():
    async with served(ping_interval=0.05, ping_timeout=0.05) as (application, client):
        for _ in range(3):
            assert await client.frame() == (9, b"")
            await client.send(masked(10))
        assert not application.events


async def test_a_client_that_talks_is_not_asked():
    async with served(ping_interval=0.06, ping_timeout=0.05, echo=True) as (_, client):
        for number in range(10):
            await client.send(masked(1, b"%d" % number))
            assert await client.frame() == (1, b"%d" % number)
            await asyncio.sleep(0.02)


async def test_a_client_that_answers_no_ping_is_lost():
    async with served(ping_interval=0.03, ping_timeout=0.03) as (application, client):
        assert await client.frame() == (9, b"")
        assert await application.end() == LOST
        await client.ended()


async def test_a_client_that_is_not_listened_to_is_not_cut():
    async with served(ping_interval=0.02, ping_timeout=0.02) as (application, client):
        application.taking.clear()
        await client.send(masked(1, b"x") * 100)
        await asyncio.sleep(0.1)
        application.taking.set()
        assert await client.frame() == (9, b"")
        await client.send(masked(8, b"\x03\xe8"))
        assert await application.end() == (1000, "")


async def test_a_client_that_vanished_unheard_is_found_by_writing():
    async with served(ping_interval=0.02) as (application, client):
        application.taking.clear()
        await client.send(masked(1, b"x") * 100)
        client.reset()
        connection = application.send.__self__
        await until(lambda: connection.disconnected)
        application.taking.set()
        assert await application.end() == LOST


# Actors.


class Seen(Actor):
    """Notes the closes of its sockets."""

    name = "seen"
    closes: list[tuple[int, str, bool]]

    def on_web_socket(self, c, socket):
        socket.send("hello")
        socket.on("close", lambda event: type(self).closes.append((event.code, event.reason, event.was_clean)))


@pytest.mark.parametrize("way", ["reset", "fin"])
async def test_an_actor_tells_lost_from_left(way):
    Seen.closes = []
    async with InProcessServer(create_app(Registry(Seen), options=HostOptions(**OPEN))) as server:
        path = "/gateway/seen/websocket/?rvt-namespace=default&rvt-method=getOrCreate&rvt-key=a&rvt-pool=default"
        with await RawClient.open(server.port, path) as client:
            assert await client.frame() == (1, b"hello")
            await client.send(masked(8))
            assert await client.frame() == (8, b"")
        with await RawClient.open(server.port, path) as client:
            assert await client.frame() == (1, b"hello")
            if way == "reset":
                client.reset()
            else:
                client.writer.close()
            await until(lambda: len(Seen.closes) == 2)
    assert Seen.closes == [(1000, "", True), (1011, "ws.downstream_closed", False)]
