"""Actions and the other calls from outside: admission through the dispatch inbox, execution, time limits (sections 2.3, 2.6)."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from runtime.actor.calls.context import Context
from runtime.actor.lifecycle.work import Region, WorkKind
from runtime.actor.queue.external_send import send_external
from runtime.errors import ActorError, is_public, make_error
from runtime.http import Response
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from runtime.actor.connections.connection import Conn
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.declaration.functions import UserFunction
    from runtime.http import Request
    from runtime.protocol.messages import QueueResult, QueueSend


class Admission:
    """One item of the dispatch inbox: starts its work, or fails its caller."""

    __slots__ = ("_make", "_reply", "_work")

    def __init__(self, task: ActorTask, make: Callable[[], Coroutine[Any, Any, Any]], reply: asyncio.Future[Any] | None) -> None:
        self._work = task.work
        self._make = make
        self._reply = reply

    def start(self) -> None:
        """Hand the work to user code."""
        child = self._work.adopt(self._make())
        if self._reply is not None:
            child.add_done_callback(self._lost)

    def fail(self, error: ActorError) -> None:
        """The task ended before the work could start."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    def _lost(self, child: asyncio.Task[Any]) -> None:
        reply = self._reply
        assert reply is not None
        if not reply.done():
            reply.set_exception(make_error("actor.dropped_reply"))


class Calls:
    """What the gateway, connections and schedules call."""

    def __init__(self, task: ActorTask) -> None:
        self._task = task
        self._limit = task.options.action_timeout
        self._instance = task.definition.instance
        self._before_response = task.definition.hooks.get("on_before_action_response")

    def admit(self, operation: str, make: Callable[[], Coroutine[Any, Any, Any]], reply: asyncio.Future[Any] | None = None) -> None:
        """Put work into the dispatch inbox; it runs as a child of the actor once the task gets to it.

        Raises:
            ActorError: actor.overloaded; what `accepting` raises (TASK-003, TASK-022).
        """
        if self._task.debug:
            self._admit_and_tell(operation, make, reply)
            return
        self._task.accepting()
        self._task.dispatch_inbox.try_send(operation, lambda: Admission(self._task, make, reply))

    def _admit_and_tell(self, operation: str, make: Callable[[], Coroutine[Any, Any, Any]], reply: asyncio.Future[Any] | None) -> None:
        log, outcome = self._task.log, "rejected_lifecycle"
        log.debug("actor dispatch command received", command=operation)
        try:
            self._task.accepting()
            outcome = "enqueue_failed"
            self._task.dispatch_inbox.try_send(operation, lambda: Admission(self._task, make, reply))
            outcome = "enqueued"
        finally:
            log.debug("actor dispatch command handled", command=operation, outcome=outcome)

    async def call_action(self, name: str, args: list[Any], params: Any, request: Request | None) -> Any:
        """A stateless action call on a connection of its own (WIRE-310, TASK-110)."""
        task = self._task
        task.accepting()
        with task.work.region(WorkKind.HTTP):
            async with task.conns.transient(params, request) as conn:
                reply: asyncio.Future[Any] = task.loop.create_future()
                self.admit("dispatch_action", lambda: self._run(name, args, conn, None, reply), reply)
                return await reply

    def start_action(self, name: str, args: list[Any], conn: Conn, reply: asyncio.Future[Any]) -> None:
        """Admit an action of a connection; `reply` gets its outcome, or its time-out (CONN-093, TASK-104).

        Raises:
            ActorError: What `admit` raises.
        """
        self.admit("dispatch_action", lambda: self._run(name, args, conn, None, reply), reply)

    async def run_scheduled(self, name: str, args: list[Any]) -> Any:
        """Run an action for a schedule, without a connection (TASK-110, CONN-002)."""
        reply: asyncio.Future[Any] = self._task.loop.create_future()
        Admission(self._task, lambda: self._run(name, args, None, None, reply), reply).start()
        return await reply

    async def send_queue(self, name: str, send: QueueSend, params: Any, request: Request | None) -> QueueResult:
        """A queue send from outside, on a connection of its own, within `action_timeout` (WIRE-330..337)."""
        timeout = None if send.timeout_ms is None else send.timeout_ms / 1000

        async def publish(context: Context) -> QueueResult:
            declared = self._task.definition.queues.get(name)
            return await send_external(self._task.queue, declared, context, name, send.body, wait=send.wait, timeout=timeout)

        result: QueueResult = await self._limited("dispatch_queue_send", publish, params, request)
        return result

    async def fetch(self, request: Request, params: Any) -> Response:
        """A raw request (RAWHTTP-001..021); without a handler 404 and no connection (CONN-004)."""
        handler = self._task.definition.hooks.get("on_request")
        if handler is None:
            self._task.accepting()
            return Response(status=404)

        async def handle(context: Context) -> Response:
            response = handler(context, request)
            if handler.is_async or inspect.isawaitable(response):
                response = await response
            self._task.state.flush()
            if not isinstance(response, Response):
                raise TypeError("onRequest handler must return a Response")
            return response

        response: Response = await self._limited("dispatch_http", handle, params, request)
        return response

    async def _limited(
        self, operation: str, work: Callable[[Context], Coroutine[Any, Any, Any]], params: Any, request: Request | None
    ) -> Any:
        """Run `work` on a transient connection that stays until it settled, even when the caller's time is up (RAWHTTP-015)."""
        task = self._task
        task.accepting()
        context = Context(task, None, request)

        async def surround() -> Any:
            async with task.conns.transient(params, request) as conn:
                context.conn = conn
                reply: asyncio.Future[Any] = task.loop.create_future()
                self.admit(operation, lambda: _settle(work(context), reply), reply)
                return await reply

        with task.work.region(WorkKind.HTTP):
            surrounding = task.work.adopt(surround())
            done, _ = await asyncio.wait({surrounding}, timeout=self._limit)
        if not done:
            context._expire()  # noqa: SLF001 - the runtime's own
            surrounding.add_done_callback(lambda late: None if late.cancelled() else late.exception())
            raise make_error("actor.action_timed_out")
        context._close()  # noqa: SLF001 - the runtime's own
        if surrounding.cancelled():
            raise make_error("actor.dropped_reply")
        error = surrounding.exception()
        if isinstance(error, Exception):
            self._log_failure(operation, error)
        return surrounding.result()

    async def _run(self, name: str, args: list[Any], conn: Conn | None, request: Request | None, reply: asyncio.Future[Any]) -> None:
        """Execute one action as a child of the actor and settle its reply. Never raises, except when cancelled."""
        task = self._task
        context = Context(task, conn, request)
        region = task.work.region(WorkKind.ACTION)
        started = task.loop.time()
        with region:
            timer = task.loop.call_later(self._limit, self._time_out, context, region, reply)
            try:
                output = await self._execute(name, args, context)
                hook = self._before_response
                if hook is not None and not context.timed_out and task.loop.time() - started <= self._limit:
                    if conn is None or conn.link is not None:
                        # The hook has a limit of its own; over HTTP one limit bounds both (TASK-112).
                        timer.cancel()
                        timer = task.loop.call_later(self._limit, self._time_out, context, region, reply)
                        started = task.loop.time()
                    output = await self._respond(hook, context, name, args, output)
            except asyncio.CancelledError:
                _fail(reply, "actor.dropped_reply")
                raise
            except Exception as error:
                self._log_failure(name, error)
                if not reply.done():
                    reply.set_exception(error)
            else:
                # A synchronous action blocks the timer, too (TASK-105).
                if task.loop.time() - started > self._limit:
                    self._time_out(context, region, reply)
                elif not reply.done():
                    reply.set_result(output)
            finally:
                timer.cancel()
                context._close()  # noqa: SLF001 - the runtime's own

    async def _execute(self, name: str, args: list[Any], context: Context) -> Any:
        spec = self._task.definition.actions.get(name)
        if spec is None:
            raise make_error("actor.action_not_found", name=name)
        if spec.args is not None:
            args = spec.args.check(args)
        try:
            output = spec.function(self._instance, context, *args)
            if spec.function.is_async or inspect.isawaitable(output):
                output = await output
        except Exception:
            self._task.state._flush_turn()  # noqa: SLF001 - a failed action's changes are flushed, but not its errors
            raise
        self._task.state.flush()
        if spec.void:
            output = UNDEFINED
        return output

    async def _respond(self, hook: UserFunction, context: Context, name: str, args: list[Any], output: Any) -> Any:
        """What `on_before_action_response` makes of the output (TASK-111)."""
        output = hook(context, name, args, output)
        if hook.is_async or inspect.isawaitable(output):
            output = await output
        self._task.state.flush()
        return output

    def _time_out(self, context: Context, region: Region, reply: asyncio.Future[Any]) -> None:
        if not reply.done():
            context._expire()  # noqa: SLF001 - the runtime's own
            _fail(reply, "actor.action_timed_out")
            # Nobody awaits a reply any more, so the action no longer keeps the actor awake (TASK-030).
            region.end()

    def _log_failure(self, name: str, error: Exception) -> None:
        """Errors that callers see only masked are logged in full (METRIC-070)."""
        if not isinstance(error, ActorError):
            self._task.log.error("call failed", call=name, exc_info=error)
        elif not is_public(error):
            self._task.log.warning("call failed", call=name, error=str(error), metadata=repr(error.metadata))


def _fail(reply: asyncio.Future[Any], name: str) -> None:
    if not reply.done():
        reply.set_exception(make_error(name))


async def _settle(work: Coroutine[Any, Any, Any], reply: asyncio.Future[Any]) -> None:
    try:
        result = await work
    except asyncio.CancelledError:
        _fail(reply, "actor.dropped_reply")
        raise
    except Exception as error:
        if not reply.done():
            reply.set_exception(error)
    else:
        if not reply.done():
            reply.set_result(result)
