"""HTTP that means harm, against a server process, with somebody else beside it."""

import asyncio
import contextlib

from tests.serving.bystander import bystander
from tests.serving.process import serving

QUERY = b"rvt-namespace=default&rvt-method=getOrCreate&rvt-runner=default&rvt-key=k"
ENDLESS = b"%s /gateway/counter/request/?" + QUERY + b" HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = ENDLESS + b"Transfer-Encoding: chunked\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
OTHER = b"PURGE /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
ROWS = {
    "tiny-chunks": (CHUNKED % b"POST", b"1\r\nx\r\n" * 40_000, 8),
    "tiny-chunks-h11": (CHUNKED % b"PURGE", b"1\r\nx\r\n" * 20_000, 4),
    "pipelined": (b"", HEALTH * 5000, 2),
    "pipelined-h11": (OTHER, HEALTH * 5000, 2),
    "endless-headers": (b"GET / HTTP/1.1\r\n", b"X: " + b"x" * 1_000_000 + b"\r\n", 20),
    "endless-headers-h11": (b"PURGE / HTTP/1.1\r\n", b"X: " + b"x" * 1_000_000 + b"\r\n", 20),
    "many-headers": (b"GET / HTTP/1.1\r\n", b"a:\r\n" * 250_000, 2),
    "newlines": (OTHER, b"\n" * 500_000, 2),
    "endless-body": (ENDLESS % b"POST" + b"Content-Length: 20000000\r\n\r\n", bytes(1_000_000), 10),
}


async def send(port, head, data, times):
    """As much of it as the server takes; what it answers is read and dropped."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def drop():
        with contextlib.suppress(ConnectionError):
            while await reader.read(2**16):
                pass

    dropping = asyncio.create_task(drop())
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(2):
            writer.write(head)
            for _ in range(times):
                writer.write(data)
                await writer.drain()
    await asyncio.wait({dropping}, timeout=0.2)
    writer.close()
    dropping.cancel()


async def test_no_input_holds_others_up(tmp_path):
    async with serving(tmp_path) as server:
        port = int(server.endpoint.rpartition(":")[2])
        for name, row in ROWS.items():
            async with bystander(server.endpoint, server.pid) as beside:
                await send(port, *row)
            assert beside.waits, name


async def test_a_crowd_of_connections_leaves_the_server_answering(tmp_path):
    """Also who comes later, from the same address."""
    async with serving(tmp_path) as server:
        port = int(server.endpoint.rpartition(":")[2])
        crowd = []
        async with bystander(server.endpoint, server.pid):
            while len(crowd) < 1000:
                crowd.append((await asyncio.open_connection("127.0.0.1", port))[1])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEALTH)
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
        for each in (*crowd, writer):
            each.close()
