"""Serves one ASGI application with uvicorn on the running loop, real or virtual."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import uvicorn

from harness.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEEP_ALIVE = 24 * 3600
"""Seconds an idle connection stays open: virtual time makes long pauses common, and a close racing a request is no finding."""


class _Server(uvicorn.Server):
    """uvicorn without its 0.1 s tick: in virtual time a tick turns every long wait into thousands of jumps."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.exit = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.exit.wait()
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to pytest or to the command line.
        yield


class AppServer:
    """One application on one port of the loopback interface (or of `host`)."""

    def __init__(self, app: Any, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Take the application; nothing happens before `start`. Port 0 picks a free one."""
        self._server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                lifespan="on",
                ws="websockets-sansio",
                ws_max_size=64 * 1024 * 1024,
                ws_ping_interval=None,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=5,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Serve, and return the URL once the port is open and the application's lifespan has started.

        Raises:
            TargetError: the application did not start or the port is taken.
        """
        self._task = asyncio.create_task(self._serve(), name="app-server")
        while not self._server.started:
            if self._task.done():
                raise TargetError("the application did not start") from self._task.exception()
            await asyncio.sleep(0.001)
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Shut the application down and close the port."""
        if self._task is None:
            return
        self._server.exit.set()
        await self._task
        self._task = None

    async def _serve(self) -> None:
        try:
            await self._server.serve()
        except SystemExit as error:
            # uvicorn exits the process when the lifespan or the port fails; here that is one failed target.
            raise TargetError(f"uvicorn gave up with status {error.code}") from error
