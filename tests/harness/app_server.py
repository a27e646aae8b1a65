"""A plain uvicorn around an ASGI application, on the running loop."""

from __future__ import annotations

import asyncio
import contextlib

import uvicorn


class Server(uvicorn.Server):
    """Leaves the signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


class AppServer:
    """Serves until stopped; the port is picked by the system."""

    def __init__(self, app, port=0) -> None:
        config = uvicorn.Config(app, port=port, log_config=None, ws="websockets-sansio", timeout_keep_alive=3600, proxy_headers=False)
        self._server = Server(config)

    async def start(self) -> str:
        self._task = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 -- uvicorn has nothing to wait for
            await asyncio.sleep(0.001)
        host, port = self._server.servers[0].sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        self._server.should_exit = True
        await self._task
