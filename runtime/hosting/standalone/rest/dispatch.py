"""The manager REST API: from method and path to an endpoint, and the rules common to all of them (WIRE-020..030)."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

import structlog

from runtime.errors import ActorError, make_error
from runtime.gateway.asgi import HANG_UP, BodyTooLarge, ClientGone, read_body
from runtime.hosting.standalone.listener import cors
from runtime.hosting.standalone.rest.actors import ActorEndpoints, ActorsHost
from runtime.hosting.standalone.rest.bodies import MAX_BODY
from runtime.hosting.standalone.rest.namespaces import NamespaceEndpoints, NamespacesHost
from runtime.hosting.standalone.rest.pools import PoolEndpoints, PoolsHost
from runtime.hosting.standalone.rest.process import ProcessEndpoints, ProcessHost
from runtime.hosting.standalone.rest.request import RestRequest, bad_request
from runtime.logs import LimitedLog, shown
from runtime.replies import Reply, error_reply, internal_error

if TYPE_CHECKING:
    from runtime.gateway.asgi import Receive
    from runtime.hosting.standalone.rest.request import Handler
    from runtime.replies import RawHeaders

log = structlog.get_logger(__name__)
# Every other error of the manager is 400, whatever its status elsewhere (WIRE-026).
STATUS = {"api.not_found": 404, "api.unauthorized": 401, "api.forbidden": 403, "core.internal_error": 500}
TOKEN_BYTES = 24
NO_TOKEN = "Access denied: from other machines this needs a token, and this server has none (HostOptions.admin_token)"
NO_CORS = frozenset({"/health"})


class RestHost(ActorsHost, NamespacesHost, PoolsHost, ProcessHost, Protocol):
    """What the endpoints together need of the host."""


class RestApi:
    """Answers every request that is not for an actor. One per application.

    Args:
        host: What the endpoints tell about and give orders to.
        admin_token: What callers of endpoints marked *auth* must show (WIRE-028); None admits everybody who asks over loopback.
        proxied: Whether what comes over loopback may come from other machines through a proxy.
    """

    def __init__(self, host: RestHost, admin_token: str | None = None, *, proxied: bool = False) -> None:
        # An empty one, as of a variable that is not set, would be anybody's.
        self._admin_token = admin_token or None
        self._proxied = proxied
        self._faults = LimitedLog.of_faults(log, "request failed")
        process = ProcessEndpoints(host, self.authorize)
        actors = ActorEndpoints(host, self.authorize)
        spaces = NamespaceEndpoints(host, self.authorize)
        pools = PoolEndpoints(host, self.authorize)
        routes: dict[str, dict[str, Handler]] = {
            "/health": {"GET": process.health},
            "/health/fanout": {"GET": process.fanout},
            "/metadata": {"GET": process.metadata},
            "/datacenters": {"GET": process.datacenters},
            "/actors": {"GET": actors.list_actors, "PUT": actors.get_or_create, "POST": actors.create},
            "/actors/names": {"GET": actors.names},
            "/actors/{}": {"DELETE": actors.destroy},
            "/actors/{}/sleep": {"POST": actors.sleep},
            "/actors/{}/reschedule": {"POST": actors.reschedule},
            "/actors/{}/kv/keys/{}": {"GET": actors.read_key},
            "/namespaces": {"GET": spaces.list_namespaces, "POST": spaces.create},
            "/envoys": {"GET": pools.envoys},
            "/runners": {"GET": pools.runners},
            "/runner-configs": {"GET": pools.runner_configs},
            "/runner-configs/{}": {"PUT": pools.put_runner_config, "DELETE": pools.delete_runner_config},
        }
        # Looked up first: `/actors/names` is an actor id to the pattern.
        self._literal = {path: methods for path, methods in routes.items() if "{}" not in path}
        self._patterns = [(path.split("/"), methods) for path, methods in routes.items() if "{}" in path]

    def demand_token(self) -> str | None:
        """From now on a token is needed; the one that was made, None when there is one already (WIRE-032)."""
        if self._admin_token is not None:
            return None
        self._admin_token = secrets.token_urlsafe(TOKEN_BYTES)
        return self._admin_token

    async def handle(self, method: str, path: bytes, query: bytes, headers: RawHeaders, receive: Receive, *, local: bool = True) -> Reply:
        """Answer one request; every fault becomes a structured error body (WIRE-026). `local` says that it came over loopback."""
        plain = path.decode("latin-1") in NO_CORS
        origin = None if plain else headers.get(b"origin")
        if method == "OPTIONS" and not plain:
            requested = (headers.get(b"access-control-request-" + name) for name in (b"method", b"headers"))
            return Reply(200, cors.rest_preflight(origin, *requested))
        try:
            reply = await self._dispatch(RestRequest(method, (), query, headers, local=local), path, receive)
        except ActorError as error:
            reply = error_reply(error, STATUS.get(f"{error.group}.{error.code}", 400))
        # Nobody is left to answer: the entry lets the request go.
        except ClientGone:
            raise
        except Exception as error:
            self._faults.report(path=shown(path), exc_info=error)
            reply = error_reply(internal_error(), 500)
        extra = cors.rest_headers(origin)
        return Reply(reply.status, (*reply.headers, *extra), reply.body) if extra else reply

    def authorize(self, request: RestRequest) -> None:
        """Check the admin token of an endpoint marked *auth* (WIRE-027, WIRE-028)."""
        token = self._admin_token
        if token is None and request.local and not self._proxied:
            return
        if token is None:
            raise make_error("api.forbidden", message=NO_TOKEN)
        given = request.header(b"authorization") or b""
        # In constant time: how much of a guess is right must not show.
        if not (given.startswith(b"Bearer ") and hmac.compare_digest(given[7:], token.encode())):
            raise make_error("api.forbidden")

    async def _dispatch(self, request: RestRequest, path: bytes, receive: Receive) -> Reply:
        method = request.method
        methods, request.params = self._find(path.decode("latin-1"))
        if methods is None:
            raise make_error("api.not_found")
        # The server leaves the body out.
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            return Reply(405, ((b"allow", ", ".join(methods).encode()),))
        if method not in ("GET", "HEAD", "DELETE"):
            try:
                request.body = await read_body(receive, request.headers, MAX_BODY)
            except BodyTooLarge:
                refused = error_reply(bad_request("body is too large"), 400)
                return Reply(refused.status, (*refused.headers, HANG_UP), refused.body)
        return await handler(request)

    def _find(self, path: str) -> tuple[dict[str, Handler] | None, tuple[str, ...]]:
        literal = self._literal.get(path)
        if literal is not None:
            return literal, ()
        parts = path.split("/")
        for pattern, methods in self._patterns:
            if len(pattern) == len(parts) and all(want in ("{}", part) for want, part in zip(pattern, parts, strict=True)):
                found = [part for want, part in zip(pattern, parts, strict=True) if want == "{}"]
                # An empty segment names nothing: `/actors/` is no endpoint.
                if all(found):
                    return methods, tuple(unquote_to_bytes(part).decode("utf-8", "replace") for part in found)
        return None, ()
