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

Why the stop is four calls and not one: between them user code runs, the final save is collected and storage is closed, and each of
these needs another part of the connections to be over, no sooner and no later (CONN-081..083, RAWWS-065, RAWWS-066).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.connections.client_protocol import ClientOwner
from runtime.actor.connections.connect_or_raw import open_socket
from runtime.actor.connections.connection_state import track_state
from runtime.actor.connections.disconnect import DisconnectHook
from runtime.actor.connections.events import EventHub
from runtime.actor.connections.hibernation.store import ConnStore
from runtime.actor.connections.listing import ConnsView
from runtime.actor.connections.raw.close_ack import CloseInitiator
from runtime.actor.connections.raw.link import RawLink
from runtime.actor.connections.restore import Restore
from runtime.actor.connections.setup import Setup
from runtime.actor.connections.sockets import STOPPED_REASON
from runtime.actor.connections.transient import Transient
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.observer import Part
from runtime.actor.ports import StopKind
from runtime.actor.state.tracking import same
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.raw.close_ack import CloseAck
    from runtime.actor.connections.raw.close_cycle import CloseCycle
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.actor.lifecycle.activity import Activity
    from runtime.actor.ports import HostPort
    from runtime.actor.state.saving import StateSaver
    from runtime.actor.state.tracking import Tracker
    from runtime.http import Request
    from runtime.metrics.registry import ActorMetrics

WEBSOCKET_LIFETIME = "websocket_lifetime"


class TableOwner(ClientOwner, Protocol):
    """The actor that the connections belong to."""

    @property
    def host(self) -> HostPort:
        """Its host: message limits and close acknowledgements."""
        ...

    @property
    def metrics(self) -> ActorMetrics:
        """Its counters."""
        ...

    @property
    def activity(self) -> Activity:
        """What evaluates idleness and grace."""
        ...

    @property
    def saver(self) -> StateSaver:
        """What asks for rows to save."""
        ...

    @property
    def state(self) -> Tracker:
        """Its state, whose rule against reentrant writes holds for connections too (CONN-055)."""
        ...

    @property
    def sleep_requested(self) -> bool:
        """Whether it asked to sleep."""
        ...

    @property
    def destroy_requested(self) -> bool:
        """Whether it asked to be destroyed."""
        ...

    def changed(self, part: Part) -> None:
        """Tell whoever watches."""


class ConnectionTable:
    """The connections of one generation. `len()` counts live ones (SLEEP-010 row 8).

    Attributes:
        view: `c.conns`.
        events: Subscriptions and the way to the subscribers.
        store: What has to be persisted; registered as a save source.
        cycles: Close cycles under way.
        frozen: No client message is handled any more.
        ended: The generation is over; nothing reaches a client (EVENT-031).
        setup: The pipeline of a new connection.
        disconnects: How `on_disconnect` runs.
    """

    def __init__(self, owner: TableOwner) -> None:
        self._owner = owner
        self._conns: dict[str, Conn] = {}
        self._stop_kind: StopKind | None = None
        self.max_incoming = owner.host.options.max_incoming_message_size
        self.max_outgoing = owner.host.options.max_outgoing_message_size
        self.view: Mapping[str, Conn] = ConnsView(self._conns)
        self.events = EventHub(owner.definition.events, self.max_outgoing)
        self.store = ConnStore(
            lambda within: owner.saver.request(max_wait=within),
            lambda: owner.changed(Part.CONNECTIONS),
            lambda conn_id, error: owner.log.error("connection cannot be stored", conn_id=conn_id, error=repr(error)),
        )
        self.setup = Setup(owner, self)
        self.disconnects = DisconnectHook(owner)
        self.cycles: set[CloseCycle] = set()
        self.frozen = False
        self.ended = False
        self._restore = Restore(owner, self)
        owner.saver.add_source(self.store)

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
        with self._owner.work.region(WorkKind.WEBSOCKET_CALLBACK):
            await open_socket(self._owner, self, socket)

    def broadcast(self, name: str, args: Sequence[Any]) -> None:
        """Send an event to every subscribed connection; raises `actor.validation_error` (EVENT-001, EVENT-021)."""
        if not self.ended:
            self.events.broadcast(name, args)

    def begin_stop(self, kind: StopKind) -> None:
        """Grace begins: queue hibernatable connections for persistence, disconnect the transient ones (CONN-081, HIB-060).

        Raw sockets stay usable; their turn is `close_raw_sockets`, because their `on_disconnect` follows their close event.
        """
        self._stop_kind = kind
        self.disconnects.in_grace = True
        for conn in self.view.values():
            if conn.is_hibernatable:
                # Also of a destroyed actor: its rows go with the rest of its storage (HIB-060, HIB-061).
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
        # What is delivered from here on does not count as handled, so that the next generation gets it again (HIB-038).
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
        # A start that failed comes here without a stop.
        if not self.frozen:
            self.freeze()
        self.ended = True
        for conn in self.view.values():
            self._end(conn)
            if conn.link is None:
                continue
            if conn.is_hibernatable and self._stop_kind is not StopKind.DESTROY:
                conn.link.socket.rest()
            else:
                conn.link.socket.close(1000, STOPPED_REASON)
        # Left without `leave`: records stay for the next generation, and nobody watches or waits for idleness any more.
        self._conns.clear()
        self.store.close()

    # What `Conn` calls.

    def send_to(self, conn: Conn, name: str, args: Sequence[Any]) -> None:
        """`conn.send`: one event to that connection, subscribed or not (EVENT-002)."""
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
        return track_state(value, self._owner.state, lambda: self.store.changed(conn), initial=initial)

    def changed(self, conn: Conn) -> None:
        """State or subscriptions are different: save them if the connection outlives the generation."""
        self.store.changed(conn)

    def copy_states(self) -> Callable[[], None]:
        """Copy the state of every connection; what is returned brings back those that changed (DB-181)."""
        copies = [(conn, self.track_state(conn, conn.state, initial=True)) for conn in self._conns.values()]

        def restore() -> None:
            for conn, state in copies:
                params, current = conn.stored_values()
                if not same(current, state):
                    conn.adopt(params, state)
                    self.store.changed(conn)

        return restore

    # Entering and leaving the list.

    def enter(self, conn: Conn) -> None:
        """List a connection whose steps up to `on_connect` succeeded (CONN-011)."""
        self._conns[conn.id] = conn
        self.store.changed(conn)
        self._owner.activity.changed()

    def count(self, conn: Conn) -> None:
        """The pipeline succeeded (CONN-090)."""
        if not conn.removed:
            self._owner.metrics.connection_opened()
            self._begin(conn)

    def enter_plain(self, conn: Conn, params: Any) -> None:
        """`enter` for an HTTP kind without hooks; the request around it already counts as activity."""
        conn.adopt(params, UNDEFINED)
        self._conns[conn.id] = conn
        self._owner.changed(Part.CONNECTIONS)
        self.count(conn)

    def enter_restored(self, conn: Conn) -> None:
        """List a connection that is as it was stored; it was counted when it was set up."""
        self._conns[conn.id] = conn
        self._owner.metrics.connections += 1
        self._begin(conn)

    def _begin(self, conn: Conn) -> None:
        conn.counted = True
        if conn.link is not None:
            # Until it leaves or its generation ends; the next one counts anew what goes on (METRIC-020).
            conn.since = self._owner.loop.time()
            self._owner.metrics.task_started(WEBSOCKET_LIFETIME)

    def _end(self, conn: Conn) -> None:
        if conn.counted:
            conn.counted = False
            self._owner.metrics.connection_closed()
            if conn.link is not None:
                self._owner.metrics.task_ended(WEBSOCKET_LIFETIME, self._owner.loop.time() - conn.since)

    def leave(self, conn: Conn) -> bool:
        """Take a connection off the list, with subscriptions and record; False when it was off already (CONN-071)."""
        if conn.removed:
            return False
        conn.removed = True
        self.events.clear(conn)
        self.store.removed(conn)
        # Nothing is listed once the generation ended: code that is left over disconnects nobody.
        if self._conns.pop(conn.id, None) is None:
            return False
        self._owner.changed(Part.CONNECTIONS)
        self._end(conn)
        # The last one may have kept the actor awake (CONN-080).
        self._owner.activity.changed()
        return True

    def leave_and_disconnect(self, conn: Conn) -> None:
        """`leave`, then start `on_disconnect`, exactly once (CONN-001, CONN-070)."""
        if self.leave(conn):
            self.disconnects.start(conn)

    # What links and close cycles ask.

    @property
    def deferring(self) -> bool:
        """Whether action requests wait for the next generation: sleep was requested, destroy was not (HIB-045)."""
        asleep = self._owner.sleep_requested or self._stop_kind is StopKind.SLEEP
        return asleep and not self._owner.destroy_requested

    def publish_close(self, ack: CloseAck) -> None:
        """Hand a close acknowledgement to the ledger of the host, unless the generation is over (RAWWS-065)."""
        if not self.ended:
            self._owner.host.close_acks.publish(ack)
            self._owner.metrics.close_cycle(ack.outcome, (ack.ended_at - ack.started_at) / 1000)
