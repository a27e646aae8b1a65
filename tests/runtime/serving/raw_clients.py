"""Servers with small limits, and clients that send bytes."""

import asyncio
import contextlib
import json
from dataclasses import replace

from runtime import Actor, Context, HostOptions, InProcessServer, Registry, Request, Response, action, create_app
from runtime.serving import in_process
from runtime.serving.limits import ServerLimits
from runtime.serving.plain_http import PlainHttp
from tests.runtime.gateway.support import OPEN

SMALL = ServerLimits(head=2048, headers=40)
PARSERS = ["httptools", "h11", "handed-over"]


class Echo(Actor):
    name = "echo"

    @action
    def hello(self, c: Context) -> str:
        return "hello"

    async def on_request(self, c: Context, request: Request) -> Response:
        seen = {"method": request.method, "url": request.url, "headers": dict(request.headers), "size": len(request.body or b"")}
        return Response.json(seen)


class Client:
    """One connection. After a hand-over its server parses with h11."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, data):
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def answer(self):
        """Status, headers and body of the next response."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        body = await asyncio.wait_for(self.reader.readexactly(int(headers.get("content-length", 0))), 5)
        return int(head[0].split()[1]), headers, body

    async def status(self):
        return (await self.answer())[0]

    async def ended(self, within=2.0):
        """Whether the server has closed the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(1), within) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


@contextlib.asynccontextmanager
async def client_of(server, *, handed_over=False, source=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=None if source is None else (source, 0))
    client = Client(reader, writer)
    try:
        if handed_over:
            await client.send(b"PURGE /nothing HTTP/1.1\r\nHost: h\r\n\r\n")
            await client.answer()
        yield client
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def small_server(parser, monkeypatch, app=None, **limits):
    if parser == "h11":
        monkeypatch.setattr(in_process, "HTTP_PROTOCOL", PlainHttp)
    async with InProcessServer(app or create_app(Registry(Echo), options=HostOptions(**OPEN)), limits=replace(SMALL, **limits)) as server:
        yield server


async def actor_path(client, key="k"):
    """The gateway path of a new actor."""
    body = b'{"name":"echo","key":"%s","runner_name_selector":"default","crash_policy":"sleep"}' % key.encode()
    head = b"PUT /actors?namespace=default HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
    await client.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    text = json.loads((await client.answer())[2])
    return "/gateway/" + text["actor"]["actor_id"]
