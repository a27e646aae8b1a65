"""`Context`: what user code gets, one per invocation of an action, hook or handler.

Why one per invocation and not one per actor: connection, request, abort signal and time-out belong to the call, and a message taken from
the queue is held by whoever took it (QUEUE-053). One is made for every action, so it has slots, and makes what few calls use at first use.
What the runtime alone may do with it is private, because everything public here is an interface of user code.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from typing import TYPE_CHECKING, Any

from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.queue.user_api import QueueApi
from runtime.actor.schedule.user_api import CronApi, ScheduleApi
from runtime.errors import ActorError, awaited
from runtime.logs import unlimited

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Mapping

    from client import Client
    from runtime.actor.calls.ports import ContextOwner, RunWakes
    from runtime.actor.connections.connection import Conn
    from runtime.actor.kv import KeyValue
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.http import Request


class RunControl:
    """`c.run`: control over the run handler (RUN-012)."""

    __slots__ = ("_run",)

    def __init__(self, run: RunWakes) -> None:
        self._run = run

    async def set_wake_at(self, epoch_ms: int | None) -> None:
        """Have the run handler active at that time (epoch milliseconds), waking the actor if need be; None clears.

        Raises:
            ActorError: actor.run_handler_unavailable without a run handler.
            ValueError: The time is negative or not whole.
        """
        await self._run.set_wake_at(epoch_ms)


class Context:
    """The actor as one invocation sees it.

    Attributes:
        conn: The calling connection; None where there is none (CONN-002).
        request: The request of the connection hooks and raw handlers; None elsewhere (CONN-014).
        actor_id, name, key, region, generation: Who the actor is.
        timed_out: Whether nobody waits for this call any more: its time is up (TASK-104), or the client of the raw request has left.
        log: A structlog logger bound to the actor.
    """

    __slots__ = ("_queue", "_signal", "_task", "conn", "request", "timed_out")

    def __init__(self, task: ContextOwner, conn: Conn | None = None, request: Request | None = None) -> None:
        self._task = task
        self.conn: Any = conn  # typed `Conn | None` every action would have to narrow it first
        self.request = request
        self._queue: QueueApi | None = None
        self._signal: AbortSignal | None = None
        self.timed_out = False

    @property
    def actor_id(self) -> str:
        """The actor's id."""
        return self._task.identity.actor_id

    @property
    def name(self) -> str:
        """The registered name."""
        return self._task.identity.name

    @property
    def key(self) -> tuple[str, ...]:
        """The key's elements; empty for the empty key and without one."""
        return self._task.identity.key or ()

    @property
    def region(self) -> str:
        """The datacenter."""
        return self._task.identity.region

    @property
    def generation(self) -> int:
        """The number of this life of the actor, from 1."""
        return self._task.identity.generation

    @property
    def log(self) -> Any:
        """The actor's logger."""
        return unlimited(self._task.log)

    @property
    def state(self) -> Any:
        """The tracked state; raises actor.state_not_enabled when the actor has none (RUN-100, RUN-210)."""
        return self._task.state.value

    @state.setter
    def state(self, value: Any) -> None:
        self._task.state.replace(value)

    @property
    def vars(self) -> Any:
        """Values of this generation only, never saved (RUN-200); None without any."""
        return self._task.vars

    @vars.setter  # noqa: A003 - the name of the public interface
    def vars(self, value: Any) -> None:
        self._task.vars = value

    @property
    def db(self) -> Any:
        """The actor's SQLite database; raises actor.database_not_configured without a provider (RUN-212)."""
        return self._task.database.client

    @property
    def kv(self) -> KeyValue:
        """The key-value store."""
        return self._task.kv

    @property
    def queue(self) -> QueueApi:
        """The durable queue, with this invocation as its context (QUEUE-053)."""
        # Kept, because each object is a context of its own to the queue: asked for twice it must be the same (QUEUE-053).
        if self._queue is None:
            self._queue = QueueApi(self._task.queue, self._task.abort)
        return self._queue

    @property
    def schedule(self) -> ScheduleApi:
        """One-shot schedules."""
        # Made anew each time, unlike the queue's: these hold nothing between calls.
        return ScheduleApi(self._task.schedules)

    @property
    def cron(self) -> CronApi:
        """Recurring schedules."""
        return CronApi(self._task.schedules)

    @property
    def run(self) -> RunControl:
        """Control over the run handler."""
        return RunControl(self._task.run)

    @property
    def conns(self) -> Mapping[str, Conn]:
        """The live connections by id (CONN-060)."""
        return self._task.conns.view

    @property
    def abort_signal(self) -> AbortSignal:
        """Fires when grace begins, and for a call also when its time is up or, of a raw request, its client leaves (SLEEP-030, TASK-104,
        RAWHTTP-019).
        """
        if self._signal is None:
            # A signal of its own, because it fires for this call's time-out, too; the actor's is for all of its calls.
            self._signal = self._task.abort.child()
            if self.timed_out:
                self._signal.fire()
        return self._signal

    @property
    def aborted(self) -> bool:
        """Whether the actor is stopping or this action's time is up."""
        return self._task.abort.aborted or self.timed_out

    def broadcast(self, event: str, *args: Any) -> None:
        """Send an event to every subscribed connection (EVENT-001)."""
        self._task.conns.broadcast(event, args)

    def sleep(self) -> None:
        """Ask to be put to sleep; returns at once, a repetition does nothing (SLEEP-020, SLEEP-021).

        Raises:
            ActorError: actor.stopping during a destroy and after grace (SLEEP-022, SLEEP-023).
        """
        self._task.request_sleep()

    def destroy(self) -> None:
        """Ask to be destroyed; returns at once (DESTROY-002).

        Raises:
            ActorError: actor.stopping the second time (DESTROY-003).
        """
        self._task.request_destroy()

    def keep_awake(self, work: Awaitable[Any]) -> Awaitable[Any]:
        """Start `work` and stay awake until it settled; the result has the same outcome (SLEEP-080)."""
        return self._background(WorkKind.KEEP_AWAKE, work)

    def wait_until(self, work: Awaitable[Any]) -> None:
        """Start `work`; it holds grace open, not idle sleep. A failure is logged (SLEEP-081, TASK-035)."""
        self._background(WorkKind.WAIT_UNTIL, work)

    def _background(self, kind: WorkKind, work: Awaitable[Any]) -> asyncio.Future[Any]:
        child = self._task.work.spawn(kind, awaited(work))
        if child is not None:
            return child
        if inspect.iscoroutine(work):
            # One that is never awaited would warn when it is collected, long after its cause.
            work.close()
        # Too late for new work (TASK-033): whoever awaits the result must not fail for it.
        refused: asyncio.Future[Any] = self._task.loop.create_future()
        refused.set_result(None)
        return refused

    async def save_state(self, *, immediate: bool = False, max_wait: float | None = None) -> None:
        """Request a throttled save, one within `max_wait` seconds, or wait for a durable one (RUN-141..147).

        An immediate one inside a transaction is made by the COMMIT of that, and not waited for (DB-029).

        Raises:
            ActorError: actor.state_transaction_conflict: an immediate save inside a transaction that includes state (DB-184).
            Exception: An immediate save could not be written.
        """
        task = self._task
        task.state.flush()
        # No event, because its time in the inbox would be added to the wait; but refused as one would be while there is no room.
        if immediate:
            task.events.check("save_requested")
            task.state_transactions.check_saving()
            join = task.joinable()
            await (task.saver.save_now() if join is None else task.saver.save_with(join))
        else:
            # Refused for want of room: that was logged, and the state's own save comes anyway (RUN-149).
            with contextlib.suppress(ActorError):
                task.send_event("save_requested", lambda: task.saver.request(max_wait))

    def client(self) -> Client:
        """A client to the actor's own namespace, for calls to other actors."""
        return self._task.host.client(self._task.identity.actor_id)

    def set_prevent_sleep(self, prevent: bool) -> None:
        """Does nothing; deprecated (SLEEP-086)."""
        warnings.warn("set_prevent_sleep does nothing: use keep_awake", DeprecationWarning, stacklevel=2)

    @property
    def prevent_sleep(self) -> bool:
        """Always False; deprecated (SLEEP-086)."""
        warnings.warn("prevent_sleep is always False: use keep_awake", DeprecationWarning, stacklevel=2)
        return False

    def _expire(self) -> None:
        self.timed_out = True
        if self._signal is not None:
            self._signal.fire()

    def _close(self) -> None:
        # The actor's signal outlives the call, and would keep every one that a call left a listener on.
        if self._signal is not None:
            self._signal.unlink()
