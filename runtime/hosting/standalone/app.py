"""The ASGI application: manager, gateway and actor host on one port (WIRE-001..008).

Dispatch order is WIRE-002: `/health/ws`, `/gateway/...`, a target header or sub-protocol, and the REST API for everything else.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import structlog

from runtime.actor.connections.sockets import Upgrade
from runtime.errors import ActorError, gateway_status, make_error
from runtime.gateway.actor_request import ActorRequest
from runtime.gateway.asgi import BodyTooLarge, ClientGone, read_body, send_reply
from runtime.gateway.face import ActorFace
from runtime.gateway.headers import RequestHeaders
from runtime.gateway.rate_limits import RequestLimit
from runtime.gateway.websocket import refuse_websocket, serve_websocket
from runtime.hosting.standalone import cors
from runtime.hosting.standalone.ray import new_ray
from runtime.hosting.standalone.rest.dispatch import RestApi
from runtime.hosting.standalone.routing import Router, check_actor_id, skip_from_header
from runtime.http import INTERNAL_ORIGIN, Request
from runtime.protocol.gateway_url import QueryRoute
from runtime.protocol.subprotocols import ACTOR_PREFIX, SKIP_READY_WAIT, TARGET_PREFIX, entry_value
from runtime.replies import Reply, error_reply, internal_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.gateway.asgi import Receive, Scope, Send
    from runtime.hosting.standalone.host import StandaloneHost
    from runtime.replies import Headers, RawHeaders

log = structlog.get_logger(__name__)

MAX_BODY = 20 * 1024 * 1024
GATEWAY = b"/gateway"
HEALTH_SOCKET = (b"/health/ws", b"/health/ws/")
TARGET = b"x-rivet-target"
REST_TARGET = "api-public"
ACTOR_TARGET = "actor"


class GatewayApp:
    """The application of one host; its lifespan opens and closes the host. Mountable below any path."""

    def __init__(self, host: StandaloneHost) -> None:
        self.host = host
        self._rest = RestApi(host, host.options.admin_token)
        self._router = Router(host)
        self._reach = host.reach
        self._face = ActorFace(host.options, host.metrics)
        self._requests = RequestLimit(host.options.rate_limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)

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
            log.exception("host could not be opened")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        finally:
            await self.host.close()
        await send({"type": "lifespan.shutdown.complete"})

    # HTTP

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _raw_path(scope)
        headers = dict(scope["headers"])  # the last of a repeated header counts (WIRE-251)
        ray = (b"x-rivet-ray-id", new_ray().encode())
        if self.host.endpoint is None:
            self._learn_endpoint(scope)
        address = _address(scope)
        try:
            self._requests.count(address, scope["method"], path)
        except ActorError as error:
            allowed = cors.gateway_headers(headers.get(b"origin")) if path.startswith(GATEWAY) else ()
            await send_reply(send, error_reply(error, gateway_status(error)), (ray, *allowed))
            return
        with self._requests.running(address):
            await self._answer(scope, path, headers, ray, receive, send)

    async def _answer(self, scope: Scope, path: bytes, headers: RawHeaders, ray: tuple[bytes, bytes], receive: Receive, send: Send) -> None:
        try:
            if path.startswith(GATEWAY) and path[8:9] in (b"/", b""):
                reply, extra = await self._gateway(scope, path, headers, receive)
            else:
                target = headers.get(TARGET)
                if path in HEALTH_SOCKET:
                    error = no_route(headers, path)
                    reply, extra = error_reply(error, gateway_status(error)), ()
                elif target is None or target == b"api-public":
                    reply, extra = await self._rest.handle(scope["method"], path, scope["query_string"], headers, receive), ()
                else:
                    reply, extra = await self._by_header(scope, path, headers, target, receive)
        except ClientGone:
            return
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("request failed", path=path.decode("latin-1"))
            reply, extra = error_reply(internal_error(), 500), ()
        await send_reply(send, reply, (ray, *extra))

    async def _gateway(self, scope: Scope, path: bytes, headers: RawHeaders, receive: Receive) -> tuple[Reply, Headers]:
        origin = headers.get(b"origin")
        method: str = scope["method"]
        if method == "OPTIONS":
            wanted = headers.get(b"access-control-request-headers")
            return Reply(204, cors.gateway_preflight(origin, wanted)), ()
        extra = cors.gateway_headers(origin)
        try:
            route = self._router.parse(path, scope["query_string"])
            if route is None:
                raise make_error("api.not_found")
            skip = route.skip_ready_wait if isinstance(route, QueryRoute) else skip_from_header(headers)
            body = await read_body(receive, MAX_BODY)
            actor_id = await self._router.resolve(route)
            live = await self._reach.live(actor_id, skip_ready_wait=skip)
            reply = await self._face.answer(live, ActorRequest.of(method, route.forward, headers, body))
        except ActorError as error:
            reply = error_reply(error, gateway_status(error))
        except BodyTooLarge:
            reply = _body_too_large()
        return reply, extra

    async def _by_header(self, scope: Scope, path: bytes, headers: RawHeaders, target: bytes, receive: Receive) -> tuple[Reply, Headers]:
        """`x-rivet-target` (WIRE-003, WIRE-240, WIRE-241)."""
        origin = headers.get(b"origin")
        extra = cors.gateway_headers(origin)
        try:
            if target.decode("latin-1") != ACTOR_TARGET:
                raise no_route(headers, path)
            if scope["method"] == "OPTIONS":
                wanted = headers.get(b"access-control-request-headers")
                return Reply(204, cors.gateway_preflight(origin, wanted)), ()
            if path != b"/request" and not path.startswith(b"/request/"):
                raise no_route(headers, path)
            actor = headers.get(b"x-rivet-actor")
            if actor is None:
                raise make_error("guard.missing_header", header="x-rivet-actor")
            actor_id = check_actor_id(actor.decode("latin-1"))
            skip = skip_from_header(headers)
            body = await read_body(receive, MAX_BODY)
            live = await self._reach.live(actor_id, skip_ready_wait=skip)
            reply = await self._face.answer(live, ActorRequest.of(scope["method"], _with_query(path, scope["query_string"]), headers, body))
        except ActorError as error:
            reply = error_reply(error, gateway_status(error))
        except BodyTooLarge:
            reply = _body_too_large()
        return reply, extra

    def _learn_endpoint(self, scope: Scope) -> None:
        server = scope.get("server")
        if server is not None and server[1] is not None:
            name = f"[{server[0]}]" if ":" in server[0] else server[0]
            self.host.endpoint = f"http://{name}:{server[1]}{scope.get('root_path', '')}"

    # WebSocket

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _raw_path(scope)
        headers = dict(scope["headers"])  # the last of a repeated header counts (WIRE-251)
        ray = new_ray()
        if self.host.endpoint is None:
            self._learn_endpoint(scope)
        origin = headers.get(b"origin")
        extra: Headers = ((b"x-rivet-ray-id", ray.encode()),)
        try:
            self._requests.count(_address(scope), "GET", path)
            if path.startswith(GATEWAY) and path[8:9] in (b"/", b""):
                extra = (*extra, *cors.gateway_headers(origin))
                actor_id, stripped, skip = await self._upgrade_by_path(scope, path, headers)
            else:
                actor_id, stripped, skip = self._upgrade_by_entry(scope, path, headers)
                extra = (*extra, *cors.gateway_headers(origin))
        except ActorError as error:
            await refuse_websocket(error, ray, receive, send, extra)
            return
        except Exception:
            log.exception("upgrade failed", path=path.decode("latin-1"))
            await refuse_websocket(internal_error(), ray, receive, send, extra)
            return
        request = Request("GET", INTERNAL_ORIGIN + stripped, RequestHeaders(headers))
        upgrade = Upgrade(actor_id, request, tuple(scope["subprotocols"]), ray, skip, extra)
        await serve_websocket(self._reach, self.host.sockets, upgrade, receive, send, self.host.options.rate_limits)

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
        if target is None or target == REST_TARGET:
            raise internal_error()
        if target != ACTOR_TARGET:
            raise no_route(headers, path)
        actor = entry_value(entries, ACTOR_PREFIX)
        if actor is None:
            raise make_error("guard.missing_header", header="rivet_actor")
        return check_actor_id(unquote(actor)), _with_query(path, scope["query_string"]), SKIP_READY_WAIT in entries


def no_route(headers: RawHeaders, path: bytes) -> ActorError:
    """`guard.no_route` (WIRE-003)."""
    host = (headers.get(b"host") or b"").decode("latin-1")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return make_error("guard.no_route", host=name, path=path.decode("latin-1"))


def _body_too_large() -> Reply:
    error = make_error("guard.invalid_request_body", reason="length limit exceeded")
    return error_reply(error, gateway_status(error))


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _with_query(path: bytes, query: bytes) -> str:
    return (path + b"?" + query if query else path).decode("latin-1")


def _raw_path(scope: Scope) -> bytes:
    """The path as sent, below the mount point, without a fragment (WIRE-226)."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        raw = quote(scope["path"]).encode()
    root: str = scope.get("root_path", "")
    if root:
        raw = raw.removeprefix(root.encode()) or b"/"
    return raw if b"#" not in raw else raw.partition(b"#")[0]
