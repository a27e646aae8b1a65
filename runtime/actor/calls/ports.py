"""What this room asks of the actor whose user code it calls.

Why Protocols and not the actor itself: the actor is built of this room's parts, and user code gets a `Context` that reaches nearly all of
it. Typed on the actor, everything would know everything. A part that needs more than this says so in its own file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from client import Client
    from runtime.actor.connections.connection import Conn
    from runtime.actor.joining import Join
    from runtime.actor.kv import KeyValue
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.lifecycle.inbox import Inbox
    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.ports import ActorIdentity
    from runtime.actor.queue.message_queue import MessageQueue
    from runtime.actor.schedule.book import ScheduleBook
    from runtime.actor.state.actor_state import ActorState
    from runtime.http import Request


class Connections(Protocol):
    """The connections of the actor."""

    @property
    def view(self) -> Mapping[str, Conn]:
        """The live ones by id."""
        ...

    def broadcast(self, name: str, args: Sequence[Any]) -> None:
        """Send an event to every subscribed one."""

    def transient(self, params: Any = None, request: Request | None = None) -> AbstractAsyncContextManager[Conn]:
        """One for the time of a call over HTTP: entering runs the connect hooks, leaving starts `on_disconnect`."""
        ...


class Database(Protocol):
    """The database of the actor."""

    @property
    def client(self) -> object:
        """What `c.db` is; a provider may make anything."""
        ...


class SaveCheck(Protocol):
    """The transactions that include state, as a save sees them."""

    def check_saving(self) -> None:
        """Raise when the save is asked for inside of one (DB-184)."""


class RunWakes(Protocol):
    """Who supervises the run handler."""

    async def set_wake_at(self, epoch_ms: int | None) -> None:
        """Have it active at that time; None clears."""


class Saver(Protocol):
    """Who writes what changed."""

    def request(self, max_wait: float | None = None) -> None:
        """Save within `max_wait` seconds, None for the interval of the actor."""

    async def save_now(self) -> None:
        """Save, and return when it is durable."""

    async def save_with(self, join: Join) -> None:
        """Save in the commit of a transaction."""


class ClientSource(Protocol):
    """The host, as user code needs it."""

    def client(self, actor_id: str) -> Client:
        """A client to the namespace of the actor."""
        ...


class ContextOwner(Protocol):
    """One generation of an actor, as its user code sees it."""

    vars: Any

    def joinable(self) -> Join | None:
        """The transaction that what is called from here has to be part of."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the actor runs on."""
        ...

    @property
    def identity(self) -> ActorIdentity:
        """Who the generation is."""
        ...

    @property
    def log(self) -> Any:
        """A structlog logger bound to the actor."""
        ...

    @property
    def work(self) -> WorkTracker:
        """Where work is counted and started."""
        ...

    @property
    def abort(self) -> AbortSignal:
        """Fires when grace begins."""
        ...

    @property
    def state(self) -> ActorState:
        """The state of the actor."""
        ...

    @property
    def saver(self) -> Saver:
        """Who saves it."""
        ...

    @property
    def state_transactions(self) -> SaveCheck:
        """The transactions that include the state."""
        ...

    @property
    def events(self) -> Inbox[tuple[str, Callable[[], None]]]:
        """The inbox of lifecycle events, of which a requested save is one."""
        ...

    @property
    def database(self) -> Database:
        """The database."""
        ...

    @property
    def kv(self) -> KeyValue:
        """The key-value store."""
        ...

    @property
    def queue(self) -> MessageQueue:
        """The durable queue."""
        ...

    @property
    def schedules(self) -> ScheduleBook:
        """Everything that is scheduled."""
        ...

    @property
    def run(self) -> RunWakes:
        """The run handler's supervision."""
        ...

    @property
    def conns(self) -> Connections:
        """The connections."""
        ...

    @property
    def host(self) -> ClientSource:
        """The host, for calls to other actors."""
        ...

    def send_event(self, event: str, apply: Callable[[], None]) -> None:
        """Have `apply` called when the event inbox is served; raises actor.overloaded."""

    def request_sleep(self) -> None:
        """See `Context.sleep`."""

    def request_destroy(self) -> None:
        """See `Context.destroy`."""
