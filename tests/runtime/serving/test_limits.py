"""Limits of the server, each against a real socket: time, bytes and connections."""

import asyncio
import socket

import pytest

from runtime import VIRTUAL_TIME
from runtime.serving.limits import ServerLimits
from runtime.serving.open_connections import most_connections
from runtime.serving.progress import Doing, Progress
from tests.runtime.serving.raw_clients import PARSERS, actor_path, client_of, small_server
from tests.runtime.serving.socket_client import lifespan

HEALTH = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"
SOON = 0.1
UPGRADE = (
    b"GET /health/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
every_parser = pytest.mark.parametrize("parser", PARSERS)


async def until(done):
    async with asyncio.timeout(3):
        while not done():  # noqa: ASYNC110 - nobody says when a server has noticed
            await asyncio.sleep(0.01)


@pytest.fixture
def make(parser, monkeypatch):
    return lambda **limits: small_server(parser, monkeypatch, **limits)


@pytest.fixture
def join(parser):
    return lambda server, **more: client_of(server, handed_over=parser == "handed-over", **more)


@pytest.mark.parametrize("limit", [{"head": 0}, {"keep_alive": -1.0}, {"slow_rate": 0}, {"connections": 0}])
def test_a_limit_is_positive(limit):
    with pytest.raises(ValueError, match="must be positive"):
        ServerLimits(**limit)


@every_parser
async def test_a_head_takes_its_time_and_no_more(make, join):
    """Whoever sends a byte now and then holds a connection no longer than others."""
    async with make(head_timeout=SOON) as server, join(server) as client:
        for byte in b"GET /health HTTP/1.1\r\nX: " + b"x" * 100:
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
            if client.reader._buffer:
                break
        assert await client.status() == 408
        assert await client.ended()


@pytest.mark.parametrize("parser", PARSERS[:2])
async def test_a_connection_that_asks_for_nothing_is_closed(make, join):
    async with make(head_timeout=SOON) as server, join(server) as client:
        assert await client.ended()


@every_parser
async def test_a_connection_may_idle_for_a_while(make, join):
    async with make(keep_alive=SOON) as server, join(server) as client:
        for _ in range(4):
            await client.send(HEALTH)
            assert await client.status() == 200
            await asyncio.sleep(SOON / 2)
        assert await client.ended()


@every_parser
async def test_a_body_has_to_make_progress(make, join):
    async with make(slow_after=SOON, slow_rate=10_000) as server, join(server) as client:
        path = await actor_path(client)
        await client.send(f"POST {path}/request/ HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n".encode())
        for _ in range(100):
            client.writer.write(b"x")
            await asyncio.sleep(0.01)
            if client.reader._buffer:
                break
        assert await client.status() == 408
        assert await client.ended()


@every_parser
async def test_an_answer_has_to_be_taken(make, join):
    """Reading nothing does not keep an answer in memory."""
    answers = []

    async def large(scope, receive, send):
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["path"] == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"20000000")]})
            await send({"type": "http.response.body", "body": bytes(20_000_000)})
            answers.append(True)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    async with make(app=large, slow_after=SOON, slow_rate=10**8) as server, join(server) as client:
        await client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        client.writer.transport.pause_reading()
        connections = server._server.server_state.connections
        await until(lambda: not connections)
    assert answers == [True]


@every_parser
async def test_a_refused_client_that_reads_nothing_is_cut(make, join):
    """Closing waits until it took what was sent before, which it never does."""

    async def large(scope, receive, send):
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        size = 20_000_000 if scope["path"] == "/large" else 0
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": bytes(size)})

    async with make(app=large, slow_after=SOON, slow_rate=10**8) as server, join(server) as client:
        client.writer.transport.pause_reading()
        await client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(0.02)
        await client.send(b"\x16\x03\x01\r\n\r\n")
        await until(lambda: not server._server.server_state.connections)


@pytest.mark.parametrize("parser", PARSERS)
async def test_what_is_long_is_refused_before_it_is_read(make, join):
    """By route, without the 100 that would call for it, and the connection ends."""
    async with make() as server:
        async with join(server) as client:
            path = await actor_path(client)
        rows = [
            (f"POST {path}/action/hello", 65_537, 400, b"incoming_too_long"),
            (f"POST {path}/queue/jobs", 65_537, 400, b"incoming_too_long"),
            (f"POST {path}/action/hello", 21 * 2**20, 413, b"invalid_request_body"),
            (f"POST {path}/request/", 20 * 2**20 + 1, 413, b"invalid_request_body"),
            ("PUT /actors?namespace=default", 2**21 + 1, 400, b"bad_request"),
        ]  # fmt: skip
        for line, length, status, code in rows:
            async with join(server) as client:
                await client.send(f"{line} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n".encode())
                found, headers, body = await client.answer()
                assert (found, code in body, headers["connection"]) == (status, True, "close")
                assert await client.ended()


@every_parser
async def test_a_body_without_length_is_cut_at_the_limit(make, join):
    async with make() as server, join(server) as client:
        path = await actor_path(client)
        await client.send(f"POST {path}/action/hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(40):
            await client.send(b"1000\r\n" + bytes(4096) + b"\r\n")
        status, headers, body = await client.answer()
        assert (status, b"incoming_too_long" in body, headers["connection"]) == (400, True, "close")


@every_parser
async def test_a_body_that_is_welcome_is_asked_for(make, join):
    async with make() as server, join(server) as client:
        path = await actor_path(client)
        await client.send(f"POST {path}/action/hello HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n".encode())
        assert await client.status() == 100
        await client.send(b'{"args":[]}')
        assert await client.status() == 200


@every_parser
async def test_a_short_body_that_nobody_reads_costs_no_connection(make, join):
    async with make() as server, join(server) as client:
        await client.send(b"DELETE /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
        assert await client.status() == 404
        await client.send(b"{}" + HEALTH)
        assert await client.status() == 200
        await client.send(b"DELETE /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n")
        assert await client.status() == 404
        for _ in range(40):
            await client.send(bytes(4096))
        assert await client.ended()


@every_parser
@pytest.mark.parametrize(
    "between", [b"1;" + b"x" * 1000 + b"\r\na\r\n", b"0\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"], ids=["extensions", "trailers"]
)
async def test_what_is_between_chunks_is_bounded(make, join, between):
    async with make(head=200_000) as server, join(server) as client:
        path = await actor_path(client)
        await client.send(f"POST {path}/request/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(100):
            await client.send(between)
            await asyncio.sleep(0)
        assert await client.status() == 400


@every_parser
async def test_requests_that_do_not_wait_for_answers_are_answered_in_order(make, join):
    async with make() as server, join(server) as client:
        path = await actor_path(client)
        client.writer.write(b"".join(f"GET {path}/request/{number} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for number in range(400)))
        for number in range(400):
            assert f'"url":"http://127.0.0.1/{number}"'.encode() in (await client.answer())[2]


async def test_few_of_them_wait_parsed(monkeypatch):
    """The others stay bytes, and then in the client."""
    async with small_server("httptools", monkeypatch) as server, client_of(server) as client:
        await client.send(b"GET /health HTTP/1.1\r\n\r\n" * 20_000)
        most = 0
        for _ in range(50):
            await asyncio.sleep(0)
            for connection in server._server.server_state.connections:
                most = max(most, len(connection.pipeline))
    assert 0 < most < 1000


@every_parser
async def test_reading_pauses_while_nobody_takes_what_arrived(make, join):
    """Bytes for an application that is slow stay in the client."""
    release = asyncio.Event()

    async def slow(scope, receive, send):
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["method"] == "POST":
            await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with make(app=slow) as server, join(server) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30000000\r\n\r\n" + bytes(30_000_000))
        await asyncio.sleep(0.1)
        (connection,) = server._server.server_state.connections
        assert len(connection.cycle.body) < 1_000_000
        assert not connection.transport.raw.is_reading()
        release.set()


@every_parser
async def test_the_longest_idle_connection_makes_room(make, join):
    async with make(connections=4, connections_per_address=4) as server, join(server) as oldest:
        # Half of all for one address: there are two.
        await oldest.send(HEALTH)
        await oldest.answer()
        async with join(server) as second, join(server) as third:
            for client in (second, third):
                await client.send(HEALTH)
                assert await client.status() == 200
            assert await oldest.ended()


@pytest.mark.parametrize("parser", PARSERS[:2])
async def test_who_finds_no_room_is_told(make, join):
    async with make(connections=4) as server, join(server) as first, join(server) as second:
        path = await actor_path(first)
        for client in (first, second):
            await client.send(f"POST {path}/request/ HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n".encode())
        await asyncio.sleep(0.02)
        async with join(server) as third:
            assert await third.status() == 503
            assert await third.ended()
        # Another address has a share of its own.
        async with join(server, source="127.0.0.2") as stranger:
            await stranger.send(HEALTH)
            assert await stranger.status() == 200


@pytest.mark.parametrize("parser", PARSERS[:2])
async def test_connections_are_counted_once_however_they_end(make, join):
    async with make() as server:
        connections = server._connections
        async with join(server) as client:
            await client.send(HEALTH)
            await client.answer()
            assert len(connections._address_of) == 1
            await client.send(UPGRADE)
            assert await client.status() == 101
            assert len(connections._address_of) == 1
        async with client_of(server, handed_over=True):
            assert len(connections._address_of) <= 2
        await until(lambda: not (connections._address_of or connections._at or len(connections)))


def test_the_process_has_files_for_its_connections(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda kind: (100, 100))
    assert most_connections(ServerLimits()) == 75
    assert most_connections(ServerLimits(connections=10)) == 10


async def test_an_idle_loop_has_no_timer_for_virtual_time(monkeypatch):
    """Its clock would jump to each."""
    async with (
        small_server("httptools", monkeypatch, head_timeout=None, slow_after=None, keep_alive=None) as server,
        client_of(server) as client,
    ):
        await client.send(HEALTH)
        await client.answer()
        assert server._connections._timer is None
    assert (VIRTUAL_TIME.head_timeout, VIRTUAL_TIME.slow_after, VIRTUAL_TIME.keep_alive) == (None, None, None)


def test_progress_is_of_one_thing():
    limits = ServerLimits(slow_after=10, slow_rate=100, keep_alive=5)
    progress, first, second = Progress(), object(), object()
    assert not progress.too_slow(Doing.BODY, first, 0, 0, limits)
    assert not progress.too_slow(Doing.BODY, first, 1000, 20, limits)
    assert progress.too_slow(Doing.BODY, first, 1000, 20.1, limits)
    assert not progress.too_slow(Doing.BODY, second, 0, 30, limits)
    assert not progress.too_slow(Doing.IDLE, second, 0, 31, limits)
    assert progress.too_slow(Doing.IDLE, second, 0, 37, limits)
    assert not progress.too_slow(Doing.NOTHING, second, 0, 40, limits)
    assert not progress.too_slow(Doing.NOTHING, second, 0, 4000, limits)


async def test_the_answer_comes_before_the_reset(monkeypatch):
    """A client in the midst of a long body reads why it was refused."""
    async with small_server("httptools", monkeypatch) as server:

        def send():
            with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
                connection.sendall(b"PUT /actors?namespace=default HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n")
                connection.sendall(bytes(5_000_000))
                return connection.recv(100)

        assert (await asyncio.to_thread(send)).startswith(b"HTTP/1.1 400")
