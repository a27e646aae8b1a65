"""HTTP requests at the one port: the gateway, a target header, or the REST API (WIRE-002, WIRE-003)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from runtime.actor.lifecycle.abort import AbortSignal
from runtime.errors import ActorError, gateway_status, make_error
from runtime.gateway.actor_request import ActorRequest
from runtime.gateway.asgi import HANG_UP, BodyTooLarge, ClientGone, Unsendable, announces_more, connection_of, read_body, send_reply
from runtime.gateway.http_answers import MAX_BODY
from runtime.gateway.paths import Kind
from runtime.gateway.request_headers import skip_from_header
from runtime.hosting.standalone.listener import cors
from runtime.hosting.standalone.listener.doors import is_from_here
from runtime.hosting.standalone.listener.faces import ACTOR_TARGET, GATEWAY, HEALTH_SOCKET, is_gateway, no_route
from runtime.hosting.standalone.listener.gateway_routing import check_actor_id
from runtime.hosting.standalone.listener.ray_ids import new_ray
from runtime.hosting.standalone.listener.scopes import address, raw_path, with_query
from runtime.logs import LimitedLog, shown
from runtime.protocol.gateway_url import QueryRoute
from runtime.replies import Reply, error_reply, internal_error

if TYPE_CHECKING:
    from runtime.gateway.asgi import Receive, Scope, Send
    from runtime.gateway.http_answers import ActorFace
    from runtime.gateway.live_actor import Reach
    from runtime.gateway.request_limit import RequestLimit
    from runtime.hosting.standalone.listener.client_address import ClientAddresses
    from runtime.hosting.standalone.listener.gateway_routing import Router
    from runtime.hosting.standalone.rest.dispatch import RestApi
    from runtime.replies import Headers, RawHeaders

TARGET = b"x-rivet-target"
REST_HEADER = b"api-public"

log = structlog.get_logger(__name__)


class HttpEntry:
    """Takes every HTTP request of the application."""

    def __init__(self, rest: RestApi, router: Router, reach: Reach, face: ActorFace, limit: RequestLimit, callers: ClientAddresses) -> None:
        self._rest = rest
        self._router = router
        self._reach = reach
        self._face = face
        self._requests = limit
        self._callers = callers
        self._faults = LimitedLog.of_faults(log, "request failed")
        self._unnamed = LimitedLog(log, "what comes through a proxy is refused as one caller: name it in trusted_proxies if it is yours")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it is for."""
        path = raw_path(scope)
        headers = dict(scope["headers"])  # the last of a repeated header counts (WIRE-251)
        ray = (b"x-rivet-ray-id", new_ray().encode())
        caller = self._callers.of(scope, headers)
        try:
            self._requests.count(caller, scope["method"], path)
        except ActorError as error:
            if caller == address(scope) and b"x-forwarded-for" in headers:
                self._unnamed.report(address=caller)
            # Without them a browser would see a failed request and no 429.
            allowed = cors.gateway_headers(headers.get(b"origin")) if path.startswith(GATEWAY) else ()
            await send_reply(send, error_reply(error, gateway_status(error)), (ray, *allowed))
            return
        # Counted until the answer is sent: a slow reader holds its place among those in flight.
        with self._requests.running(caller) as place:
            connection = connection_of(scope)
            if connection is not None:
                # Overwritten by the next request: a connection answers one at a time.
                connection.on_loss = None if place is None else place.end
            await self._answer(scope, path, headers, ray, receive, send)

    async def _answer(self, scope: Scope, path: bytes, headers: RawHeaders, ray: tuple[bytes, bytes], receive: Receive, send: Send) -> None:
        try:
            if is_gateway(path):
                reply, extra = await self._gateway(scope, path, headers, receive)
            else:
                target = headers.get(TARGET)
                if path in HEALTH_SOCKET:
                    error = no_route(headers, path)
                    reply, extra = error_reply(error, gateway_status(error)), ()
                elif target is None or target == REST_HEADER:
                    query, local = scope["query_string"], is_from_here(scope, headers)
                    reply, extra = await self._rest.handle(scope["method"], path, query, headers, receive, local=local), ()
                else:
                    reply, extra = await self._by_header(scope, path, headers, target, receive)
        # Nobody is left to answer.
        except ClientGone:
            return
        except Exception as error:
            self._faults.report(path=shown(path), exc_info=error)
            reply, extra = error_reply(internal_error(), 500), ()
        try:
            await send_reply(send, reply, (ray, *extra))
        except Unsendable:
            connection = connection_of(scope)
            # A loop may refuse to write to who is gone a turn before it says that they are: nobody is left to answer.
            if connection is not None and connection.lost:
                return
            # Everything that makes headers sees to it that they can be sent; what slips through costs no answer.
            log.exception("answer could not be sent", path=path.decode("latin-1"))
            if connection is None:
                raise
            connection.fail()

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
            # The body comes first: a request that never becomes whole must create no actor.
            request = _watched(ActorRequest.of(method, route.forward, headers), scope)
            extra += await self._read(request, receive)
            actor_id = await self._router.resolve(route)
            live = await self._reach.live(actor_id, skip_ready_wait=skip)
            reply = await self._face.answer(live, request)
        except ActorError as error:
            reply = error_reply(error, gateway_status(error))
        except BodyTooLarge:
            reply = _body_too_large()
        return reply, extra

    async def _read(self, request: ActorRequest, receive: Receive) -> Headers:
        """Read the body, and no more of it than its route takes; what the answer has to say about that.

        Raises:
            BodyTooLarge: It is too long for any route.
        """
        most = self._face.most_of_body(request.route.kind)
        try:
            request.body = await read_body(receive, request.headers, most)
        except BodyTooLarge:
            if most == MAX_BODY or announces_more(request.headers, MAX_BODY):
                raise
            # The actor's to refuse: its method comes first, and its name is in the error (WIRE-313, WIRE-835).
            request.oversized = True
            return (HANG_UP,)
        return ()

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
            request = _watched(ActorRequest.of(scope["method"], with_query(path, scope["query_string"]), headers), scope)
            extra += await self._read(request, receive)
            live = await self._reach.live(actor_id, skip_ready_wait=skip)
            reply = await self._face.answer(live, request)
        except ActorError as error:
            reply = error_reply(error, gateway_status(error))
        except BodyTooLarge:
            reply = _body_too_large()
        return reply, extra


def _watched(request: ActorRequest, scope: Scope) -> ActorRequest:
    """A raw request that learns when its client leaves: it may be a long poll (RAWHTTP-019). Actions run to their end for any caller."""
    if request.route.kind is Kind.REQUEST:
        connection = connection_of(scope)
        if connection is not None:
            request.abandoned = AbortSignal()
            if connection.on_loss is not None:
                request.abandoned.add_listener(connection.on_loss)
            connection.on_loss = request.abandoned.fire
    return request


def _body_too_large() -> Reply:
    error = make_error("guard.invalid_request_body", reason="length limit exceeded")
    reply = error_reply(error, gateway_status(error))
    return Reply(reply.status, (*reply.headers, HANG_UP), reply.body)
