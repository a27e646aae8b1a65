"""HTTP requests that come through the engine.

A request whose generation is on its way out is given back with `Abort`, and the gateway sends it to the next one. What a generation that
ends leaves unanswered gets no message at all: the gateway sends it again by itself when it learns of the end (ENGINE-102).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from runtime import clock
from runtime.actor.lifecycle.abort import AbortSignal
from runtime.errors import ActorError, gateway_status, http_status, make_error
from runtime.gateway.actor_request import ActorRequest
from runtime.gateway.asgi import announces_more
from runtime.gateway.http_answers import FETCH_FAILED, MAX_BODY
from runtime.gateway.live_actor import is_passing
from runtime.gateway.paths import Kind
from runtime.gateway.request_headers import SKIP_HEADER
from runtime.hosting.engine.ports import TryAgainError
from runtime.hosting.engine.protocol.tunnel import Abort, Chunk, MessageId, TunnelMessage
from runtime.hosting.engine.tunnel.answers import NEVER_HERE, response
from runtime.hosting.engine.tunnel.arrivals import NEVER_HERE_ERROR, life_of, raw_headers
from runtime.logs import LimitedLog
from runtime.replies import error_reply

if TYPE_CHECKING:
    from runtime.gateway.http_answers import ActorFace
    from runtime.gateway.live_actor import Reach
    from runtime.hosting.engine.ports import Life, Link
    from runtime.hosting.engine.protocol.tunnel import RequestStart
    from runtime.replies import Reply

MAX_REQUESTS = 16_384
"""Requests of all clients that may be under way."""
MAX_BODIES = 512 * 1024 * 1024
"""Bytes that their bodies may have together."""
BODY_TIMEOUT = 60.0
"""Seconds in which a body that comes in chunks has to be complete."""

log = structlog.get_logger(__name__)


class _Exchange:
    """One request on its way to an answer."""

    __slots__ = ("actor_id", "deadline", "key", "life", "most", "parts", "request", "size", "task")

    def __init__(self, key: tuple[bytes, bytes], actor_id: str, request: ActorRequest, most: int) -> None:
        self.key = key
        self.actor_id = actor_id
        self.request = request
        self.most = most
        self.size = len(request.body)
        self.parts: list[bytes] = [request.body] if request.body else []
        self.life: Life | None = None
        self.task: asyncio.Task[None] | None = None
        self.deadline: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """Nobody waits for an answer any more."""
        if self.deadline is not None:
            self.deadline.cancel()
        if self.task is not None:
            self.task.cancel()


class Requests:
    """All HTTP requests under way. Callers are not told apart, as the engine does not say who they are: its gateway counts them.

    Args:
        reach: Finds the generation of a request, or says that another one may have it.
        link: Takes the answers.
        face: Makes them.
        most: How many requests may be under way.
        most_bytes: How much their bodies may have together.
    """

    def __init__(self, reach: Reach, link: Link, face: ActorFace, *, most: int = MAX_REQUESTS, most_bytes: int = MAX_BODIES) -> None:
        self._reach = reach
        self._link = link
        self._face = face
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._open: dict[tuple[bytes, bytes], _Exchange] = {}
        self._lives: dict[Life, set[_Exchange]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults = LimitedLog.of_faults(log, "request failed")

    def start(self, message_id: MessageId, asked: RequestStart) -> None:
        """Answer a request, once its body is complete (ENGINE-110, ENGINE-111)."""
        key = message_id.key
        # The same once more is for the next generation: what this process made of it before is of one that is over (ENGINE-102).
        self._drop(key)
        request = ActorRequest.of(asked.method, asked.path, raw_headers(asked.headers), asked.body or b"")
        exchange = _Exchange(key, asked.actor_id, request, self._face.most_of_body(request.route.kind))
        if len(self._open) >= self._most or (self._open and self._bytes + exchange.size > self._most_bytes):
            self._reply(key, _overloaded(self._most))
            return
        self._open[key] = exchange
        self._bytes += exchange.size
        if exchange.size > exchange.most:
            self._too_large(exchange)
        elif asked.stream:
            exchange.deadline = clock.call_later(BODY_TIMEOUT, self._body_missing, exchange)
        else:
            self._serve(exchange)

    def chunk(self, key: tuple[bytes, bytes], chunk: Chunk) -> None:
        """Take more of a body; what comes after its end, or for nobody, is ignored."""
        exchange = self._open.get(key)
        if exchange is None or exchange.deadline is None:
            return
        exchange.parts.append(chunk.body)
        exchange.size += len(chunk.body)
        self._bytes += len(chunk.body)
        if exchange.size > exchange.most:
            self._too_large(exchange)
        elif self._bytes > self._most_bytes:
            self._answer(exchange, _overloaded(self._most))
        elif chunk.finish:
            exchange.request.body = b"".join(exchange.parts)
            self._serve(exchange)

    def abort(self, key: tuple[bytes, bytes]) -> None:
        """The client gave up. A raw request is told, as it may be a long poll; actions run to their end for any caller (RAWHTTP-019)."""
        exchange = self._open.get(key)
        if exchange is None:
            return
        if exchange.task is None:
            self._drop(key)
            return
        self._discard(exchange)
        if exchange.request.abandoned is not None:
            exchange.request.abandoned.fire()

    def generation_over(self, life: Life) -> None:
        """Stop working for a generation and say nothing: the gateway sends again what it got no answer to (ENGINE-082, ENGINE-102)."""
        for exchange in tuple(self._lives.get(life, ())):
            self._drop(exchange.key)

    async def close(self) -> None:
        """Stop working."""
        for key in tuple(self._open):
            self._drop(key)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _serve(self, exchange: _Exchange) -> None:
        if exchange.deadline is not None:
            exchange.deadline.cancel()
            exchange.deadline = None
        exchange.parts.clear()
        if exchange.request.route.kind is Kind.REQUEST:
            exchange.request.abandoned = AbortSignal()
        exchange.task = asyncio.get_running_loop().create_task(self._run(exchange))
        self._tasks.add(exchange.task)
        exchange.task.add_done_callback(self._tasks.discard)

    async def _run(self, exchange: _Exchange) -> None:
        try:
            reply = await self._ask(exchange)
        except TryAgainError:
            reply = None
        except ActorError as error:
            if is_passing(error):
                reply = None
            elif error.name == NEVER_HERE_ERROR:
                reply = NEVER_HERE
            else:
                reply = error_reply(error, gateway_status(error))
        except Exception as error:
            self._faults.report(actor_id=exchange.actor_id, exc_info=error)
            reply = FETCH_FAILED
        exchange.task = None
        self._answer(exchange, reply)

    async def _ask(self, exchange: _Exchange) -> Reply:
        request = exchange.request
        # Read and not judged: the gateway refuses other words by id, and by name it does not look at the header (WIRE-231).
        skip = request.headers.get(SKIP_HEADER) in (b"true", b"1")
        live = await self._reach.live(exchange.actor_id, skip_ready_wait=skip)
        # Who asked for this very generation gets its answer, whatever it is.
        request.passes_on = not skip
        if self._open.get(exchange.key) is exchange:
            exchange.life = life_of(live)
            self._lives.setdefault(exchange.life, set()).add(exchange)
        return await self._face.answer(live, request)

    def _answer(self, exchange: _Exchange, reply: Reply | None) -> None:
        """Answer, unless nobody waits any more; None gives the request back (ENGINE-118)."""
        if self._open.get(exchange.key) is not exchange:
            return
        self._drop(exchange.key)
        self._reply(exchange.key, reply)

    def _reply(self, key: tuple[bytes, bytes], reply: Reply | None) -> None:
        kind = Abort() if reply is None else response(reply, self._link.limits.max_response_payload_size)
        self._link.tunnel(TunnelMessage(MessageId(*key, 0), kind))

    def _too_large(self, exchange: _Exchange) -> None:
        """The whole gateway's limit is answered here, that of messages by the actor, whose name is in the error (WIRE-252, WIRE-313)."""
        request = exchange.request
        if exchange.most == MAX_BODY or exchange.size > MAX_BODY or announces_more(request.headers, MAX_BODY):
            error = make_error("guard.invalid_request_body", reason="length limit exceeded")
            self._answer(exchange, error_reply(error, gateway_status(error)))
            return
        request.body, request.oversized = b"", True
        self._serve(exchange)

    def _body_missing(self, exchange: _Exchange) -> None:
        error = make_error("guard.request_timeout")
        self._answer(exchange, error_reply(error, gateway_status(error)))

    def _drop(self, key: tuple[bytes, bytes]) -> None:
        exchange = self._open.get(key)
        if exchange is not None:
            self._discard(exchange)
            exchange.end()

    def _discard(self, exchange: _Exchange) -> None:
        del self._open[exchange.key]
        self._bytes -= exchange.size
        if exchange.life is not None:
            others = self._lives[exchange.life]
            others.discard(exchange)
            if not others:
                del self._lives[exchange.life]


def _overloaded(capacity: int) -> Reply:
    error = make_error("actor.overloaded", channel="tunnel", operation="answer a request", capacity=capacity)
    return error_reply(error, http_status(error))
