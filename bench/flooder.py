"""Many sockets from one address: `python -m bench.flooder URL KIND COUNT PATH`.

It prints a line of JSON when they are open and another one at its end, which is that of its standard input.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from urllib.parse import urlsplit

from bench.load import SWITCHING, upgrade_request

AT_ONCE = 200
KINDS = ("silent", "half", "websocket")


class Idler(asyncio.Protocol):
    """One socket; `alive` until the server ends it, `taken` once a WebSocket is open."""

    def __init__(self, first: bytes) -> None:
        self.alive = False
        self.taken = False
        self._first = first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say as much as is said."""
        assert isinstance(transport, asyncio.Transport)
        self.alive = True
        if self._first:
            transport.write(self._first)

    def data_received(self, data: bytes) -> None:
        """See whether it is let in."""
        self.taken = self.taken or data.startswith(SWITCHING)

    def connection_lost(self, error: Exception | None) -> None:
        """The server has had enough."""
        self.alive = False


async def flood(url: str, kind: str, number: int, path: str) -> None:
    """Open the sockets, tell, hold them, tell again."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    first = {"silent": b"", "half": b"GET /health HTTP/1.1\r\nhost: " + parts.netloc.encode(), "websocket": upgrade_request(url, path)}[
        kind
    ]
    sockets, refused, started, gate = [], 0, loop.time(), asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        nonlocal refused
        async with gate:
            try:
                sockets.append((await loop.create_connection(lambda: Idler(first), parts.hostname, parts.port))[1])
            except OSError:
                refused += 1

    def tell() -> None:
        alive = sum(one.alive for one in sockets)
        told = {"opened": len(sockets), "refused": refused, "alive": alive, "accepted": sum(one.taken and one.alive for one in sockets)}
        sys.stdout.write(json.dumps({**told, "seconds": loop.time() - started}) + "\n")
        sys.stdout.flush()

    await asyncio.gather(*(one() for _ in range(number)))
    tell()
    await loop.run_in_executor(None, sys.stdin.read)
    tell()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(flood(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
