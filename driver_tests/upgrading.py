"""One upgrade to a WebSocket by hand: the answer as it came, and the first frame."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLOSE = 0x88


@dataclass(frozen=True)
class Upgraded:
    """An answer to an upgrade; `close` is code and reason, None when the first frame was another one."""

    status: int
    headers: dict[str, str]
    close: tuple[int, str] | None


async def upgrade(conform: Any, path: str, entries: Sequence[str] | None, headers: Mapping[str, str] | None = None) -> Upgraded:
    """Ask for a WebSocket with these sub-protocol entries, none at all when None, and read to the end of the first frame."""
    address = urlsplit(conform.endpoint)
    given = {
        "host": address.netloc, "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(b"0123456789abcdef").decode(), **(headers or {}),
    }  # fmt: skip
    if entries is not None:
        given["sec-websocket-protocol"] = ", ".join(entries)
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        async with asyncio.timeout(conform.limit(20)):
            writer.write("\r\n".join(lines).encode())
            status, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
            found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
            first, size = await reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await reader.readexactly(2), "big")
            payload = await reader.readexactly(size)
    finally:
        writer.close()
    close = (int.from_bytes(payload[:2], "big"), payload[2:].decode()) if first == CLOSE else None
    return Upgraded(int(status.split()[1]), found, close)
