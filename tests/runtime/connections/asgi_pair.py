"""A fake ASGI server for one WebSocket: what the client sends goes in, what the application sends comes out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class AsgiPair:
    """`client_*` act as the client; `receive` and `send` are handed to the application."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.stalled = asyncio.Event()
        self.stalled.set()
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._incoming.put_nowait({"type": "websocket.connect"})

    def run(self, application: Callable[[Any, Any], Awaitable[None]]) -> None:
        self._task = asyncio.create_task(application(self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        return await self._incoming.get()

    async def send(self, message: dict[str, Any]) -> None:
        await self.stalled.wait()
        self.sent.append(message)
        async with self._changed:
            self._changed.notify_all()

    def client_send(self, data: str | bytes) -> None:
        key = "text" if isinstance(data, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", key: data})

    def client_close(self, code: int | None = 1005, reason: str = "") -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    @property
    def frames(self) -> list[str | bytes]:
        return [m.get("text", m.get("bytes")) for m in self.sent if m["type"] == "websocket.send"]

    @property
    def close(self) -> tuple[int, str] | None:
        found = [(m["code"], m["reason"]) for m in self.sent if m["type"] == "websocket.close"]
        assert len(found) <= 1
        return found[0] if found else None

    async def until(self, condition: Callable[[], object], timeout: float = 5.0) -> None:
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def frame(self, number: int) -> str | bytes:
        await self.until(lambda: len(self.frames) > number)
        return self.frames[number]

    async def closed(self) -> tuple[int, str]:
        await self.until(lambda: self.close is not None)
        assert self.close is not None
        return self.close

    async def finished(self) -> None:
        assert self._task is not None
        async with asyncio.timeout(5):
            await self._task
