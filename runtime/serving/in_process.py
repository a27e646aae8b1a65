"""A server around an application, on the running loop: uvicorn.

Why uvicorn: `docs/explanation/server.md`. See `runtime.serving.fast_http` for custom methods.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from runtime.hosting.standalone.listener.asgi_app import GatewayApp
from runtime.hosting.standalone.listener.doors import is_loopback
from runtime.serving.config import ServingConfig
from runtime.serving.http_protocol import HTTP_PROTOCOL
from runtime.serving.limits import DEFAULT_LIMITS, ServerLimits
from runtime.serving.open_connections import OpenConnections

if TYPE_CHECKING:
    from types import TracebackType

log = structlog.get_logger(__name__)

BACKLOG = 2048
# For clients that take their last answer slowly; whoever takes longer is cut.
DRAIN_TIMEOUT = 5.0
DRAIN_POLL = 0.002


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

    def __init__(self, app: Any, *, host: str = "127.0.0.1", port: int = 0, limits: ServerLimits = DEFAULT_LIMITS) -> None:
        """Take the application; port 0 picks a free one."""
        self._app = app
        self._host = host
        self._wanted_port = port
        self._limits = limits
        self._server: uvicorn.Server | None = None
        self._bound = ""
        self._connections = OpenConnections(limits)
        self.port = 0
        self.token: str | None = None

    @property
    def url(self) -> str:
        """Where the server answers."""
        # Whoever listens everywhere is reached over loopback; the address that means everywhere is no address to ask.
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._bound)  # noqa: S104 - a comparison, nothing is bound here
        name = everywhere or self._host
        return f"http://{f'[{name}]' if ':' in name else name}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        return is_loopback(self._bound) and (not isinstance(self._app, GatewayApp) or self._app.is_local)

    async def __aenter__(self) -> InProcessServer:
        """Start; a server for other machines makes the token of its operators when none was given, as `token` (WIRE-032).

        Raises:
            OSError: The port is taken.
            RuntimeError: The application does not start.
            ValueError: Test mode, and other machines reach the server.
        """
        config = ServingConfig(self._app, self._limits, HTTP_PROTOCOL)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        server.server_state.connections = self._connections = OpenConnections(self._limits)
        # Bound before the lifespan begins: an actor that an alarm starts may want to know where it can be reached.
        listener = _listen(self._host, self._wanted_port)
        # What it was bound to counts: a name may mean any address.
        self._bound, self.port = listener.getsockname()[:2]
        try:
            if isinstance(self._app, GatewayApp):
                self._app.host.endpoint = self.url
                self.token = self._app.served_on(self._host, loopback=is_loopback(self._bound))
            await server.startup(sockets=[listener])
        except SystemExit:
            listener.close()
            failure = self._app.failure if isinstance(self._app, GatewayApp) else None
            raise RuntimeError(f"the application did not start{f': {failure}' if failure is not None else ''}") from failure
        except BaseException:
            listener.close()
            raise
        # uvicorn's number for one turn of the loop became the length of the queue.
        listener.listen(BACKLOG)
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
            # Whatever state a client has brought its connection into, the others are closed, and the lifespan ends.
            try:
                connection.shutdown()
            except Exception:
                log.exception("connection could not be closed in order")
                connection.transport.abort()
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn offers no event for its last connection
                    await asyncio.sleep(DRAIN_POLL)
        except TimeoutError:
            for connection in list(state.connections):
                connection.transport.abort()
            for task in list(state.tasks):
                task.cancel()
            if state.tasks:
                # An application of somebody else may ignore it: it does not keep the lifespan from ending.
                await asyncio.wait(state.tasks, timeout=DRAIN_TIMEOUT)
        self._connections.stop()
        await server.lifespan.shutdown()
