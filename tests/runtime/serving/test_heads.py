"""Heads of requests against a real socket: how large, in which form, and what is none at all."""

import asyncio
import base64

import pytest

from runtime.serving.heads import may_become_request, origin_form
from tests.runtime.serving.raw_clients import PARSERS, actor_path, client_of, small_server

UPGRADE = (
    b"GET /health/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n"
)
pytestmark = pytest.mark.parametrize("parser", PARSERS)


@pytest.fixture
async def client(parser, monkeypatch):
    async with small_server(parser, monkeypatch) as server, client_of(server, handed_over=parser == "handed-over") as client:
        yield client


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 3000 + b"\r\n\r\n", 431),
        (b"GET /health HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 3000, 431),
        (b"GET /health HTTP/1.1\r\nHost: h\r\n" + b"X: 1\r\n" * 50 + b"\r\n", 431),
        (b"GET /health?" + b"x" * 3000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        (b"GET /health?" + b"x" * 20000, 414),
        (b"GET /health HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 1900 + b"\r\n\r\n", 200),
    ],
    ids=["header", "unfinished", "number", "target", "unfinished-target", "fits"],
)
async def test_size_of_a_head(client, head, status):
    await client.send(head[: len(head) // 2])
    await asyncio.sleep(0)
    await client.send(head[len(head) // 2 :])
    assert await client.status() == status
    if status != 200:
        assert await client.ended()


async def test_headers_without_end_are_refused_at_the_limit(client):
    """The client keeps sending, and still reads why it was refused."""
    await client.send(b"GET /health HTTP/1.1\r\nHost: h\r\n")
    for number in range(200):
        await client.send(b"X-%d: " % number + b"x" * 10000 + b"\r\n")
    status, headers, _ = await client.answer()
    assert (status, headers["connection"], len(headers["x-rivet-ray-id"])) == (431, "close", 30)


async def test_a_head_may_arrive_byte_by_byte(client):
    for byte in b"GET /health HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n":
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert await client.status() == 200


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00\x01\x02\x03", b"\xff\xfe\xfd", b"hello\r\n",
     b"GET /\r\n\r\n", b"GET / FTP/1.0\r\nHost: h\r\n\r\n", b"x" * 200, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     b"GET /x y HTTP/1.1\r\nHost: h\r\n\r\n"],
    ids=["tls", "ssh", "zeros", "high", "text", "http-0.9", "ftp", "endless-method", "http-2", "space"],
)  # fmt: skip
async def test_what_is_no_http_is_answered_and_closed_at_once(client, data):
    await client.send(data)
    assert await client.status() in (400, 505)
    assert await client.ended()


async def test_an_end_in_the_midst_of_a_head_closes(client):
    await client.send(b"GET /health HT")
    client.writer.write_eof()
    assert await client.ended()


async def test_an_absolute_target_is_its_path_and_its_host(client):
    path = await actor_path(client)
    await client.send(f"GET http://user@example.test:81{path}/request/a?b=1 HTTP/1.1\r\nHost: other\r\n\r\n".encode())
    status, _, body = await client.answer()
    assert (status, b'"url":"http://127.0.0.1/a?b=1"' in body, b'"host":"example.test:81"' in body) == (200, True, True)
    await client.send(b"GET http://example.test HTTP/1.1\r\nHost: h\r\n\r\n")
    assert await client.status() == 404


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"OPTIONS * HTTP/1.1", 200), (b"CONNECT example.test:443 HTTP/1.1", 405), (b"CONNECT / HTTP/1.1", 405), (b"GET * HTTP/1.1", 400),
     (b"GET example.test HTTP/1.1", 400), (b"GET http:///x HTTP/1.1", 400), (b"GET ftp://example.test/ HTTP/1.1", 400)],
)  # fmt: skip
async def test_other_forms_of_a_target(client, line, status):
    await client.send(line + b"\r\nHost: h\r\n\r\n")
    assert await client.status() == status


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"", b""), 101),
        ((b"Host: h\r\n", b"Host: h\r\nX: " + b"x" * 1500 + b"\r\n" + b"Y: 1\r\n" * 30), 101),
        ((b"Host: h\r\n", b"Host: h\r\nX: " + b"x" * 10000 + b"\r\n"), 431),
        ((b"Host: h\r\n", b"Host: h\r\n" + b"Y: 1\r\n" * 140), 431),
        ((b"Version: 13", b"Version: 8"), 426),
        ((b"Sec-WebSocket-Version: 13\r\n", b""), 426),
        ((b"Key: ", b"Key: x"), 400),
        ((b"GET ", b"POST "), 405),
        ((b"Host: h\r\n", b"Host: h\r\nContent-Length: 5\r\n"), 400),
        ((b"Host: h\r\n", b"Host: h\r\nSec-WebSocket-Protocol: a b,,\r\n"), 400),
        ((b"Connection: Upgrade", b"Connection: close"), 404),
    ],
    ids=["fits", "large", "long-line", "many", "version", "no-version", "key", "method", "body", "protocol", "no-upgrade"],
)
async def test_an_upgrade_is_answered_whatever_is_wrong_with_it(client, change, status):
    await client.send((UPGRADE + b"\r\n").replace(*change))
    found, headers, _ = await client.answer()
    assert found == status
    if status == 426:
        assert headers["sec-websocket-version"] == "13"
    if status not in (101, 404):
        assert await client.ended()


async def test_a_refusal_of_an_upgrade_outlives_what_follows_it(client):
    """Frames behind it are unread when the connection ends, which must not take the answer away."""
    await client.send(UPGRADE.replace(b"Key: ", b"Key: x") + b"\r\n")
    for _ in range(20):
        await client.send(b"\x82\xfe\xff\xff" + bytes(60_000))
    assert await client.status() == 400


async def test_another_protocol_is_declined_by_going_on(client):
    head = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n"
    await client.send(head + b"GET /metadata HTTP/1.1\r\nHost: h\r\n\r\n")
    assert [await client.status(), await client.status()] == [200, 200]
    await client.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
    assert await client.status() == 200


async def test_an_empty_line_before_a_request_is_nothing(client):
    for _ in range(2):
        await client.send(b"\r\n")
        await client.send(b"\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await client.status() == 200


async def test_a_body_has_one_length(client):
    await client.send(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert await client.status() == 400
    assert await client.ended()


async def test_trailers_are_no_headers(client):
    path = await actor_path(client)
    await client.send(
        f"POST {path}/request/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Late: 1\r\n\r\n".encode()
    )
    status, _, body = await client.answer()
    assert (status, b'"size":2' in body, b"x-late" in body) == (200, True, False)


async def test_an_upgrade_behind_a_request_in_flight_spoils_no_answer(client):
    path = await actor_path(client)
    await client.send(f"GET {path}/request/ HTTP/1.1\r\nHost: h\r\n\r\n".encode() + UPGRADE + b"\r\n")
    assert await client.status() == 200
    # h11 takes one request after another; httptools has read both, and the second can no longer have the connection.
    rest = await asyncio.wait_for(client.reader.read(1000), 5)
    assert rest == b"" or rest.startswith(b"HTTP/1.1 101")


def test_first_bytes(parser):
    assert all(may_become_request(b"PURGE /x HTTP/1.1\r\n"[:end]) for end in range(1, 20))
    assert may_become_request(b"GET /" + b"x" * 500) and not may_become_request(b"x" * 65)
    assert origin_form(b"GET", b"/x", [(b"host", b"h")]) == (b"/x", [(b"host", b"h")])
