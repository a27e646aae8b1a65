"""Serving: the application of a registry, and uvicorn around it.

Why uvicorn and not granian, which carries far more WebSocket traffic: granian's ASGI interface drops the headers of the 101 response
(the ray id), hands over no close reason of the client and caps messages at 16 MiB; all three are part of the wire protocol. Its HTTP
throughput measured here was below uvicorn's with httptools. See `runtime.gateway.uvicorn_protocols` for custom methods.

The server keeps no periodic tick and no short keep-alive timer: on a virtual-time loop each would become thousands of jumps.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from runtime import logs
from runtime.gateway.uvicorn_protocols import AnyMethodProtocol, CheckedTextProtocol
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.listener.asgi_app import GatewayApp
from runtime.storage.memory import MemoryStorage
from runtime.storage.sqlite import SQLiteStorage

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from runtime.declaration.registry import Registry
    from runtime.hosting.options import HostOptions
    from runtime.storage.base import Storage

log = structlog.get_logger(__name__)

DEFAULT_PORT = 6420
KEEP_ALIVE = 24 * 3600
BACKLOG = 2048
MAX_FRAME = 64 * 1024 * 1024
# For clients that take their last answer slowly; whoever takes longer is cut.
DRAIN_TIMEOUT = 5.0
DRAIN_POLL = 0.002


def create_app(registry: Registry, *, storage: str | Path | Storage = "memory", options: HostOptions | None = None) -> GatewayApp:
    """The ASGI application that is manager, gateway and actor host at once. Its lifespan starts and stops the host.

    To mount it in Starlette or FastAPI, run its lifespan from the outer one: `async with app.running(): ...`.
    Logs go to standard error, warnings and up, unless the program configured structlog before.

    Args:
        registry: The actors to host.
        storage: `"memory"`, a directory for SQLite files, or a `Storage`.
        options: See `HostOptions`.
    """
    if not structlog.is_configured():
        logs.configure()
    return GatewayApp(StandaloneHost(registry, _storage(storage), options))


def _storage(place: str | Path | Storage) -> Storage:
    if place == "memory":
        return MemoryStorage()
    if isinstance(place, (str, Path)):
        return SQLiteStorage(place)
    return place


async def serve(
    registry: Registry,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    storage: str | Path | Storage = "memory",
    options: HostOptions | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then stop every actor gracefully (STOP-034). `on_ready` gets the URL once traffic is accepted.

    Raises:
        OSError: The address is taken.
        RuntimeError: The storage could not be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    async with InProcessServer(create_app(registry, storage=storage, options=options), host=host, port=port) as server:
        with contextlib.suppress(NotImplementedError):  # a loop without signal support is stopped by cancelling
            for number in signals:
                loop.add_signal_handler(number, stop.set)
        log.info("serving actors", url=server.url, actors=len(registry))
        try:
            if on_ready is not None:
                on_ready(server.url)
            await stop.wait()
        finally:
            with contextlib.suppress(NotImplementedError):
                for number in signals:
                    loop.remove_signal_handler(number)


def run(
    registry: Registry,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    storage: str | Path | Storage = "memory",
    options: HostOptions | None = None,
) -> None:
    """`serve` for a program that does nothing else; blocks until a signal."""
    asyncio.run(serve(registry, host=host, port=port, storage=storage, options=options))


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named: asyncio switches Nagle's algorithm off only for sockets that say they are TCP.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class InProcessServer:
    """One ASGI application on a port, on the running loop, real or virtual; no signal handlers.

        async with InProcessServer(create_app(registry)) as server:
            client = Client(server.url)

    Leaving the block stops accepting, lets the actors stop, closes what is still open and ends the lifespan.
    """

    def __init__(self, app: Any, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Take the application; port 0 picks a free one."""
        self._app = app
        self._host = host
        self._wanted_port = port
        self._server: uvicorn.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where the server answers."""
        everywhere = self._host in ("", "0.0.0.0")  # noqa: S104 - a comparison, nothing is bound here
        name = "127.0.0.1" if everywhere else f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{name}:{self.port}"

    async def __aenter__(self) -> InProcessServer:
        """Start; raises `OSError` when the port is taken, `RuntimeError` when the application does not start."""
        config = uvicorn.Config(
            self._app,
            http=AnyMethodProtocol,
            ws=CheckedTextProtocol,
            ws_max_size=MAX_FRAME,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        # Bound before the lifespan begins: an actor that an alarm starts may want to know where it can be reached.
        listener = _listen(self._host, self._wanted_port)
        self.port = listener.getsockname()[1]
        if isinstance(self._app, GatewayApp):
            self._app.host.endpoint = self.url
        try:
            await server.startup(sockets=[listener])
        except SystemExit:
            listener.close()
            raise RuntimeError("the application did not start") from None
        except BaseException:
            listener.close()
            raise
        self._server = server
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop serving."""
        server, self._server = self._server, None
        if server is None:
            return
        for listener in server.servers:
            listener.close()
        if isinstance(self._app, GatewayApp):
            # Before connections are cut: calls in flight get their answer, and clients of hibernating sockets lose them last.
            await self._app.host.close()
        state = server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn offers no event for its last connection
                    await asyncio.sleep(DRAIN_POLL)
        except TimeoutError:
            for task in list(state.tasks):
                task.cancel()
            await asyncio.gather(*state.tasks, return_exceptions=True)
        await server.lifespan.shutdown()
