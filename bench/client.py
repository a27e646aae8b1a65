"""A server in a process of its own, and a client that asks it one thing at a time."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.load import http_answer, http_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TEXT = "hello, durable world"
HTTP_BODY = json.dumps({"args": [TEXT]}).encode()
JSON_ENCODING = "x-rivet-encoding: json\r\n"


@asynccontextmanager
async def server(kind: str, storage: str) -> AsyncIterator[str]:
    """One server process; gives its URL."""
    async with process("bench.servers", kind, storage) as (_, url):
        yield url


@asynccontextmanager
async def process(module: str, *arguments: str, quiet: bool = False) -> AsyncIterator[tuple[int, str]]:
    """A module that prints its URL and serves; its process id and that URL. `quiet` drops what it says besides."""
    errors = asyncio.subprocess.DEVNULL if quiet else None
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE, stderr=errors)
    assert child.stdout is not None
    try:
        url = (await child.stdout.readline()).decode().strip()
        if not url:
            raise RuntimeError(f"server '{arguments[0]}' did not start: is it installed?")
        yield child.pid, url
    finally:
        # Nobody asks how it ends, and some servers wait for their clients when they are asked to.
        if child.returncode is None:
            child.kill()
        await child.wait()


class HttpClient:
    """One keep-alive connection, one request at a time."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> HttpClient:
        parts = urlsplit(self._url)
        self._reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def call(self, method: str, path: str, body: bytes, headers: str = "") -> bytes:
        """The body of a 200 response; anything else raises `ValueError`."""
        self._writer.write(http_request(self._url, path, body, method, headers))
        buffer = await self._reader.readuntil(b"\r\n\r\n")
        while not (size := http_answer(buffer)):
            buffer += await self._reader.read(65536)
        return buffer[buffer.index(b"\r\n\r\n") + 4 : size]

    async def create(self, key: str, name: str = "echo") -> str:
        """Get or create an actor; its id."""
        body = {"name": name, "key": key, "runner_name_selector": "default", "crash_policy": "sleep"}
        answer = await self.call("PUT", "/actors?namespace=default", json.dumps(body).encode())
        return str(json.loads(answer)["actor"]["actor_id"])

    async def act(self, actor_id: str) -> None:
        """One action."""
        await self.call("POST", f"/gateway/{actor_id}/action/echo", HTTP_BODY, JSON_ENCODING)
