"""The ASGI application: manager, gateway and actor host on one port (WIRE-001..008).

Dispatch order is WIRE-002: `/health/ws`, `/gateway/...`, a target header or sub-protocol, and the REST API for everything else.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from runtime.gateway.http_answers import ActorFace
from runtime.gateway.request_limit import RequestLimit
from runtime.hosting.options import TEST_TOKEN
from runtime.hosting.standalone.listener.client_address import ClientAddresses
from runtime.hosting.standalone.listener.doors import Doors
from runtime.hosting.standalone.listener.gateway_routing import Router
from runtime.hosting.standalone.listener.http_entry import HttpEntry
from runtime.hosting.standalone.listener.scopes import own_url
from runtime.hosting.standalone.listener.turned_away import turn_away
from runtime.hosting.standalone.listener.websocket_entry import WebSocketEntry
from runtime.hosting.standalone.rest.dispatch import RestApi
from runtime.storage.data_directory import DamagedFileError, DataDirectoryError
from runtime.storage.directory_lock import StorageLockedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.gateway.asgi import Receive, Scope, Send
    from runtime.hosting.standalone.host import StandaloneHost

log = structlog.get_logger(__name__)


REFUSALS = (DataDirectoryError, DamagedFileError, StorageLockedError)
"""Whose text says what to do: where in the code it was found out is of no interest."""


class GatewayApp:
    """The application of one host; its lifespan opens and closes the host. Mountable below any path.

    Attributes:
        host: What it serves.
        doors: Which pages and names it lets in.
        is_local: Whether only this machine reaches it, as far as it was told.
        failure: Why the host could not be opened; what ASGI has for that is a line in the log of a server.
    """

    def __init__(self, host: StandaloneHost) -> None:
        self.host = host
        options = host.options
        self.doors = Doors.of(options.allow_origins, options.allow_hosts)
        self.is_local = not options.trusted_proxies
        self.failure: Exception | None = None
        router = Router(host)
        # Requests and upgrades of one address draw on one budget (WIRE-269).
        limit = RequestLimit(options.rate_limits)
        callers = ClientAddresses(options.trusted_proxies, host.loopback_secret)
        # Whoever stands behind a proxy is somewhere else, wherever the proxy is.
        self._rest = RestApi(host, options.admin_token, proxied=bool(options.trusted_proxies))
        self._http = HttpEntry(self._rest, router, host.reach, ActorFace(options, host.metrics), limit, callers)
        self._websocket = WebSocketEntry(router, host.reach, host.sockets, limit, options.rate_limits, callers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
            return
        # Before anything of a request counts: a page must not even use up what others may ask.
        reason = self.doors.refusal(scope)
        if reason is not None:
            await turn_away(reason, scope, receive, send)
            return
        # Whoever mounts this application knows its address, the application does not: the first request tells.
        if self.host.endpoint is None:
            self.host.endpoint = own_url(scope)
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)

    def served_on(self, name: str, *, loopback: bool) -> str | None:
        """Take note of where a server listens for this application; the token that was made because there was none (WIRE-032).

        Args:
            name: The name or address it was told to listen on.
            loopback: Whether only this machine connects.

        Raises:
            ValueError: The inspectors of a server for other machines would open to the token of test mode, which everybody knows.
        """
        self.doors = self.doors.served_as(name)
        self.is_local = loopback and not self.host.options.trusted_proxies
        if self.is_local:
            return None
        if self.host.options.fixed_inspector_token == TEST_TOKEN:
            raise ValueError("test mode is for this machine alone: every inspector would open to a token that everybody knows")
        return self._rest.demand_token()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[GatewayApp]:
        """What the lifespan does, for an outer application that mounts this one."""
        await self.host.open()
        try:
            yield self
        finally:
            await self.host.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.host.open()
        except Exception as error:
            # Told in the words of ASGI: a server takes an exception here for an application without a lifespan.
            log.error("host could not be opened", error=str(error), exc_info=not isinstance(error, REFUSALS))
            self.failure = error
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        finally:
            await self.host.close()
        await send({"type": "lifespan.shutdown.complete"})
