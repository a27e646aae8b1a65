"""WebSocket upgrades at the one port: by gateway path, or by target sub-protocol (WIRE-002, WIRE-242)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import structlog

from runtime.actor.connections.sockets import Upgrade
from runtime.errors import ActorError, make_error
from runtime.gateway.rate_limits import NO_RATE_LIMITS
from runtime.gateway.request_headers import RequestHeaders
from runtime.gateway.room import DIRECT_WIRE
from runtime.gateway.websocket import refuse_websocket, serve_websocket
from runtime.hosting.standalone.listener import cors
from runtime.hosting.standalone.listener.faces import ACTOR_TARGET, HEALTH_SOCKET, REST_TARGET, is_gateway, no_route
from runtime.hosting.standalone.listener.gateway_routing import check_actor_id
from runtime.hosting.standalone.listener.ray_ids import new_ray
from runtime.hosting.standalone.listener.scopes import raw_path, with_query
from runtime.http import INTERNAL_ORIGIN, Request
from runtime.logs import LimitedLog, shown
from runtime.protocol.gateway_url import QueryRoute
from runtime.protocol.subprotocols import ACTOR_PREFIX, SKIP_READY_WAIT, TARGET_PREFIX, entry_value
from runtime.replies import internal_error

if TYPE_CHECKING:
    from runtime.gateway.asgi import Receive, Scope, Send
    from runtime.gateway.live_actor import Reach
    from runtime.gateway.rate_limits import RateLimits
    from runtime.gateway.request_limit import RequestLimit
    from runtime.gateway.socket_table import SocketTable
    from runtime.hosting.standalone.listener.client_address import ClientAddresses
    from runtime.hosting.standalone.listener.gateway_routing import Router
    from runtime.replies import Headers, RawHeaders

log = structlog.get_logger(__name__)


class WebSocketEntry:
    """Takes every WebSocket of the application."""

    def __init__(
        self, router: Router, reach: Reach, sockets: SocketTable, limit: RequestLimit, limits: RateLimits, callers: ClientAddresses
    ) -> None:
        self._router = router
        self._reach = reach
        self._sockets = sockets
        self._requests = limit
        self._limits = limits
        self._callers = callers
        self._faults = LimitedLog.of_faults(log, "upgrade failed")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket from its upgrade to its end."""
        path = raw_path(scope)
        headers = dict(scope["headers"])  # the last of a repeated header counts (WIRE-251)
        ray = new_ray()
        origin = headers.get(b"origin")
        extra: Headers = ((b"x-rivet-ray-id", ray.encode()),)
        caller = self._callers.of(scope, headers)
        try:
            self._requests.count(caller, "GET", path)
            if is_gateway(path):
                # Before the route is read: refusals carry them, too (WIRE-261).
                extra = (*extra, *cors.gateway_headers(origin))
                actor_id, stripped, skip = await self._upgrade_by_path(scope, path, headers)
            else:
                actor_id, stripped, skip = self._upgrade_by_entry(scope, path, headers)
                extra = (*extra, *cors.gateway_headers(origin))
        except ActorError as error:
            await refuse_websocket(error, ray, receive, send, extra)
            return
        except Exception as error:
            self._faults.report(path=shown(path), exc_info=error)
            await refuse_websocket(internal_error(), ray, receive, send, extra)
            return
        request = Request("GET", INTERNAL_ORIGIN + stripped, RequestHeaders(headers))
        upgrade = Upgrade(actor_id, request, tuple(scope["subprotocols"]), ray, skip, extra)
        limits = NO_RATE_LIMITS if caller is None else self._limits
        wire = scope.get("extensions", {}).get(DIRECT_WIRE)
        await serve_websocket(self._reach, self._sockets, upgrade, receive, send, limits, wire)

    async def _upgrade_by_path(self, scope: Scope, path: bytes, headers: RawHeaders) -> tuple[str, str, bool]:
        route = self._router.parse(path, scope["query_string"])
        if route is None:
            raise internal_error()
        if route.token is None and headers.get(b"sec-websocket-protocol") is None:
            raise make_error("guard.missing_header", header="sec-websocket-protocol")
        skip = route.skip_ready_wait if isinstance(route, QueryRoute) else SKIP_READY_WAIT in scope["subprotocols"]
        return await self._router.resolve(route), route.forward, skip

    def _upgrade_by_entry(self, scope: Scope, path: bytes, headers: RawHeaders) -> tuple[str, str, bool]:
        """`rivet_target.<value>` (WIRE-242); everything else is the REST API, which has no WebSockets (WIRE-006)."""
        entries: list[str] = scope["subprotocols"]
        target = entry_value(entries, TARGET_PREFIX)
        if path in HEALTH_SOCKET:
            raise no_route(headers, path)
        # Upgrades have no 404: what is not for an actor is an internal error (WIRE-006).
        if target is None or target == REST_TARGET:
            raise internal_error()
        if target != ACTOR_TARGET:
            raise no_route(headers, path)
        actor = entry_value(entries, ACTOR_PREFIX)
        if actor is None:
            raise make_error("guard.missing_header", header="rivet_actor")
        return check_actor_id(unquote(actor)), with_query(path, scope["query_string"]), SKIP_READY_WAIT in entries
