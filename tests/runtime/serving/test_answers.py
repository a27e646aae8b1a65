"""Answers against a real socket: whatever is in them they are sent, and who does not wait for them is noticed."""

import asyncio
import socket
import struct

import pytest

from runtime import Actor, Context, HostOptions, InProcessServer, Registry, Request, Response, action, create_app
from runtime.hosting.standalone.listener import http_entry
from tests.runtime.serving.raw_clients import OPEN, PARSERS, client_of, small_server

seen = []


class Poll(Actor):
    name = "poll"

    @action
    async def slow(self, c: Context) -> str:
        await asyncio.sleep(0.1)
        seen.append("action ran")
        return "done"

    async def on_request(self, c: Context, request: Request) -> Response:
        if request.path == "/header":
            return Response(b"ok", headers={"x-v": dict(request.headers)["x-send"].encode().decode("unicode_escape")})
        if request.path == "/poll":
            seen.append("polling")
            await c.abort_signal.wait()
            seen.append(("abandoned", c.aborted))
        return Response(b"ok")


@pytest.fixture(params=PARSERS)
async def client(request, monkeypatch):
    seen.clear()
    app = create_app(Registry(Poll), options=HostOptions(**OPEN))
    parser = request.param
    async with small_server(parser, monkeypatch, app) as server, client_of(server, handed_over=parser == "handed-over") as client:
        client.app = app
        yield client


def path_of(key, rest):
    return f"/gateway/poll/{rest}?rvt-namespace=default&rvt-method=getOrCreate&rvt-runner=default&rvt-key={key}"


async def until(done):
    async with asyncio.timeout(3):
        while not done():  # noqa: ASYNC110 - nobody says when a server has noticed
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("key", ["a%1Bb", "a%00b", "%01", "a%7Fb", "%20a%20", "a%0Ab", "%C3%BC"])
async def test_a_key_may_hold_any_character(client, key):
    """The header that cannot carry it is left out (WIRE-254)."""
    for rest in ("request/x", "health"):
        await client.send(f"GET {path_of(key, rest)} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        status, headers, _ = await client.answer()
        assert (status, "x-rivet-actor" in headers) == (200, True)
        assert ("x-rivet-actor-key" in headers) is (key in ("%20a%20", "%C3%BC"))


@pytest.mark.parametrize(
    ("value", "status"),
    [("a\\x7fb", 500), ("\\x1b[31m", 500), ("a\\x00", 500), ("a\\r\\nb", 500), ("\\ud800", 500), (" a\\tb ", 200), ("\\xe9\\u4e2d", 200)],
)
async def test_a_header_that_cannot_be_sent_is_a_failure_of_the_handler(client, value, status):
    await client.send(f"GET {path_of('k', 'request/header')} HTTP/1.1\r\nHost: h\r\nX-Send: {value}\r\n\r\n".encode())
    assert await client.status() == status
    await client.send(f"GET {path_of('k', 'request/x')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert await client.status() == 200


async def test_an_answer_that_the_server_does_not_send_is_a_500(client, monkeypatch):
    monkeypatch.setattr(http_entry, "new_ray", lambda: "no\nray")
    await client.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
    status, _, body = await client.answer()
    assert (status, b"internal_error" in body) == (500, True)
    assert await client.ended()


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_a_long_poll_learns_that_its_client_left(client, how):
    """RAWHTTP-019: by the abort signal of the request."""
    await client.send(f"GET {path_of('k', 'request/poll')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    await until(lambda: seen == ["polling"])
    limit = client.app._http._requests
    assert limit._running == {"127.0.0.1": 1}
    if how == "reset":
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
    else:
        client.writer.write_eof()
    await until(lambda: len(seen) == 2)
    assert (seen[1], limit._running) == (("abandoned", True), {})


async def test_an_action_runs_to_its_end_and_holds_no_place(client):
    await client.send(f"POST {path_of('k', 'action/slow')} HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n".encode() + b'{"args":[]}')
    limit = client.app._http._requests
    await until(lambda: limit._running == {"127.0.0.1": 1})
    client.writer.transport.abort()
    await until(lambda: limit._running == {})
    assert seen == []
    await until(lambda: seen == ["action ran"])


async def test_who_only_stops_sending_gets_the_answer(client):
    """As `printf ... | nc` does."""
    await client.send(f"POST {path_of('k', 'action/slow')} HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n".encode() + b'{"args":[]}')
    client.writer.write_eof()
    assert await client.status() == 200
    assert await client.ended()


async def test_a_websocket_keeps_nothing_of_the_http_side():
    async with InProcessServer(create_app(Registry(Poll), options=HostOptions(**OPEN))) as server, client_of(server) as client:
        head = (
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await client.send(b"GET /health/ws HTTP/1.1\r\nHost: h\r\n" + head)
        assert await client.status() == 101
        (connection,) = server._server.server_state.connections
        assert connection.app_state == {}
