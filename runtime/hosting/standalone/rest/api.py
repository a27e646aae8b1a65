"""The manager REST API: dispatch, rules common to all endpoints, and the endpoints about the process itself (WIRE-020..054)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import structlog

from runtime.errors import ActorError, make_error
from runtime.gateway.replies import BodyTooLarge, ClientGone, Reply, error_reply, internal_error, json_reply, read_body
from runtime.hosting.standalone import cors
from runtime.hosting.standalone.namespaces import DATACENTER
from runtime.hosting.standalone.rest.actors import ActorEndpoints
from runtime.hosting.standalone.rest.input import MAX_BODY, Query, bad_request
from runtime.hosting.standalone.rest.namespaces import NamespaceEndpoints

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.gateway.replies import RawHeaders, Receive
    from runtime.hosting.standalone.host import StandaloneHost

    Handler = Callable[["RestRequest"], Awaitable[Reply]]

log = structlog.get_logger(__name__)
VERSION = version("actor-conformance")
STATUS = {"api.not_found": 404, "api.unauthorized": 401, "api.forbidden": 403, "core.internal_error": 500}
NO_CORS = frozenset({"/health"})
DATACENTER_LABEL = 1


@dataclass(slots=True)
class RestRequest:
    """One REST request. `params` are the decoded variable segments of the path; `body` has been read completely."""

    method: str
    params: tuple[str, ...]
    raw_query: bytes
    headers: RawHeaders
    body: bytes = b""

    def query(self, *allowed: str, repeatable: tuple[str, ...] = (), namespaced: bool = True) -> Query:
        """The query, which may hold only these parameters (and `namespace`)."""
        names = {*allowed, *repeatable, *(("namespace",) if namespaced else ())}
        query = Query(self.raw_query, frozenset(names), frozenset(repeatable))
        if namespaced:
            query.required("namespace")
        return query

    def header(self, name: bytes) -> bytes | None:
        """The last value of a header."""
        return self.headers.get(name)


class RestApi:
    """Answers every request that is not for an actor. One per application."""

    def __init__(self, host: StandaloneHost) -> None:
        self._host = host
        actors = ActorEndpoints(host, self.authorize)
        spaces = NamespaceEndpoints(host, self.authorize)
        routes: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self.health},
            "/health/fanout": {"GET": self.fanout},
            "/metadata": {"GET": self.metadata},
            "/datacenters": {"GET": self.datacenters},
            "/actors": {"GET": actors.list_actors, "PUT": actors.get_or_create, "POST": actors.create},
            "/actors/names": {"GET": actors.names},
            "/actors/{}": {"DELETE": actors.destroy},
            "/actors/{}/sleep": {"POST": actors.sleep},
            "/actors/{}/reschedule": {"POST": actors.reschedule},
            "/actors/{}/kv/keys/{}": {"GET": actors.read_key},
            "/namespaces": {"GET": spaces.list_namespaces, "POST": spaces.create},
            "/envoys": {"GET": spaces.envoys},
            "/runners": {"GET": spaces.runners},
            "/runner-configs": {"GET": spaces.runner_configs},
            "/runner-configs/{}": {"PUT": spaces.put_runner_config, "DELETE": spaces.delete_runner_config},
        }
        self._literal = {path: methods for path, methods in routes.items() if "{}" not in path}
        self._patterns = [(path.split("/"), methods) for path, methods in routes.items() if "{}" in path]

    async def handle(self, method: str, path: bytes, query: bytes, headers: RawHeaders, receive: Receive) -> Reply:
        """Answer one request; every fault becomes a structured error body (WIRE-026)."""
        plain = path.decode("latin-1") in NO_CORS
        origin = None if plain else headers.get(b"origin")
        if method == "OPTIONS" and not plain:
            requested = (headers.get(b"access-control-request-" + name) for name in (b"method", b"headers"))
            return Reply(200, cors.rest_preflight(origin, *requested))
        try:
            reply = await self._dispatch(method, path, query, headers, receive)
        except ActorError as error:
            reply = error_reply(error, STATUS.get(f"{error.group}.{error.code}", 400))
        except ClientGone:
            raise
        except Exception:
            log.exception("request failed", path=path.decode("latin-1"))
            reply = error_reply(internal_error(), 500)
        extra = cors.rest_headers(origin)
        return Reply(reply.status, (*reply.headers, *extra), reply.body) if extra else reply

    def authorize(self, request: RestRequest) -> None:
        """Check the admin token of an endpoint marked *auth* (WIRE-027, WIRE-028)."""
        token = self._host.options.admin_token
        if token is None:
            return
        given = request.header(b"authorization") or b""
        if not (given.startswith(b"Bearer ") and hmac.compare_digest(given[7:], token.encode())):
            raise make_error("api.forbidden")

    async def _dispatch(self, method: str, path: bytes, query: bytes, headers: RawHeaders, receive: Receive) -> Reply:
        methods, params = self._find(path.decode("latin-1"))
        if methods is None:
            raise make_error("api.not_found")
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            return Reply(405, ((b"allow", ", ".join(methods).encode()),))
        request = RestRequest(method, params, query, headers)
        if method not in ("GET", "HEAD", "DELETE"):
            try:
                request.body = await read_body(receive, MAX_BODY)
            except BodyTooLarge:
                raise bad_request("body is too large") from None
        return await handler(request)

    def _find(self, path: str) -> tuple[dict[str, Handler] | None, tuple[str, ...]]:
        literal = self._literal.get(path)
        if literal is not None:
            return literal, ()
        parts = path.split("/")
        for pattern, methods in self._patterns:
            if len(pattern) == len(parts) and all(want in ("{}", part) for want, part in zip(pattern, parts, strict=True)):
                found = [part for want, part in zip(pattern, parts, strict=True) if want == "{}"]
                if all(found):
                    return methods, tuple(unquote_to_bytes(part).decode("utf-8", "replace") for part in found)
        return None, ()

    # Endpoints about the process.

    async def health(self, _request: RestRequest) -> Reply:
        """GET /health (WIRE-050)."""
        return json_reply(health_body())

    async def fanout(self, request: RestRequest) -> Reply:
        """GET /health/fanout."""
        self.authorize(request)
        local = {"datacenter_label": DATACENTER_LABEL, "datacenter_name": DATACENTER, "status": "ok", "rtt_ms": 0.0}
        return json_reply({"datacenters": [{**local, "response": health_body(), "error": None}]})

    async def metadata(self, _request: RestRequest) -> Reply:
        """GET /metadata (WIRE-053, WIRE-054): the client keeps the endpoint it already uses."""
        return json_reply({"runtime": "engine", "version": VERSION})

    async def datacenters(self, request: RestRequest) -> Reply:
        """GET /datacenters."""
        self.authorize(request)
        host = (request.header(b"host") or b"localhost").decode("latin-1")
        entry = {"label": DATACENTER_LABEL, "name": DATACENTER, "url": self._host.endpoint or f"http://{host}"}
        return json_reply({"datacenters": [entry], "pagination": {"cursor": None}})


def health_body() -> dict[str, Any]:
    """What `/health` says."""
    return {"runtime": "engine", "status": "ok", "version": VERSION}
