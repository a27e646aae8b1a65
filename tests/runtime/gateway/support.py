"""A served application and raw requests to it."""

import asyncio
from contextlib import asynccontextmanager

import httpx

from runtime import HostOptions, InProcessServer, create_app

OPEN = {"allow_origins": ("*",), "allow_hosts": ("*",)}
"""Host options for tests of what is behind the doors, which name themselves as they like."""


@asynccontextmanager
async def serving(registry, options=None, storage="memory"):
    """An httpx client on a running server, of which all doors are open unless there are options; `client.app` is the application."""
    app = create_app(registry, storage=storage, options=options or HostOptions(**OPEN))
    async with InProcessServer(app) as server, httpx.AsyncClient(base_url=server.url, timeout=60, verify=False) as client:
        client.app = app
        client.port = server.port
        yield client


async def exchange(port, data):
    """Send bytes, read until the server closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    received = b""
    try:
        async with asyncio.timeout(2):
            while chunk := await reader.read(65536):
                received += chunk
                if complete(received):
                    break
    except TimeoutError:
        pass
    writer.close()
    return received


def complete(data):
    """Whether one whole response with a content length is there."""
    head, separator, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return bool(separator) and len(body) >= int(line[15:])
    return False


def error_of(response):
    """`group.code` of an error response."""
    body = response.json()
    return f"{body['group']}.{body['code']}"
