"""A tiny ASGI application for tests of the harness: echo, sleeping, blocking work, a WebSocket echo, and one sleeping "actor"."""

from __future__ import annotations

import asyncio
import json
import time
from urllib.parse import parse_qs


class FakeApp:
    """Understands just enough of the manager API for the boundary helper."""

    def __init__(self) -> None:
        self.asleep: set[str] = set()
        self.destroyed: set[str] = set()
        self.counter = 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            status, answer = await self._http(scope, body)
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": answer})
        else:
            await self._socket(receive, send)

    async def _lifespan(self, receive, send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _http(self, scope, body: bytes) -> tuple[int, bytes]:
        path, query = scope["path"], parse_qs(scope["query_string"].decode())
        if path == "/wait":
            await asyncio.sleep(float(query["seconds"][0]))
        elif path == "/block":
            await asyncio.to_thread(time.sleep, float(query["seconds"][0]))
        elif path == "/count":
            self.counter += 1
            return 200, str(self.counter).encode()
        elif path == "/actors":
            name = query["actor_ids"][0]
            record = {"actor_id": name, "sleep_ts": 1 if name in self.asleep else None, "destroy_ts": 1 if name in self.destroyed else None}
            return 200, json.dumps({"actors": [record]}).encode()
        elif path.startswith("/actors/") and scope["method"] == "DELETE":
            self.destroyed.add(path.split("/")[2])
            return 200, b"{}"
        elif path.startswith("/actors/") and path.endswith("/sleep"):
            asyncio.get_running_loop().call_later(1.0, self.asleep.add, path.split("/")[2])
            return 200, b"{}"
        return 200, body

    async def _socket(self, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
