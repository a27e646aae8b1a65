"""The HTTP face of one actor: actions, queue sends, raw requests, and the fixed routes (section 6 of the wire protocol)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from runtime.actor.lifecycle.work import WorkKind
from runtime.errors import ActorError, gateway_status, http_status, make_error, to_wire
from runtime.gateway.headers import RequestHeaders
from runtime.gateway.paths import METHODS, ActorPath, Kind, parse_actor_path
from runtime.hosting.standalone.slot import SlotState
from runtime.http import Request
from runtime.inspector.http import InspectorRequest
from runtime.inspector.http import answer as inspect
from runtime.protocol import jsontext
from runtime.protocol.encodings import Encoding
from runtime.protocol.errors import DecodeError, ValueTagError
from runtime.protocol.http import (
    decode_action_request,
    decode_queue_request,
    encode_action_response,
    encode_error,
    encode_queue_response,
)
from runtime.protocol.values import UNDEFINED, from_wire
from runtime.replies import JSON_TYPE, Reply, error_reply, json_reply
from runtime.version import version

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actor.lifecycle.task import ActorTask
    from runtime.hosting.standalone.host import StandaloneHost
    from runtime.hosting.standalone.slot import ActorSlot
    from runtime.http import Response
    from runtime.replies import Headers, RawHeaders

Decoded = TypeVar("Decoded")
log = structlog.get_logger(__name__)

INTERNAL_ORIGIN = "http://127.0.0.1"
MAX_RESPONSE = 20 * 1024 * 1024
MAX_ATTEMPTS = 16
PASSING = frozenset({"actor.stopping", "actor.starting", "actor.not_ready"})
"""Refusals by a generation that is on its way out or in: the work was not begun, the next generation may have it."""

OCTETS = (b"content-type", b"application/octet-stream")
TEXT = (b"content-type", b"text/plain; charset=utf-8")
METRICS_TYPE = (b"content-type", b"text/plain; version=0.0.4")
BANNER = b"This is an RivetKit actor.\n\nActions are called with POST /action/{name}.\n"
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
BAD_VALUE = re.compile(r"[\r\n\0]")
SERVER_HEADERS = frozenset({
    "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade",
    "x-rivet-actor", "x-rivet-actor-generation", "x-rivet-actor-key", "x-rivet-ray-id",
})  # fmt: skip
"""What a handler cannot set: the server and the gateway do."""

FETCH_FAILED = Reply(
    500,
    (JSON_TYPE, (b"x-rivet-error", b"envoy.fetch_failed")),
    b'{"group":"envoy","code":"fetch_failed","message":"actor fetch failed","metadata":{}}',
)
"""The answer when the host cannot make sense of a request at all (WIRE-255)."""


@dataclass(slots=True)
class Call:
    """One request at one generation. `params` is the raw connection parameter header, `own` the headers of every answer (WIRE-254)."""

    task: ActorTask
    route: ActorPath
    method: str
    path: str
    query: str
    headers: RawHeaders
    body: bytes
    own: Headers
    encoding: Encoding = Encoding.JSON
    params: bytes | None = None

    def read_headers(self) -> None:
        """Pick out what this module needs itself."""
        encoding = self.headers.get(b"x-rivet-encoding")
        if encoding is not None:
            self.encoding = Encoding.parse(encoding.decode("latin-1"))
        self.params = self.headers.get(b"x-rivet-conn-params")

    def request(self, path: str, body: bytes | None) -> Request:
        """The request as actor code sees it (WIRE-340)."""
        url = f"{INTERNAL_ORIGIN}{path}?{self.query}" if self.query else INTERNAL_ORIGIN + path
        return Request(self.method, url, RequestHeaders(self.headers), body)

    def authorization(self) -> str | None:
        """The `Authorization` header, for the inspector."""
        value = self.headers.get(b"authorization")
        return None if value is None else value.decode("latin-1")

    def reply(self, body: bytes, status: int = 200) -> Reply:
        """An answer in the caller's encoding."""
        return Reply(status, (JSON_TYPE if self.encoding is Encoding.JSON else OCTETS, *self.own), body)

    def failure(self, error: Exception, status: int) -> Reply:
        """An actor-made error: masked, with the actor's specifier (WIRE-830..835)."""
        return self.reply(encode_error(to_wire(error, self.task.identity.specifier), self.encoding), status)


class Undecodable(Exception):
    """A request that its route cannot read: answered 400 with the error inside (WIRE-306, WIRE-314, WIRE-315)."""

    def __init__(self, error: ActorError) -> None:
        super().__init__(error.message)
        self.error = error


class ActorHttp:
    """Carries HTTP requests to generations and their answers back."""

    def __init__(self, host: StandaloneHost) -> None:
        self._host = host

    async def handle(
        self, actor_id: str, method: str, target: str, headers: RawHeaders, body: bytes, *, skip_ready_wait: bool = False
    ) -> Reply:
        """Answer one request to an actor; `target` is path and query without the gateway prefix.

        Raises:
            ActorError: The actor cannot be reached: a gateway error. Errors made by the actor become replies.
        """
        path, _, query = target.partition("?")
        route = parse_actor_path(path)
        slot, task = await self._reach(actor_id, skip_ready_wait)
        call = Call(task, route, method, path, query, headers, body, slot.headers)
        call.read_headers()
        try:
            return await self._answer(call)
        except Undecodable as fault:
            return call.failure(fault.error, 400)
        except ActorError as error:
            return call.failure(error, http_status(error))
        except Exception as error:
            log.exception("actor request failed", actor_id=actor_id, path=path)
            return call.failure(error, 500)

    async def _reach(self, actor_id: str, skip_ready_wait: bool) -> tuple[ActorSlot, ActorTask]:
        """The generation that takes the request; one that is already on its way out is followed by the next (WIRE-202, SLEEP-070)."""
        host = self._host
        for _ in range(MAX_ATTEMPTS):
            slot = host.slots.get(actor_id)
            if slot is None:
                raise make_error("actor.not_found")
            task = slot.task if slot.state is SlotState.RUNNING else None
            if task is None:
                task = await host.ready(actor_id, skip_ready_wait=skip_ready_wait)
            try:
                task.accepting()
            except ActorError as error:
                if skip_ready_wait or f"{error.group}.{error.code}" not in PASSING:
                    return slot, task
                try:
                    async with asyncio.timeout(host.options.ready_timeout):
                        await slot.gone(task)
                except TimeoutError:
                    break
            else:
                return slot, task
        raise make_error("guard.actor_ready_timeout", actor_id=actor_id)

    async def _answer(self, call: Call) -> Reply:
        kind, task = call.route.kind, call.task
        allowed = METHODS.get(kind)
        if allowed is not None and call.method != allowed:
            raise make_error("actor.method_not_allowed", method=call.method, path=call.path)
        if kind is Kind.ACTION:
            # The order of checks is WIRE-313.
            args = self._decode(call, decode_action_request)
            params = _params(call)
            output = await task.call_action(call.route.name, args, params, call.request(call.path, call.body))
            return self._encoded(call, encode_action_response(output, call.encoding))
        if kind is Kind.QUEUE:
            message = self._decode(call, decode_queue_request)
            params = _params(call)
            result = await task.send_queue(call.route.name, message, params, call.request(call.path, call.body))
            return self._encoded(call, encode_queue_response(result, call.encoding))
        if kind is Kind.REQUEST:
            params = UNDEFINED if call.params is None else from_wire(jsontext.loads(call.params))
            return _response(await task.fetch(call.request(call.route.name, call.body or None), params), call.own)
        if kind is Kind.METRICS:
            return Reply(200, (METRICS_TYPE,), self._host.metrics.render())
        if kind is Kind.INSPECTOR:
            with task.work.region(WorkKind.HTTP):
                reply = await inspect(InspectorRequest(task, call.method, call.path, call.query, call.authorization(), call.body))
            return Reply(reply.status, (*reply.headers, *call.own), reply.body)
        with task.work.region(WorkKind.HTTP):  # the request restarts the idle timer (WIRE-307); a scrape does not (WIRE-303)
            return self._fixed(call)

    def _fixed(self, call: Call) -> Reply:
        kind = call.route.kind
        if kind is Kind.BANNER:
            return Reply(200, (TEXT, *call.own), BANNER)
        if kind is Kind.HEALTH:
            return Reply(200, (TEXT, *call.own), b"ok")
        if kind is Kind.METADATA:
            reply = json_reply({"runtime": "rivetkit", "version": version(), "type": "local"})
            return Reply(reply.status, (*reply.headers, *call.own), reply.body)
        if kind is Kind.UNREADABLE:
            return FETCH_FAILED
        message = f"Actor route '{call.path}' was not found."
        raise ActorError("actor", "not_found", message, {"resource": "route", "id": call.path}, status=404)

    def _decode(self, call: Call, decode: Callable[[bytes, Encoding], Decoded]) -> Decoded:
        if len(call.body) > self._host.options.max_incoming_message_size:
            raise Undecodable(make_error("message.incoming_too_long"))
        try:
            return decode(call.body, call.encoding)
        except ValueTagError:
            raise  # WIRE-401: a value fault, not a format fault
        except DecodeError:
            raise Undecodable(make_error("core.internal_error")) from None

    def _encoded(self, call: Call, body: bytes) -> Reply:
        if len(body) > self._host.options.max_outgoing_message_size:
            raise make_error("message.outgoing_too_long")
        return call.reply(body)


def _params(call: Call) -> Any:
    """The connection parameters of an action or queue send; absent means null (WIRE-306)."""
    if call.params is None:
        return None
    try:
        return from_wire(jsontext.loads(call.params))
    except ValueError:
        raise Undecodable(make_error("core.internal_error")) from None


def _response(response: Response, own: Headers) -> Reply:
    """What a raw handler answered (WIRE-343, WIRE-344, RAWHTTP-006, RAWHTTP-017)."""
    body = response.body.encode() if isinstance(response.body, str) else bytes(response.body)
    if len(body) > MAX_RESPONSE:
        error = make_error("guard.invalid_response_body", reason="length limit exceeded")
        return error_reply(error, gateway_status(error))
    if not 200 <= response.status <= 599:
        raise ValueError(f"onRequest handler answered with status {response.status}")
    return Reply(response.status, (*response_headers(response), *own), body)


def response_headers(response: Response) -> Headers:
    """A handler's headers as bytes: repeated ones joined by a comma, except `set-cookie` (RAWHTTP-007).

    Raises:
        ValueError: A name or value cannot be sent.
    """
    joined: dict[str, str] = {}
    cookies = []
    for name, value in response.header_items():
        lower = name.lower()
        if not TOKEN.fullmatch(lower) or BAD_VALUE.search(value):
            raise ValueError(f"response header {name!r} cannot be sent")
        if lower in SERVER_HEADERS:
            continue
        if lower == "set-cookie":
            cookies.append((b"set-cookie", value.encode()))
        else:
            joined[lower] = f"{joined[lower]}, {value}" if lower in joined else value
    return (*((name.encode(), value.encode()) for name, value in joined.items()), *cookies)
