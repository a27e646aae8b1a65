"""`ActorTask`: one live generation of one actor.

It puts the parts together and lives their life: start, stop, and what every part may ask. Each part names what it uses of this class in a
Protocol beside it, so nothing but hosts and tests imports this file.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from runtime.actor.calls.actions import Actions
from runtime.actor.calls.admission import Admissions
from runtime.actor.calls.context import Context
from runtime.actor.calls.queue_sends import QueueSends
from runtime.actor.calls.raw_requests import RawRequests
from runtime.actor.calls.time_limit import LimitedCalls
from runtime.actor.connections.table import ConnectionTable
from runtime.actor.database.actor_database import ActorDatabase
from runtime.actor.database.actor_rows import ActorRows
from runtime.actor.hook_timeouts import call_limited
from runtime.actor.kv import KeyValue
from runtime.actor.lifecycle import stop_requests as intents
from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.lifecycle.activity import Activity
from runtime.actor.lifecycle.idle import IdleTimer
from runtime.actor.lifecycle.refusals import ACCEPTING, Refusals
from runtime.actor.lifecycle.serving import Inboxes
from runtime.actor.lifecycle.start import run_start
from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.lifecycle.stop import abandon, run_stop
from runtime.actor.lifecycle.tracked_work import WorkTracker
from runtime.actor.queue.message_queue import MessageQueue
from runtime.actor.run_handler import RunSupervisor
from runtime.actor.schedule.book import ScheduleBook
from runtime.actor.state.actor_state import ActorState
from runtime.actor.state.saving import StateSaver
from runtime.actor.state.transactions import StateTransactions
from runtime.errors import make_error
from runtime.logs import FAULTS, Allowance, LimitedLog, LimitedLogger, actor_logger, debugging, error_fields
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.actor.database.provider import DatabaseProvider
    from runtime.actor.joining import Join
    from runtime.actor.observer import Observer, Part
    from runtime.actor.ports import ActorIdentity, HostPort, StopReason
    from runtime.declaration.definition import ActorDefinition
    from runtime.http import Request
    from runtime.storage.actor import ActorStorage
    from runtime.storage.base import Op

# Of the process: each attempt is a generation of its own, and whoever asks for an actor that cannot start brings about several.
_START_FAILURES = Allowance(FAULTS)


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
        self.options = options = definition.options
        self.log = LimitedLogger(actor_logger(identity))
        self.metrics = host.metrics.of(definition.name)
        self.on_ended: Callable[[BaseException | None], None] = lambda _: None
        self.state_name = LifecycleState.LOADING
        self.abort = AbortSignal()
        self.sleep_requested = False
        self.destroy_requested = False
        self.vars: Any = None
        self.workflow: object | None = None
        self.observer: Observer | None = None
        # Asked once: a debug record that nobody reads would cost every call of the actor a bound record.
        self.debug = debugging(self.log)
        self.stop_reason: StopReason | None = None
        self._stopping: asyncio.Task[None] | None = None
        # From here on order matters: each part takes what it needs of those before it when it is built.
        self._refusals = Refusals(self)
        # A lambda, because hosts set `on_ended` after this.
        self._inboxes = Inboxes(options, self.metrics, self.log, lambda error: self.on_ended(error), debug=self.debug)
        self.lifecycle_inbox, self.dispatch_inbox, self.events = self._inboxes.lifecycle, self._inboxes.dispatch, self._inboxes.events
        self.activity = Activity(lambda: self.idle.evaluate())
        self.work = WorkTracker(self.activity, self.metrics, self.log, debug=self.debug)
        self.saver = StateSaver(self)
        self.state = ActorState(self)
        self.saver.add_source(self.state)
        self.idle: IdleTimer = IdleTimer(self)
        self.run = RunSupervisor(self)
        self.admissions = Admissions(self)
        self.actions = Actions(self, self.admissions)
        transient = LimitedCalls(self, self.admissions)
        self.queue_sends = QueueSends(self, transient, self.admissions)
        self.raw_requests = RawRequests(self, transient)
        # A lambda, because connections come later.
        self.state_transactions = StateTransactions(self.state, self.saver, lambda: (self.state.copy(), self.conns.copy_states()))
        provider = cast("DatabaseProvider | None", definition.database)
        self.database = ActorDatabase(identity.actor_id, storage, provider, self.log, self.fail, self.state_transactions)
        self.storage = ActorRows(storage, self.database, self.log)
        self.kv = KeyValue(self)
        self.queue = MessageQueue(self)
        self.schedules = ScheduleBook(self)
        self.conns: ConnectionTable = ConnectionTable(self)

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
            LimitedLog(self.log, "actor start failed", _START_FAILURES, level="error").report(**error_fields(error))
            # Also for a cancellation: whoever gives a start up must not leave a half-built generation running.
            await abandon(self)
            if isinstance(error, asyncio.CancelledError) and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                # A hook awaited something that was cancelled: that is its failure, not the end of our caller.
                raise make_error("actor.panicked", operation="startup hook") from error
            raise
        if self.debug:
            self.log.debug("actor lifecycle command replied", command="start", outcome="ok", delivered=True)

    def _become_ready(self) -> None:
        self.enter(LifecycleState.STARTED)
        # Connections come before schedules: what falls due now may send to clients, which must be attached by then.
        self.metrics.actor_started(self)
        self.conns.resume()
        self.schedules.resume()
        self.activity.changed()

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
        # Through the inbox: a stop is one command among others and takes its turn with them (TASK-010).
        self.lifecycle_inbox.try_send("stop_actor", lambda: lambda: self._begin_stop(reason, started))
        await started
        assert self._stopping is not None
        # Shielded: a host that gives up waiting must not interrupt the final save.
        await asyncio.shield(self._stopping)
        if self.debug:
            self.log.debug("actor lifecycle command replied", command="stop", outcome="ok", delivered=True)

    def _begin_stop(self, reason: StopReason, started: asyncio.Future[None]) -> None:
        if self._stopping is None:
            # Work that was accepted before is handed to user code before grace begins (TASK-021).
            self._inboxes.start_dispatch()
            self.stop_reason = reason
            self._stopping = self.loop.create_task(self._stop(reason))
        elif reason is not self.stop_reason:
            self.log.info("stop command ignored: another stop is under way", reason=str(reason), current=str(self.stop_reason))
        if not started.done():
            started.set_result(None)

    async def _stop(self, reason: StopReason) -> None:
        try:
            await run_stop(self, reason)
        finally:
            # Whatever failed: a generation that is half stopped takes no work, and its inboxes hold nobody up.
            self.state_name = LifecycleState.TERMINATED
            self._inboxes.close()
            self.refuse_dispatch()
            self.metrics.actor_stopped(self)

    def fire_alarm(self) -> None:
        """The control plane's alarm is due; an overload is only a warning, the schedule fires later."""
        if self.debug:
            self.log.debug("actor lifecycle command received", command="fire_alarm")
        try:
            self.lifecycle_inbox.try_send("fire_alarm", lambda: self.schedules.fire_due)
        except Exception as error:
            # An awake actor has a timer of its own (TASK-243), so nothing is lost.
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
    def answers_probes(self) -> bool:
        """Whether raw sockets answer the acknowledgement probe of tests (WIRE-632)."""
        return self.host.options.answers_probes

    @property
    def grace_period(self) -> float:
        """Seconds of the graceful window (SLEEP-060, SLEEP-061)."""
        # A host may shorten grace, to end in time itself; it never grants more than the actor asked for.
        override = self.host.options.grace_period_override
        return self.options.grace_period if override is None else min(self.options.grace_period, override)

    def request_sleep(self) -> None:
        """See `intents.request_sleep`."""
        intents.request_sleep(self)

    def request_destroy(self) -> None:
        """See `intents.request_destroy`."""
        intents.request_destroy(self)

    # Admission.

    def accepting(self) -> None:
        """Return if new work is accepted now.

        Raises:
            ActorError: actor.starting, actor.stopping or actor.destroying (TASK-022).
        """
        # Asked at least once per call, so the usual answer costs two look-ups, and what to say is somebody else's.
        if self.destroy_requested or self.state_name not in ACCEPTING:
            raise self._refusals.error()

    def refuse_dispatch(self) -> None:
        """Fail what is still in the dispatch inbox and refuse the rest (SLEEP-072)."""
        self._inboxes.refuse_dispatch(self._refusals.of_admitted())

    async def open_socket(self, socket: ActorSocket) -> None:
        """Open a client WebSocket through the dispatch inbox; returns when its setup has ended either way."""
        reply: asyncio.Future[None] = self.loop.create_future()

        async def run() -> None:
            try:
                await self.conns.open_socket(socket)
            finally:
                if not reply.done():
                    reply.set_result(None)

        # As any other call: a burst of sockets is bounded by the inbox and refused with its error (TASK-004).
        self.admissions.admit("dispatch_websocket_open", run, reply)
        await reply

    def send_event(self, event: str, apply: Callable[[], None]) -> None:
        """See `Inboxes.send_event`."""
        self._inboxes.send_event(event, apply)

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
        self._check_alive()
        await self.storage.commit(ops)

    async def commit_collected(self, collect: Callable[[], Sequence[Op]]) -> None:
        """As `commit`; the rows are asked for when nothing is in their way any more."""
        self._check_alive()
        await self.storage.commit_collected(collect)

    def joinable(self) -> Join | None:
        """The transaction that the caller has to be part of, None nearly always (DB-029)."""
        return self.database.joinable()

    def _check_alive(self) -> None:
        # Refused here, because a storage in this process need not look at generations.
        if self.state_name is LifecycleState.TERMINATED:
            raise make_error("actor.stopping")

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
        self.state.flush_quietly()
        return result
