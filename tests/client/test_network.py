"""HTTP connections of the client: what is sent by itself, TLS, and errors by their kind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import sys

import httpx
import pytest

from client.network import HttpTransport
from client.transport import certificates

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=1, keepalive_expiry=None)
SOON = httpx.Timeout(0.05)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a=b\r\n\r\nok"


def anonymous(side: int) -> ssl.SSLContext:
    """Encryption without certificates: there are none here that would be valid for ever."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")
    return context


@contextlib.asynccontextmanager
async def server(answer=ANSWER, encryption=None):
    """Answers every request so; gives its authority and what it was sent, one entry per connection."""
    said, writers = [], []

    async def serve(reader, writer):
        mine = bytearray()
        said.append(mine)
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                mine += await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=encryption) as listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", said
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def transport(context=None):
    made = HttpTransport(context or certificates(), LIMITS)
    yield made
    await made.aclose()


async def test_what_nobody_set_is_said_once_and_cookies_are_not_kept():
    async with server() as (place, said), transport() as http:
        for headers in ({}, {"Accept": "text/plain"}):
            response = await http.send("GET", f"http://{place}/a?b=c", headers, b"", httpx.Timeout(5))
            assert (response.status_code, response.text, str(response.request.url)) == (200, "ok", f"http://{place}/a?b=c")
        first, second = bytes(said[0]).split(b"\r\n\r\n")[:2]
    assert len(said) == 1
    common = {b"accept-encoding: gzip, deflate", b"connection: keep-alive", b"get /a?b=c http/1.1", b"host: " + place.encode()}
    assert set(first.lower().split(b"\r\n")) == {b"accept: */*", *common}
    assert set(second.lower().split(b"\r\n")) == {b"accept: text/plain", *common}


async def test_https():
    async with server(encryption=anonymous(ssl.PROTOCOL_TLS_SERVER)) as (place, _), transport(anonymous(ssl.PROTOCOL_TLS_CLIENT)) as http:
        for _ in range(2):
            assert (await http.send("GET", f"https://{place}/", {}, b"", httpx.Timeout(5))).text == "ok"


async def test_a_certificate_that_is_not_trusted_is_no_connection():
    async with server(encryption=anonymous(ssl.PROTOCOL_TLS_SERVER)) as (place, _), transport() as http:
        with pytest.raises(httpx.ConnectError):
            await http.send("GET", f"https://{place}/", {}, b"", httpx.Timeout(5))


async def test_a_connection_that_the_server_closed_is_not_used_again():
    async with transport() as http:
        async with server() as (place, said):
            await http.send("GET", f"http://{place}/", {}, b"", httpx.Timeout(5))
        with pytest.raises(httpx.ConnectError):
            await http.send("GET", f"http://{place}/", {}, b"", httpx.Timeout(5))
    assert len(said) == 1


@pytest.mark.parametrize(("content", "error"), [(b"", httpx.ReadTimeout), (bytes(64_000_000), httpx.WriteTimeout)], ids=["read", "write"])
async def test_a_peer_that_does_nothing(content, error):
    async def idle(_, writer):
        held.append(writer)
        await asyncio.sleep(30)

    held = []
    async with await asyncio.start_server(idle, "127.0.0.1", 0, limit=1024) as listening, transport() as http:
        with pytest.raises(error):
            await http.send("POST", f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/", {}, content, SOON)
        for writer in held:
            writer.transport.abort()


async def test_an_answer_that_breaks_off():
    async with server(ANSWER[:-1]) as (place, _), transport() as http:
        sending = asyncio.ensure_future(http.send("GET", f"http://{place}/", {}, b"", httpx.Timeout(5)))
        with pytest.raises(httpx.ReadTimeout):
            await http.send("GET", f"http://{place}/", {}, b"", SOON)
        await http.aclose()
        with pytest.raises(httpx.TransportError):
            await sending


def test_loops_of_others_connect_as_well():
    uvloop = pytest.importorskip("uvloop")

    async def ask():
        async with server() as (place, _), transport() as http:
            return (await http.send("GET", f"http://{place}/", {}, b"", httpx.Timeout(5))).text

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == "ok"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_socket_is_lost_when_a_caller_gives_up(host, monkeypatch):
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    async with server() as (place, _), transport() as http:
        for turns in range(12):
            sending = asyncio.ensure_future(http.send("GET", f"http://{host}:{place.partition(':')[2]}/", {}, b"", httpx.Timeout(5)))
            for _ in range(turns):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait({sending})
        # A name is looked up by a thread, and what began with it may end after its caller.
        await asyncio.sleep(0.05)
    gc.collect()
    assert [str(one.exc_value) for one in lost] == []


async def test_a_name_is_looked_up(monkeypatch):
    async def look_up(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    asked = []
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    async with server() as (place, said), transport() as http:
        assert (await http.send("GET", f"http://far.test:{place.partition(':')[2]}/", {}, b"", httpx.Timeout(5))).text == "ok"
    assert b"far.test" in bytes(said[0])
    assert b"far.test" in [host.encode() if isinstance(host, str) else host for host in asked]
