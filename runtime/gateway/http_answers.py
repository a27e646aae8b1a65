"""The HTTP face of one live actor: actions, queue sends, raw requests, and the fixed routes (section 6 of the wire protocol).

It knows neither host nor slot: whoever found the generation has it answer here, so that hosts differ in finding only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog

from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.errors import ActorError, http_status, make_error, to_wire
from runtime.gateway.live_actor import is_passing
from runtime.gateway.paths import METHODS, Kind
from runtime.gateway.raw_response import raw_reply
from runtime.inspector.http import answer_http
from runtime.inspector.request import InspectorRequest
from runtime.logs import LimitedLog, shown
from runtime.protocol import jsontext
from runtime.protocol.decode_errors import DecodeError, ValueTagError
from runtime.protocol.encodings import Encoding
from runtime.protocol.http_bodies import (
    decode_action_request,
    decode_queue_request,
    encode_action_response,
    encode_error,
    encode_queue_response,
)
from runtime.protocol.payload import value_of
from runtime.protocol.values import UNDEFINED
from runtime.replies import JSON_TYPE, Reply, json_reply
from runtime.version import version

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.gateway.actor_request import ActorRequest
    from runtime.gateway.live_actor import Live

Decoded = TypeVar("Decoded")
log = structlog.get_logger(__name__)

OCTETS = (b"content-type", b"application/octet-stream")
TEXT = (b"content-type", b"text/plain; charset=utf-8")
METRICS_TYPE = (b"content-type", b"text/plain; version=0.0.4")
BANNER = b"This is an RivetKit actor.\n\nActions are called with POST /action/{name}.\n"

MAX_BODY = 20 * 1024 * 1024
"""The longest body of any request to an actor (WIRE-252)."""
MESSAGES = frozenset({Kind.ACTION, Kind.QUEUE})
"""The routes whose bodies are messages, with a limit of their own (WIRE-314)."""

FETCH_FAILED = Reply(
    500,
    (JSON_TYPE, (b"x-rivet-error", b"envoy.fetch_failed")),
    b'{"group":"envoy","code":"fetch_failed","message":"actor fetch failed","metadata":{}}',
)
"""The answer when the host cannot make sense of a request at all (WIRE-255)."""


class Undecodable(Exception):
    """A request that its route cannot read: answered with the error inside, and no reason to log (WIRE-306, WIRE-314, WIRE-315)."""

    def __init__(self, error: Exception, status: int = 400) -> None:
        super().__init__(str(error))
        self.error = error
        self.status = status


class MessageLimits(Protocol):
    """How large bodies may be, in bytes (WIRE-981)."""

    @property
    def max_incoming_message_size(self) -> int:
        """Of action and queue requests."""
        ...

    @property
    def max_outgoing_message_size(self) -> int:
        """Of their answers."""
        ...


class Exposition(Protocol):
    """The figures of the process."""

    def render(self) -> bytes:
        """All of them as text."""
        ...


class ActorFace:
    """Has a live actor answer HTTP requests. One per host."""

    def __init__(self, limits: MessageLimits, metrics: Exposition) -> None:
        self._limits = limits
        self._metrics = metrics
        self._faults = LimitedLog.of_faults(log, "actor request failed")

    def most_of_body(self, kind: Kind) -> int:
        """The longest body that a route takes, in bytes: what is longer need not be read (WIRE-252, WIRE-314)."""
        return min(self._limits.max_incoming_message_size, MAX_BODY) if kind in MESSAGES else MAX_BODY

    async def answer(self, live: Live, request: ActorRequest) -> Reply:
        """Answer one request; errors that the actor makes become replies, masked (WIRE-830..835).

        Raises:
            ActorError: The generation refused in passing, and the request is one that passes on.
        """
        try:
            return await self._answer(live, request)
        # Apart from the other errors: what is inside has a status of its own in the catalogue, and it is not this one.
        except Undecodable as fault:
            return _failure(live, request, fault.error, fault.status)
        except ActorError as error:
            # Code of an actor that was begun may raise the same error: of a second `c.sleep()`, or of another actor that it asked.
            if request.passes_on and error.nothing_begun and is_passing(error):
                raise
            return _failure(live, request, error, http_status(error))
        except Exception as error:
            self._faults.report(actor_id=live.task.identity.actor_id, path=shown(request.path), exc_info=error)
            return _failure(live, request, error, 500)

    async def _answer(self, live: Live, request: ActorRequest) -> Reply:
        kind, task = request.route.kind, live.task
        allowed = METHODS.get(kind)
        if allowed is not None and request.method != allowed:
            raise make_error("actor.method_not_allowed", method=request.method, path=request.path)
        if kind is Kind.ACTION:
            # The order of checks is WIRE-313.
            args = self._decode(request, decode_action_request)
            params = _params(request)
            output = await task.actions.call_action(request.route.name, args, params, request.to_actor(request.path, request.body))
            return self._encoded(live, request, encode_action_response(output, request.encoding))
        if kind is Kind.QUEUE:
            message = self._decode(request, decode_queue_request)
            params = _params(request)
            result = await task.queue_sends.send(request.route.name, message, params, request.to_actor(request.path, request.body))
            return self._encoded(live, request, encode_queue_response(result, request.encoding))
        if kind is Kind.REQUEST:
            # Absent parameters differ from null here only: a raw handler's guard sees which one it was.
            params = _raw_params(request)
            sent = request.to_actor(request.route.name, request.body or None)
            return raw_reply(await task.raw_requests.fetch(sent, params, request.abandoned), live.headers)
        if kind is Kind.METRICS:
            # The figures are those of the process: no header names an actor (WIRE-303).
            return Reply(200, (METRICS_TYPE,), self._metrics.render())
        if kind is Kind.INSPECTOR:
            with task.work.region(WorkKind.HTTP):
                asked = InspectorRequest(task, request.method, request.path, request.query, request.authorization(), request.body)
                reply = await answer_http(asked)
            return Reply(reply.status, (*reply.headers, *live.headers), reply.body)
        with task.work.region(WorkKind.HTTP):  # the request restarts the idle timer (WIRE-307); a scrape does not (WIRE-303)
            return _fixed(live, request)

    def _decode(self, request: ActorRequest, decode: Callable[[bytes, Encoding], Decoded]) -> Decoded:
        if request.oversized or len(request.body) > self._limits.max_incoming_message_size:
            raise Undecodable(make_error("message.incoming_too_long"))
        try:
            return decode(request.body, request.encoding)
        except ValueTagError as error:
            raise Undecodable(error, 500) from None  # WIRE-401: a value fault, not a format fault
        except DecodeError:
            raise Undecodable(make_error("core.internal_error")) from None

    def _encoded(self, live: Live, request: ActorRequest, body: bytes) -> Reply:
        if len(body) > self._limits.max_outgoing_message_size:
            raise make_error("message.outgoing_too_long")
        return _reply(live, request, body)


def _reply(live: Live, request: ActorRequest, body: bytes, status: int = 200) -> Reply:
    """An answer in the caller's encoding."""
    return Reply(status, (JSON_TYPE if request.encoding is Encoding.JSON else OCTETS, *live.headers), body)


def _failure(live: Live, request: ActorRequest, error: Exception, status: int) -> Reply:
    """An actor-made error: masked, with the actor's specifier (WIRE-830..835)."""
    return _reply(live, request, encode_error(to_wire(error, live.task.identity.specifier), request.encoding), status)


def _fixed(live: Live, request: ActorRequest) -> Reply:
    """The routes that need nothing of the actor but that it lives."""
    kind = request.route.kind
    if kind is Kind.BANNER:
        return Reply(200, (TEXT, *live.headers), BANNER)
    if kind is Kind.HEALTH:
        return Reply(200, (TEXT, *live.headers), b"ok")
    if kind is Kind.METADATA:
        reply = json_reply({"runtime": "rivetkit", "version": version(), "type": "local"})
        return Reply(reply.status, (*reply.headers, *live.headers), reply.body)
    if kind is Kind.UNREADABLE:
        return FETCH_FAILED
    message = f"Actor route '{request.path}' was not found."
    raise ActorError("actor", "not_found", message, {"resource": "route", "id": request.path}, status=404)


def _params(request: ActorRequest) -> Any:
    """The connection parameters of an action or queue send; absent means null (WIRE-306)."""
    if request.params is None:
        return None
    try:
        return value_of(jsontext.loads(request.params))
    except DecodeError:
        raise Undecodable(make_error("core.internal_error")) from None


def _raw_params(request: ActorRequest) -> Any:
    """The connection parameters of a raw request; absent means undefined (WIRE-346)."""
    if request.params is None:
        return UNDEFINED
    try:
        return value_of(jsontext.loads(request.params))
    except DecodeError as error:
        raise Undecodable(error, 500) from None
