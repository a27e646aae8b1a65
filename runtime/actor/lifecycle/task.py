"""`ActorTask`: one live generation of one actor.

Why a drain function and no task that awaits its inboxes: everything an inbox item causes is either instant or becomes a child task, so
one callback per turn of the loop can serve all inboxes in the order of TASK-010 without a wake-up in between. Commands that take time
(start, stop) run as tasks owned here.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any, cast

from runtime.actor.calls.context import Context
from runtime.actor.calls.dispatch import Admission, Calls
from runtime.actor.calls.limits import call_limited, within
from runtime.actor.connections.table import ConnectionTable
from runtime.actor.database.actor_database import ActorDatabase
from runtime.actor.kv import KeyValue
from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.lifecycle.activity import Activity
from runtime.actor.lifecycle.idle import IdleTimer
from runtime.actor.lifecycle.inbox import Inbox
from runtime.actor.lifecycle.start import run_start
from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.lifecycle.stop import run_stop
from runtime.actor.lifecycle.work import WorkKind, WorkTracker
from runtime.actor.ports import StopKind, StopReason
from runtime.actor.queue.message_queue import MessageQueue
from runtime.actor.run_handler import RunSupervisor
from runtime.actor.schedule.book import ScheduleBook
from runtime.actor.state.actor_state import ActorState
from runtime.actor.state.saving import StateSaver
from runtime.errors import make_error
from runtime.logs import Allowance, LimitedLog, actor_logger, debugging, error_fields
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.actor.database.provider import DatabaseProvider
    from runtime.actor.observer import Observer, Part
    from runtime.actor.ports import ActorIdentity, HostPort
    from runtime.declaration.definition import ActorDefinition
    from runtime.http import Request, Response
    from runtime.protocol.messages import QueueResult, QueueSend
    from runtime.storage.actor import ActorStorage
    from runtime.storage.base import Op

_REJECTIONS = Allowance()
_PARKED = Allowance()
_DESTROYED = (LifecycleState.DESTROY_GRACE, LifecycleState.DESTROYING, LifecycleState.TERMINATED)
_ACCEPTING = (LifecycleState.STARTED, LifecycleState.SLEEP_GRACE)


class ActorTask:
    """One generation: started once, stopped once. Its host calls `start`, `stop`, `fire_alarm` and the calls.

    Attributes:
        on_ended: Called with an error when the generation cannot go on; it lives until the stop that answers (RUN-011).
        observer: Who watches this generation, if anybody does.
    """

    def __init__(self, definition: ActorDefinition, identity: ActorIdentity, host: HostPort, storage: ActorStorage) -> None:
        self.loop = asyncio.get_running_loop()
        self.definition = definition
        self.identity = identity
        self.host = host
        self.storage = storage
        self.options = options = definition.options
        self.log = actor_logger(identity)
        self.metrics = host.metrics.of(definition.name)
        self.on_ended: Callable[[BaseException | None], None] = lambda _: None
        self.state_name = LifecycleState.LOADING
        self.abort = AbortSignal()
        self.sleep_requested = False
        self.destroy_requested = False
        self.vars: Any = None
        self.workflow: Any = None
        self.observer: Observer | None = None
        self.debug = debugging(self.log)
        self._overloads = LimitedLog(self.log, "actor inbox overloaded")
        self._rejections = LimitedLog(self.log, "work sent to stopping actor instance", _REJECTIONS)
        self._parked = LimitedLog(self.log, "actor dispatch may be parked behind the current instance", _PARKED)
        self._drain_due = False
        self._stopping: asyncio.Task[None] | None = None
        self._stop_reason: StopReason | None = None
        self._activity_waiters: set[asyncio.Future[None]] = set()
        self.lifecycle_inbox: Inbox[Callable[[], None]] = self._inbox("lifecycle_inbox", options.lifecycle_command_inbox_capacity)
        self.dispatch_inbox: Inbox[Admission] = self._inbox("dispatch_inbox", options.dispatch_command_inbox_capacity)
        self.events: Inbox[tuple[str, Callable[[], None]]] = self._inbox("lifecycle_event_inbox", options.lifecycle_event_inbox_capacity)
        self.activity = Activity(self._on_activity)
        self.work = WorkTracker(self.activity, self.metrics, self.log, debug=self.debug)
        self.saver = StateSaver(self)
        self.state = ActorState(self)
        self.saver.add_source(self.state)
        self.idle = IdleTimer(self)
        self.run = RunSupervisor(self)
        self.calls = Calls(self)
        self.database = ActorDatabase(identity.actor_id, storage, cast("DatabaseProvider | None", definition.database), self.log, self.fail)
        self.kv = KeyValue(self)
        self.queue = MessageQueue(self)
        self.schedules = ScheduleBook(self)
        self.conns = ConnectionTable(self)

    def _inbox(self, channel: str, capacity: int) -> Inbox[Any]:
        return Inbox(channel, capacity, self._wake_up, self._overloaded)

    # Life.

    async def start(self) -> None:
        """Run the start order; ready when this returns.

        Raises:
            Exception: What made the start fail; the generation is over and has left nothing running (START-060).
        """
        if self.debug:
            self.log.debug("actor lifecycle command received", command="start")
        try:
            await run_start(self, self._become_ready)
        except BaseException as error:
            self.log.error("actor start failed", **error_fields(error))
            await self._abandon()
            if isinstance(error, asyncio.CancelledError) and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                # A hook awaited something that was cancelled: that is its failure, not the end of our caller.
                raise make_error("actor.panicked", operation="startup hook") from error
            raise
        if self.debug:
            self.log.debug("actor lifecycle command replied", command="start", outcome="ok", delivered=True)

    def _become_ready(self) -> None:
        self.enter(LifecycleState.STARTED)
        self.metrics.actor_started(self)
        self.conns.resume()
        self.schedules.resume()
        self.activity.changed()

    async def _abandon(self) -> None:
        """Tear a failed start down: no hook runs, no state is saved."""
        self.enter(LifecycleState.TERMINATED)
        self.abort.fire()
        self.schedules.suspend()
        self.saver.stop_timer()
        self.run.cancel()
        await self.run.join()
        self.work.cancel_all()
        self.work.close()
        await self.work.drained()
        await self.queue.drain()
        await self.database.close()
        await self.conns.end_generation()

    async def stop(self, reason: StopReason) -> None:
        """Stop the generation; returns when it is over (STOP-001). A repetition waits for the stop under way (TASK-038).

        Raises:
            ActorError: actor.overloaded; actor.not_ready while loading.
            Exception: The final write failed.
        """
        if self.debug:
            self.log.debug("actor lifecycle command received", command="stop", reason=str(reason))
        if self.state_name is LifecycleState.LOADING:
            raise make_error("actor.not_ready")
        if self.state_name is LifecycleState.TERMINATED:
            return
        started: asyncio.Future[None] = self.loop.create_future()
        self.lifecycle_inbox.try_send("stop_actor", lambda: lambda: self._begin_stop(reason, started))
        await started
        assert self._stopping is not None
        await asyncio.shield(self._stopping)
        if self.debug:
            self.log.debug("actor lifecycle command replied", command="stop", outcome="ok", delivered=True)

    def _begin_stop(self, reason: StopReason, started: asyncio.Future[None]) -> None:
        if self._stopping is None:
            # Work that was accepted before is handed to user code before grace begins (TASK-021).
            self._start_dispatch()
            self._stop_reason = reason
            self._stopping = self.loop.create_task(self._stop(reason))
        elif reason is not self._stop_reason:
            self.log.info("stop command ignored: another stop is under way", reason=str(reason), current=str(self._stop_reason))
        if not started.done():
            started.set_result(None)

    async def _stop(self, reason: StopReason) -> None:
        try:
            await run_stop(self, reason)
        finally:
            self.state_name = LifecycleState.TERMINATED
            self.lifecycle_inbox.close("actor.not_ready")
            self.events.close("actor.not_configured")
            self.refuse_dispatch()
            self.metrics.actor_stopped(self)

    def fire_alarm(self) -> None:
        """The control plane's alarm is due; an overload is only a warning, the schedule fires later."""
        if self.debug:
            self.log.debug("actor lifecycle command received", command="fire_alarm")
        try:
            self.lifecycle_inbox.try_send("fire_alarm", lambda: self.schedules.fire_due)
        except Exception as error:
            self.log.warning("alarm not delivered", error=str(error))

    def enter(self, state: LifecycleState) -> None:
        """Change the lifecycle state."""
        old, self.state_name = self.state_name, state
        self.log.info("actor lifecycle transition", old=str(old), new=str(state))

    @property
    def is_started(self) -> bool:
        """Ready and not stopping."""
        return self.state_name is LifecycleState.STARTED and self._stopping is None

    @property
    def grace_period(self) -> float:
        """Seconds of the graceful window (SLEEP-060, SLEEP-061)."""
        override = self.host.options.grace_period_override
        return self.options.grace_period if override is None else min(self.options.grace_period, override)

    def request_sleep(self) -> None:
        """See `Context.sleep`."""
        if self.state_name in (*_DESTROYED, LifecycleState.SLEEP_FINALIZE):
            raise make_error("actor.stopping")
        if self.sleep_requested or self.destroy_requested or self._stopping is not None:
            return
        self._flush_quietly()
        self.sleep_requested = True
        with self.work.region(WorkKind.SLEEP_FINALIZE):
            self.host.request_sleep(self.identity.actor_id, self.identity.generation)

    def request_destroy(self) -> None:
        """See `Context.destroy`."""
        if self.destroy_requested or self.state_name in _DESTROYED:
            raise make_error("actor.stopping")
        self._flush_quietly()
        self.destroy_requested = True
        with self.work.region(WorkKind.DESTROY_REQUEST):
            self.host.request_destroy(self.identity.actor_id, self.identity.generation)

    def _flush_quietly(self) -> None:
        try:
            self.state.flush()
        except Exception as error:
            self.log.error("onStateChange failed", error=repr(error))

    # Admission.

    def accepting(self) -> None:
        """Return if new work is accepted now.

        Raises:
            ActorError: actor.starting, actor.stopping or actor.destroying (TASK-022).
        """
        state = self.state_name
        if self.destroy_requested and state is not LifecycleState.TERMINATED:
            self._rejections.report(state=str(state))
            raise make_error("actor.destroying")
        if state in _ACCEPTING:
            return
        if state is LifecycleState.LOADING:
            self._parked.report(state=str(state))
            raise make_error("actor.starting")
        self._rejections.report(state=str(state))
        if state in (LifecycleState.SLEEP_FINALIZE, LifecycleState.DESTROY_GRACE):
            raise make_error("actor.stopping")
        # A generation that went to sleep is over, its actor is not: the caller may try the next one.
        asleep = self._stop_reason is not None and self._stop_reason.kind is StopKind.SLEEP
        raise make_error("actor.stopping" if asleep else "actor.destroying")

    def refuse_dispatch(self) -> None:
        """Fail what is still in the dispatch inbox and refuse the rest (SLEEP-072)."""
        destroy = self._stop_reason is not None and self._stop_reason.kind is StopKind.DESTROY
        name = "actor.destroying" if destroy else "actor.stopping"
        for admission in self.dispatch_inbox.close(name):
            admission.fail(make_error(name))

    async def call_action(self, name: str, args: list[Any], params: Any, request: Request | None = None) -> Any:
        """See `Calls.call_action`."""
        return await self.calls.call_action(name, args, params, request)

    async def send_queue(self, name: str, send: QueueSend, params: Any, request: Request | None = None) -> QueueResult:
        """See `Calls.send_queue`."""
        return await self.calls.send_queue(name, send, params, request)

    async def fetch(self, request: Request, params: Any) -> Response:
        """See `Calls.fetch`."""
        return await self.calls.fetch(request, params)

    async def open_socket(self, socket: ActorSocket) -> None:
        """Open a client WebSocket through the dispatch inbox; returns when its setup has ended either way."""
        reply: asyncio.Future[None] = self.loop.create_future()

        async def run() -> None:
            try:
                await self.conns.open_socket(socket)
            finally:
                if not reply.done():
                    reply.set_result(None)

        self.calls.admit("dispatch_websocket_open", run, reply)
        await reply

    # Serving the inboxes.

    def _wake_up(self) -> None:
        if not self._drain_due:
            self._drain_due = True
            self.loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Serve everything that is waiting, lifecycle commands first (TASK-010, TASK-011)."""
        self._drain_due = False
        try:
            self._serve()
        except Exception as error:
            # The generation lives on for the stop that follows, so what still waits is served too.
            self._wake_up()
            self.log.error("actor loop failed", **error_fields(error))
            self.on_ended(error)

    def _serve(self) -> None:
        while (command := self.lifecycle_inbox.take()) is not None:
            command()
        while (item := self.events.take()) is not None:
            event, apply = item
            apply()
            if self.debug:
                self.log.debug("actor event drained", lifecycle_event=event, operation=event)
                self.log.debug("actor lifecycle event drained", lifecycle_event=event)
        self._start_dispatch()

    def send_event(self, event: str, apply: Callable[[], None]) -> None:
        """Have `apply` called when the event inbox is served.

        Raises:
            ActorError: actor.overloaded, or what the inbox was closed with.
        """
        self.events.try_send(event, lambda: (event, apply))
        if self.debug:
            # `event` is what structlog calls the text of a record (METRIC-053).
            self.log.debug("actor event enqueued", lifecycle_event=event, operation=event)

    def _start_dispatch(self) -> None:
        while (admission := self.dispatch_inbox.take()) is not None:
            admission.start()

    def _overloaded(self, channel: str, operation: str, capacity: int) -> None:
        self.metrics.overloaded(channel, operation)
        self._overloads.report(channel=channel, operation=operation, capacity=capacity)

    def _on_activity(self) -> None:
        self.idle.evaluate()
        for waiter in self._activity_waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_activity(self, deadline: float) -> bool:
        """Wait for the next activity; False when the loop time `deadline` came first."""
        remaining = deadline - self.loop.time()
        if remaining <= 0:
            return False
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._activity_waiters.add(waiter)
        timer = self.loop.call_later(remaining, lambda: waiter.done() or waiter.cancel())
        try:
            await asyncio.wait({waiter})
        finally:
            timer.cancel()
            self._activity_waiters.discard(waiter)
        return not waiter.cancelled()

    def fail(self, error: BaseException) -> None:
        """The database cannot go on: the generation ends (DB-316)."""
        self.log.error("actor database failed", error=repr(error))
        self.on_ended(error)

    # What the parts use.

    def changed(self, part: Part) -> None:
        """Tell whoever watches that a part is different now."""
        if self.observer is not None:
            self.observer.changed(part)

    def context(self, conn: Conn | None = None, request: Request | None = None) -> Context:
        """A fresh context: one invocation."""
        return Context(self, conn, request)

    async def commit(self, ops: Sequence[Op]) -> None:
        """One durable, atomic batch in the actor's scope, after the batches before it.

        Raises:
            ActorError: actor.stopping when the generation is over: late code must not reach the next one (SLEEP-055).
        """
        if self.state_name is LifecycleState.TERMINATED:
            raise make_error("actor.stopping")
        await self.storage.commit(ops)

    async def call_hook(self, hook: str, context: object, *args: Any, timeout: float | None, label: str) -> Any:
        """Run a hook if the definition has it, then flush state; `timeout` in seconds.

        Raises:
            ActorError: actor.callback_timed_out (START-068).
            Exception: What the hook raised.
        """
        function = self.definition.hooks.get(hook)
        if function is None:
            return UNDEFINED
        result = await call_limited(self.work, function, (context, *args), timeout, label)
        self._flush_quietly()
        return result

    async def limited(self, work: Callable[[], Coroutine[Any, Any, Any]], timeout: float, label: str) -> Any:
        """Run runtime work within a hook's limit."""
        return await within(self.work, work(), timeout, label)

    def static_vars(self) -> Any:
        """A deep copy of the declared vars; None without any (RUN-200)."""
        declared = self.definition.vars
        return None if declared is UNDEFINED else copy.deepcopy(declared)
