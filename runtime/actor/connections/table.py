"""Every connection of one generation: the pipeline, the listing, disconnects, persistence and the stop path.

What the actor task calls, in the order of a generation's life:

    table.restore(rows, sockets)      before the startup hooks; `rows` is what `Storage.load` gave (tables `conn` and `conn_state`)
    table.resume()                    after the startup hooks, before dispatch: re-attach sockets, replay, run stale disconnects
    async with table.transient(...)   around an HTTP action, queue send or raw request
    await table.open_socket(socket)   as a dispatch child: `/connect` or raw
    table.begin_stop(kind)            at grace entry, right before the cleanup hook is launched
    table.close_raw_sockets()         each time cleanup hook and grace predicate are done: True means new work was started, wait again
    table.freeze()                    when grace is over (predicate or deadline), right before the final save is collected
    await table.end_generation()      after storage is closed: closes the remaining transports; the last call

`table.store` is a save source (`collect`, `settled`) of the `StateSaver`; the table registers it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runtime.actor.calls.user_code import call_limited
from runtime.actor.connections.connection import Conn
from runtime.actor.connections.events import EventHub
from runtime.actor.connections.opening import open_socket
from runtime.actor.connections.raw.close_ack import CloseInitiator
from runtime.actor.connections.raw.link import RawLink
from runtime.actor.connections.hibernation.restore import Restore
from runtime.actor.connections.setup import has_hooks
from runtime.actor.connections.hibernation.store import ConnStore
from runtime.actor.connections.transient import Transient
from runtime.actor.lifecycle.work import WorkKind
from runtime.actor.observer import Part
from runtime.actor.ports import StopKind
from runtime.actor.state.tracking import track
from runtime.errors import ActorError
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractContextManager

    from runtime.actor.calls.context import Context
    from runtime.actor.connections.raw.close_ack import CloseAck
    from runtime.actor.connections.raw.close_cycle import CloseCycle
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.actor.state.actor_state import ActorState
    from runtime.http import Request

STOPPED_REASON = "actor.stopped"


class ConnsView(Mapping[str, Conn]):
    """`c.conns`: a read-only mapping over the live connections; iterating sees a snapshot (CONN-060, CONN-062)."""

    def __init__(self, conns: dict[str, Conn]) -> None:
        self._conns = conns

    def __getitem__(self, conn_id: str) -> Conn:
        return self._conns[conn_id]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._conns))

    def __len__(self) -> int:
        return len(self._conns)

    def values(self) -> tuple[Conn, ...]:  # type: ignore[override]
        """The connections now."""
        return tuple(self._conns.values())

    def items(self) -> tuple[tuple[str, Conn], ...]:  # type: ignore[override]
        """Ids and connections now."""
        return tuple(self._conns.items())


class ConnStateTracker:
    """Tracks the state of one connection; its own changes never reach `on_state_change` (CONN-055, CONN-056)."""

    __slots__ = ("_changed", "_state")

    def __init__(self, state: ActorState, changed: Callable[[], None]) -> None:
        self._state = state
        self._changed = changed

    def before_change(self) -> None:
        """Refuse writes inside `on_state_change`."""
        self._state.before_change()

    def changed(self) -> None:
        """Save with the next batch."""
        self._changed()


class ConnectionTable:
    """The connections of one generation. `len()` counts live ones (SLEEP-010 row 8).

    Attributes:
        view: `c.conns`.
        events: Subscriptions and the way to the subscribers.
        store: What has to be persisted; registered as a save source.
        cycles: Close cycles under way.
        frozen: No client message is handled any more.
        ended: The generation is over; nothing reaches a client (EVENT-031).
        plain: Setting up a connection runs no user code: no connect hook, no parameter schema, no connection state.
    """

    def __init__(self, task: ActorTask) -> None:
        self._task = task
        self._conns: dict[str, Conn] = {}
        self._stop_kind: StopKind | None = None
        self.definition = task.definition
        self.identity = task.identity
        self.options = task.options
        self.log = task.log
        self.loop = asyncio.get_running_loop()
        self.max_incoming = task.host.options.max_incoming_message_size
        self.max_outgoing = task.host.options.max_outgoing_message_size
        self.view: Mapping[str, Conn] = ConnsView(self._conns)
        self.events = EventHub(task.definition.events, self.max_outgoing)
        self.store = ConnStore(lambda within: task.saver.request(max_wait=within), lambda: task.changed(Part.CONNECTIONS))
        self.cycles: set[CloseCycle] = set()
        self.frozen = False
        self.ended = False
        self.plain = not has_hooks(self) and task.definition.conn_state is UNDEFINED
        self._restore = Restore(self)
        task.saver.add_source(self.store)

    def __len__(self) -> int:
        return len(self._conns)

    # What the actor task calls.

    def restore(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]], sockets: Sequence[ActorSocket]) -> None:
        """Load the persisted connections before the startup hooks (HIB-050, HIB-051)."""
        self._restore.load(rows, sockets)

    def resume(self) -> None:
        """Re-attach sockets, replay unacknowledged messages, disconnect stale connections; after the startup hooks."""
        self._restore.resume()

    def transient(self, params: Any = None, request: Request | None = None) -> Transient:
        """The pipeline around one HTTP kind: entering runs the connect hooks, leaving starts `on_disconnect` (CONN-001)."""
        return Transient(self, params, request)

    async def open_socket(self, socket: ActorSocket) -> None:
        """Run the pipeline of one admitted socket. Failures reach the client as close frames; nothing is raised."""
        with self.region(WorkKind.WEBSOCKET_CALLBACK):
            await open_socket(self, socket)

    def broadcast(self, name: str, args: Sequence[Any]) -> None:
        """Send an event to every subscribed connection; raises `actor.validation_error` (EVENT-001, EVENT-021)."""
        if not self.ended:
            self.events.broadcast(name, args)

    def begin_stop(self, kind: StopKind) -> None:
        """Grace begins: queue hibernatable connections for persistence, disconnect the transient ones (CONN-081, HIB-060).

        Raw sockets stay usable; their turn is `close_raw_sockets`, because their `on_disconnect` follows their close event.
        """
        self._stop_kind = kind
        for conn in self.view.values():
            if conn.is_hibernatable:
                self.store.changed(conn)
            elif conn.link is None:
                self.leave_and_disconnect(conn)

    def close_raw_sockets(self) -> bool:
        """Start the close cycle of every raw socket that has no future (RAWWS-066); True when any was started."""
        destroy = self._stop_kind is StopKind.DESTROY
        started = False
        for conn in self.view.values():
            link: object = conn.link
            if isinstance(link, RawLink) and (destroy or not conn.is_hibernatable):
                # A hibernatable socket of a destroyed actor gets its close event but no disconnect (HIB-060).
                link.end(CloseInitiator.STOP, 1000, STOPPED_REASON, disconnect=not conn.is_hibernatable)
                started = True
        return started

    def freeze(self) -> None:
        """No client message is handled from here on; unfinished close cycles are acknowledged as `aborted` (RAWWS-065)."""
        self.frozen = True
        self.close_raw_sockets()
        for cycle in tuple(self.cycles):
            cycle.abort()
        if self._stop_kind is not StopKind.DESTROY:
            for conn in self.view.values():
                if conn.link is not None and conn.is_hibernatable:
                    conn.link.socket.hibernate()

    async def end_generation(self) -> None:
        """Nothing reaches clients any more; hibernatable sockets stay open unless this is a destroy (CONN-083, HIB-062)."""
        if not self.frozen:
            self.freeze()
        self.ended = True
        for conn in self.view.values():
            if conn.counted:
                self._task.metrics.connection_closed()
            if conn.link is None:
                continue
            if conn.is_hibernatable and self._stop_kind is not StopKind.DESTROY:
                conn.link.socket.rest()
            else:
                conn.link.socket.close(1000, STOPPED_REASON)
        self._conns.clear()
        self.store.close()

    # What `Conn` calls.

    def send_event(self, conn: Conn, name: str, args: Sequence[Any]) -> None:
        """`conn.send`."""
        if not self.ended:
            self.events.send(conn, name, args)

    def disconnect(self, conn: Conn, reason: str) -> None:
        """`conn.disconnect`: close the transport if there is one, and leave (CONN-070..072)."""
        if conn.link is not None:
            conn.link.disconnect(reason)
        else:
            self.leave_and_disconnect(conn)

    def track_state(self, conn: Conn, value: Any, *, initial: bool) -> Any:
        """Wrap connection state so that its mutations are refused in `on_state_change` and otherwise saved (CONN-052..055)."""
        if value is UNDEFINED:
            return value
        tracker = ConnStateTracker(self._task.state, lambda: self.store.changed(conn))
        if not initial:
            tracker.before_change()
        return track(value, tracker)

    # Entering and leaving the list.

    def enter(self, conn: Conn) -> None:
        """List a connection whose steps up to `on_connect` succeeded (CONN-011)."""
        self._conns[conn.id] = conn
        self.store.changed(conn)
        self._task.activity.changed()

    def count(self, conn: Conn) -> None:
        """The pipeline succeeded (CONN-090)."""
        if not conn.removed:
            conn.counted = True
            self._task.metrics.connection_opened()

    def enter_plain(self, conn: Conn, params: Any) -> None:
        """`enter` for an HTTP kind without hooks; the request around it already counts as activity."""
        conn.adopt(params, UNDEFINED)
        self._conns[conn.id] = conn
        self._task.changed(Part.CONNECTIONS)
        self.count(conn)

    def enter_restored(self, conn: Conn) -> None:
        """List a connection that is as it was stored; it was counted when it was set up."""
        self._conns[conn.id] = conn
        conn.counted = True
        self._task.metrics.connections += 1

    def leave(self, conn: Conn) -> bool:
        """Take a connection off the list, with subscriptions and record; False when it was off already (CONN-071)."""
        if conn.removed:
            return False
        conn.removed = True
        self.events.clear(conn)
        self.store.removed(conn)
        if self._conns.pop(conn.id, None) is None:
            return False
        self._task.changed(Part.CONNECTIONS)
        if conn.counted:
            self._task.metrics.connection_closed()
        self._task.activity.changed()
        return True

    def leave_and_disconnect(self, conn: Conn) -> None:
        """`leave`, then start `on_disconnect`, exactly once (CONN-001, CONN-070)."""
        if self.leave(conn):
            self.start_disconnect(conn)

    def start_disconnect(self, conn: Conn) -> None:
        """Run `on_disconnect` as work of the actor (CONN-077)."""
        if "on_disconnect" in self.definition.hooks:
            self.spawn(WorkKind.DISCONNECT_CALLBACK, self._disconnect_when_set_up(conn))

    async def _disconnect_when_set_up(self, conn: Conn) -> None:
        if await conn.setup_done():
            await self.run_disconnect_hook(conn)

    async def run_disconnect_hook(self, conn: Conn) -> bool:
        """Run `on_disconnect`; False when it failed, which is logged and affects nothing else (CONN-076)."""
        if "on_disconnect" not in self.definition.hooks:
            return True
        try:
            context = self.context(conn=conn)
            # In grace its budget is that of the stop (SLEEP-060).
            limit = None if self._stop_kind is not None else self.options.on_connect_timeout
            await self.call_hook("on_disconnect", context, conn, timeout=limit, label="onDisconnect")
        except Exception:
            self.log.error("onDisconnect failed", conn_id=conn.id, exc_info=True)
            return False
        return True

    # The rest of the actor, as connections need it.

    @property
    def deferring(self) -> bool:
        """Whether action requests wait for the next generation: sleep was requested, destroy was not (HIB-045)."""
        asleep = self._task.sleep_requested or self._stop_kind is StopKind.SLEEP
        return asleep and not self._task.destroy_requested

    def context(self, conn: Conn | None = None, request: Request | None = None) -> Context:
        """A fresh context for one invocation of user code."""
        return self._task.context(conn=conn, request=request)

    async def call_hook(self, name: str, context: Context, *args: Any, timeout: float | None, label: str) -> Any:
        """Run a hook of the definition."""
        return await self._task.call_hook(name, context, *args, timeout=timeout, label=label)

    def start_action(self, name: str, args: list[Any], conn: Conn, reply: asyncio.Future[Any]) -> None:
        """Admit an action through the dispatch inbox; `reply` gets its outcome (CONN-093).

        Raises:
            ActorError: The inbox is full, or dispatch is refused (CONN-086, CONN-087).
        """
        self._task.calls.start_action(name, args, conn, reply)

    async def call_guard(self, guard: Callable[..., Any], context: Context, *, label: str) -> Any:
        """Ask an access guard, within `on_before_connect_timeout` (ACCESS-032)."""
        return await call_limited(self._task.work, guard, (context,), self.options.on_before_connect_timeout, label)

    def spawn(self, kind: WorkKind, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run tracked work; None when the actor takes no more (TASK-033)."""
        return self._task.work.spawn(kind, work)

    def region(self, kind: WorkKind) -> AbstractContextManager[object]:
        """Count the enclosed code as work."""
        return self._task.work.region(kind)

    def publish_close(self, ack: CloseAck) -> None:
        """Hand a close acknowledgement to the ledger of the host, unless the generation is over (RAWWS-065)."""
        if not self.ended:
            self._task.host.close_acks.publish(ack)
            self._task.metrics.close_cycle(ack.outcome, (ack.ended_at - ack.started_at) / 1000)

    def log_masked(self, text: str, error: Exception, conn: Conn | None) -> None:
        """Log in full what the client gets masked (METRIC-070)."""
        self.log.warning(text, conn_id=conn.id if conn else None, error=str(error), exc_info=not isinstance(error, ActorError))
