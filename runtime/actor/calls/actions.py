"""Actions: over HTTP, on connections, for schedules; their time limit and `on_before_action_response` (TASK-100..115).

An action and its caller end apart: at the limit the caller gets its error, and the action goes on, because user code is not to be killed
(TASK-103, TASK-104). So the limit is a timer that ends the reply, and no `asyncio.timeout` around the action.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.calls.context import Context
from runtime.actor.calls.ports import ContextOwner
from runtime.actor.calls.replies import fail, log_failure
from runtime.actor.lifecycle.tracked_work import Region, WorkKind
from runtime.errors import is_end, make_error, raise_contained
from runtime.protocol.storable import check_storable
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.actor.calls.admission import Admissions
    from runtime.actor.connections.connection import Conn
    from runtime.declaration.definition import ActorDefinition
    from runtime.declaration.functions import UserFunction
    from runtime.http import Request


class ActingOwner(ContextOwner, Protocol):
    """What actions ask of the actor, beside what their context reaches."""

    @property
    def definition(self) -> ActorDefinition:
        """The actions, the hook and the limit."""
        ...

    def accepting(self) -> None:
        """Return if new work is accepted now; raises actor.starting, actor.stopping or actor.destroying."""


class Actions:
    """The actions of one actor."""

    def __init__(self, owner: ActingOwner, admissions: Admissions) -> None:
        self._owner = owner
        self._admit, self._admit_due = admissions.admit, admissions.admit_due
        definition = owner.definition
        self._actions = definition.actions
        self._limit = definition.options.action_timeout
        self._instance = definition.instance
        self._before_response = definition.hooks.get("on_before_action_response")

    async def call_action(self, name: str, args: list[Any], params: Any, request: Request | None) -> Any:
        """A stateless action call on a connection of its own (WIRE-310, TASK-110)."""
        owner = self._owner
        # Asked before the connect hooks and, by `admit`, after them: the actor may have begun to stop meanwhile.
        owner.accepting()
        with owner.work.region(WorkKind.HTTP):
            async with owner.conns.transient(params, request) as conn:
                reply: asyncio.Future[Any] = owner.loop.create_future()
                self._admit("dispatch_action", lambda: self._run(name, args, conn, reply), reply)
                return await reply

    def start_action(self, name: str, args: list[Any], conn: Conn, reply: asyncio.Future[Any]) -> None:
        """Admit an action of a connection; `reply` gets its outcome, or its time-out (CONN-093, TASK-104).

        Raises:
            ActorError: What `admit` raises.
        """
        self._admit("dispatch_action", lambda: self._run(name, args, conn, reply), reply)

    async def run_detached(self, name: str, args: list[Any]) -> Any:
        """Run an action without a connection, for an inspector (INSP-058).

        Raises:
            ActorError: What `admit` raises.
            Exception: What the action raised.
        """
        reply: asyncio.Future[Any] = self._owner.loop.create_future()
        self._admit("dispatch_action", lambda: self._run(name, args, None, reply), reply)
        return await reply

    async def run_scheduled(self, name: str, args: list[Any]) -> Any:
        """Run an action for a schedule, without a connection (TASK-110, CONN-002); an inbox without room delays it (TASK-003)."""
        reply: asyncio.Future[Any] = self._owner.loop.create_future()
        await self._admit_due("dispatch_action", lambda: self._run(name, args, None, reply), reply)
        return await reply

    async def _run(self, name: str, args: list[Any], conn: Conn | None, reply: asyncio.Future[Any]) -> None:
        """Execute one action as a child of the actor and settle its reply. Never raises, except when cancelled."""
        owner = self._owner
        context = Context(owner, conn)
        region = owner.work.region(WorkKind.ACTION)
        started = owner.loop.time()
        with region:
            # A timer and not a task that waits: an action over its limit is the exception, and a timer costs next to nothing otherwise.
            timer = owner.loop.call_later(self._limit, self._time_out, context, region, reply)
            try:
                output = await self._execute(name, args, context)
                hook = self._before_response
                # The clock is asked as well: after a synchronous action the timer has had no turn yet (TASK-105, TASK-111).
                if hook is not None and not context.timed_out and owner.loop.time() - started <= self._limit:
                    if conn is None or conn.link is not None:
                        # The hook has a limit of its own; over HTTP one limit bounds both (TASK-112).
                        timer.cancel()
                        timer = owner.loop.call_later(self._limit, self._time_out, context, region, reply)
                        started = owner.loop.time()
                    output = await self._respond(hook, context, name, args, output)
                if conn is not None:
                    # A failure of the action and not of its answer; nobody gets the result of a schedule's.
                    check_storable(output)
            except asyncio.CancelledError:
                fail(reply, "actor.dropped_reply")
                raise
            except Exception as error:
                log_failure(owner.log, name, error)
                if not reply.done():
                    reply.set_exception(error)
            else:
                # A synchronous action blocks the timer, too (TASK-105).
                if owner.loop.time() - started > self._limit:
                    self._time_out(context, region, reply)
                elif not reply.done():
                    reply.set_result(output)
            finally:
                timer.cancel()
                context._close()  # noqa: SLF001 - the runtime's own

    async def _execute(self, name: str, args: list[Any], context: Context) -> Any:
        spec = self._actions.get(name)
        if spec is None:
            raise make_error("actor.action_not_found", name=name)
        # Before the action and not at the door: an invalid list fails this call, after its connect hooks ran (TASK-115).
        if spec.args is not None:
            args = spec.args.check(args)
        function = spec.function
        try:
            output = function(self._instance, context, *args)
            if function.is_async or inspect.isawaitable(output):
                output = await output
        except BaseException as error:
            if not is_end(error):
                self._owner.state.flush_turn()  # a failed action fails with its own error, not with one of `on_state_change`
            raise_contained(error)
        # Here and not at the end of the turn: what `on_state_change` raises is the outcome of the action (RUN-125).
        self._owner.state.flush()
        # Whatever it returned: annotated `-> None` it may still return what the last call in it gave.
        if spec.void:
            output = UNDEFINED
        return output

    async def _respond(self, hook: UserFunction, context: Context, name: str, args: list[Any], output: Any) -> Any:
        """What `on_before_action_response` makes of the output (TASK-111)."""
        try:
            output = hook(context, name, args, output)
            if hook.is_async or inspect.isawaitable(output):
                output = await output
        except BaseException as error:
            raise_contained(error)
        self._owner.state.flush()
        return output

    def _time_out(self, context: Context, region: Region, reply: asyncio.Future[Any]) -> None:
        if not reply.done():
            context._expire()  # noqa: SLF001 - the runtime's own
            fail(reply, "actor.action_timed_out")
            # Nobody awaits a reply any more, so the action no longer keeps the actor awake (TASK-030).
            region.end()
