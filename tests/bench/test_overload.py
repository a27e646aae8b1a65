"""The measuring parts of `python -m bench overload` and `flood`, against servers whose figures are known."""

from __future__ import annotations

import asyncio
from random import Random

from bench import overload
from bench.flooder import Idler
from bench.load import http_request

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
SHED = b'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 21\r\n\r\n{"code":"overloaded"}'


class Slow(asyncio.Protocol):
    """Answers after 20 ms."""

    answer = ANSWER

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        asyncio.get_running_loop().call_later(0.02, self.transport.write, self.answer)


class Shedding(Slow):
    answer = SHED


async def _listen(protocol):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_calls_are_made_at_their_moments_and_time_counts_from_there():
    server, port = await _listen(Slow)
    url = f"http://127.0.0.1:{port}"
    # 64 connections of one call each 40 ms: each is answered before the next is due.
    taken = await overload.paced(url, lambda: http_request(url, "/", b""), 1600, 0.2)
    assert 200 <= len(taken) <= 330
    assert overload.percentile(taken, 0.5) >= 0.02
    # Due every 13 ms and answered after 20: what is late waits longer and longer, though each answer takes the same.
    late = await overload.paced(url, lambda: http_request(url, "/", b""), 4800, 0.2)
    assert max(late) > 0.04
    server.close()


async def test_who_is_shed_waits_before_asking_again():
    server, port = await _listen(Shedding)
    loop = asyncio.get_running_loop()
    _, one = await loop.create_connection(lambda: overload.Saturating(b"GET / HTTP/1.1\r\n\r\n", Random(1)), "127.0.0.1", port)
    await asyncio.sleep(0.1)
    assert (one.done, one.shed) == (0, 1)
    one.transport.abort()
    server.close()


def test_percentiles():
    assert overload.percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert overload.percentile([1.0], 0.99) == 1.0


async def test_a_socket_of_a_flood_tells_whether_it_lives():
    server, port = await _listen(Slow)
    loop = asyncio.get_running_loop()
    transport, one = await loop.create_connection(lambda: Idler(b"GET"), "127.0.0.1", port)
    await asyncio.sleep(0.05)
    assert (one.alive, one.taken) == (True, False)
    transport.abort()
    await asyncio.sleep(0.01)
    assert not one.alive
    server.close()
