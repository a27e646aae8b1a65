"""Client WebSockets as the gateway owns them, while generations of their actor come and go.

A `ClientSocket` outlives the generations it talks to. The actor's end of it is a `SocketSink`: while one is attached the socket is
*active* and every client message is handed over; without one it is *opening* or *hibernating* and messages wait here. Messages of a
hibernatable socket are kept until the actor acknowledged them as durably handled, and handed over again, in order, to the next sink.

Why the state machine knows no ASGI: the transport is a three-method Protocol, so the same machine serves any server and any fake.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Protocol

import structlog

from runtime import clock
from runtime.actor.connections.sockets import SocketState, byte_size
from runtime.errors import make_error
from runtime.gateway.close_reasons import failure_reason
from runtime.gateway.room import DEFAULT_ROOM, Backlog

if TYPE_CHECKING:
    from runtime.actor.connections.sockets import SocketSink, Upgrade
    from runtime.errors import ActorError
    from runtime.gateway.room import Room
    from runtime.http import Request

log = structlog.get_logger("runtime.gateway")

MAX_FRAME_BYTES = 32 * 1024 * 1024
MAX_KEPT_BYTES = 128 * 1024 * 1024
# Indexes have 16 bits: with more than one lap in waiting an acknowledgement would be ambiguous.
MAX_KEPT_MESSAGES = 65_535
READ_AHEAD_BYTES = 32 * 1024 * 1024
READ_AHEAD_MESSAGES = 32_768
"""Reading pauses while so much is kept: an actor that is slow to save shall slow its client down, and not lose it at the limits above."""
TOLD_STEP = 16 * 1024
MAX_KEPT_AGE = 30.0
AGE_CHECK_INTERVAL = 15.0
# These two never travel in a frame: the server makes them up.
ABNORMAL_CLOSURE = 1006
NO_STATUS = 1005
# Fresh per process: request ids begin anew with it, and a stored connection of the last one must match no socket of this one.
GATEWAY_ID = os.urandom(4)
"""Identifies this process's gateway in persisted connection records (HIB section 3.2)."""


class Transport(Protocol):
    """The wire of one socket. Both methods only enqueue and never raise."""

    def send(self, data: str | bytes) -> None:
        """Queue one message; `str` is a text frame."""

    def close(self, code: int, reason: str) -> None:
        """Queue the close frame behind everything sent before; later calls do nothing."""


class SocketOwner(Protocol):
    """Who keeps the sockets of a host; each registers itself there."""

    def allocate_id(self) -> bytes:
        """A request id of four bytes that no other socket of this gateway has."""
        ...

    def add(self, socket: ClientSocket) -> None:
        """Register an opened socket."""

    def discard(self, socket: ClientSocket) -> None:
        """Forget a closed socket."""

    def wake(self, actor_id: str) -> None:
        """Start the actor in the background: a socket has something for it."""


class ClientSocket:
    """One client WebSocket. The gateway feeds it with `receive` and `disconnected`; the actor uses the rest.

    Implements `ActorSocket`; HIB-020..025, HIB-030, HIB-035, HIB-037.
    """

    def __init__(self, upgrade: Upgrade, table: SocketOwner, transport: Transport, incoming: Room = DEFAULT_ROOM) -> None:
        self.upgrade = upgrade
        self.request = upgrade.request
        self.gateway_id = GATEWAY_ID
        self.request_id = table.allocate_id()
        self.state = SocketState.OPENING
        self.hibernatable = False
        self._table = table
        self._transport = transport
        self._sink: SocketSink | None = None
        # Counted without wrapping: kept messages are compared by number, and after a lap an old one would look new.
        self._numbered = 0
        self._kept: deque[tuple[int, float, str | bytes]] = deque()
        self._kept_bytes = 0
        # What the room of all sockets was told of it: not each message, only what makes a difference there.
        self._waiting = Backlog(incoming)
        self._waiting.on_overflow = lambda: self.fail(make_error("guard.websocket_pending_limit_reached"))
        self._age_timer: asyncio.TimerHandle | None = None
        self._held = False
        self._flowing = asyncio.Event()
        self._closed_as: tuple[int, str] | None = None
        table.add(self)

    @property
    def key(self) -> tuple[bytes, bytes]:
        """What a persisted connection record is matched by: gateway id and request id."""
        return self.gateway_id, self.request_id

    @property
    def last_index(self) -> int:
        """The index of the newest client message, 0 before the first."""
        return self._numbered & 0xFFFF

    @property
    def attached(self) -> bool:
        """Whether a generation takes the messages right now."""
        return self._sink is not None

    @property
    def flows(self) -> bool:
        """Whether the reader may read on: a generation is attached, has not had enough, and not too much waits to be saved."""
        if self._sink is None or self._held:
            return False
        return self._kept_bytes < READ_AHEAD_BYTES and len(self._kept) < READ_AHEAD_MESSAGES

    @property
    def closed(self) -> bool:
        """Whether either side closed it."""
        return self.state is SocketState.CLOSED

    # What the gateway's reader calls.

    def receive(self, data: str | bytes) -> None:
        """Take one client message: number it, keep it if it may have to be replayed, hand it over or wake the actor."""
        if self.state is SocketState.CLOSED:
            return
        size = byte_size(data)
        if size > MAX_FRAME_BYTES:
            self.fail(make_error("core.internal_error"))
            return
        self._numbered += 1
        sink = self._sink
        # What a socket of the other kind got dies with its generation; before one is attached nobody knows which kind this is.
        if self.hibernatable or sink is None:
            if self._kept_bytes + size > MAX_KEPT_BYTES or len(self._kept) >= MAX_KEPT_MESSAGES:
                self.fail(make_error("guard.websocket_pending_limit_reached"))
                return
            self._kept.append((self._numbered, clock.monotonic(), data))
            self._kept_bytes += size
            if self._kept_bytes - self._waiting.size > TOLD_STEP:
                self._waiting.add(self._kept_bytes - self._waiting.size)
                if self.closed:
                    return
        if sink is not None:
            self._hand_over(sink, self._numbered, data)
        elif self.state is SocketState.HIBERNATING:
            self._table.wake(self.upgrade.actor_id)
            self._watch_age()

    async def flowing(self) -> None:
        """Return when the reader may read on, or the socket has closed."""
        while not self.flows and self.state is not SocketState.CLOSED:
            self._flowing.clear()
            await self._flowing.wait()

    def disconnected(self, code: int, reason: str) -> None:
        """The client closed or was lost. No code counts as 1000; a broken transport as 1011 (WIRE-267)."""
        if code == NO_STATUS:
            code, reason = 1000, ""
        elif code == ABNORMAL_CLOSURE:
            code, reason = 1011, "ws.downstream_closed"
        self._end(code, reason)

    # What the actor's generation calls.

    def restored(self, request: Request) -> None:
        """Nothing to learn: this socket still holds the upgrade that the stored connection came from."""

    def attach(self, sink: SocketSink, *, hibernatable: bool, watermark: int = 0) -> None:
        """Make the socket active: release what `watermark` covers, hand over the rest in order (HIB-037).

        A socket that closed in the meantime reports that to the sink at once (CONN-018).
        """
        if self._closed_as is not None:
            sink.on_close(*self._closed_as)
            return
        self.state = SocketState.ACTIVE
        self.hibernatable = hibernatable
        self._sink = sink
        self._stop_age_timer()
        if hibernatable:
            self.acknowledge(watermark)
            # A copy is handed over: the sink may acknowledge while it is being fed.
            waiting = list(self._kept)
        else:
            waiting, self._kept, self._kept_bytes = list(self._kept), deque(), 0
            self._tell_less()
        for number, _, data in waiting:
            # Any of the messages may have made the sink close the socket.
            if self._sink is sink:
                self._hand_over(sink, number, data)
        self._flowing.set()

    def hold(self) -> None:
        """Read no further until `resume`: the generation has enough to do for this client."""
        self._held = True

    def resume(self) -> None:
        """Read on."""
        if self._held:
            self._held = False
            self._flowing.set()

    def send(self, data: str | bytes) -> None:
        """Send one message to the client; nothing happens once closed."""
        if self.state is not SocketState.CLOSED:
            self._transport.send(data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close towards the client, behind everything sent before. The sink is not told: it asked for it."""
        if self.state is not SocketState.CLOSED:
            self._sink = None
            self._finish(code, reason)

    def acknowledge(self, index: int) -> None:
        """Release every kept message up to `index` (wrapping, cumulative, HIB-035)."""
        kept = self._kept
        behind = (self._numbered - index) & 0xFFFF
        limit = self._numbered - behind
        while kept and kept[0][0] <= limit:
            self._kept_bytes -= byte_size(kept.popleft()[2])
        self._tell_less()
        self._flowing.set()

    def hibernate(self) -> None:
        """Detach from a generation whose final save is about to begin; what arrives from now on is for the next one."""
        if self.state is SocketState.ACTIVE:
            self._sink = None
            # The next generation has nothing to do for it yet.
            self._held = False
            self.state = SocketState.HIBERNATING

    def rest(self) -> None:
        """The generation is over: messages that it did not acknowledge wake the actor again at once (HIB-021)."""
        if self.state is SocketState.HIBERNATING and self._kept:
            self._table.wake(self.upgrade.actor_id)
            self._watch_age()

    def pending_indexes(self) -> list[int]:
        """Received and not yet acknowledged indexes, oldest first (HIB-040)."""
        return [number & 0xFFFF for number, _, _ in self._kept]

    # What either side of the gateway calls.

    def fail(self, error: ActorError) -> None:
        """Close with 1011 and `group.code#ray`; an attached sink is told (WIRE-262)."""
        self._end(1011, failure_reason(error, self.upgrade.ray_id))

    def _hand_over(self, sink: SocketSink, number: int, data: str | bytes) -> None:
        try:
            sink.on_message(number & 0xFFFF, data)
        # Whatever it was about the message: it must end neither the reader of the socket nor the start of a generation.
        except Exception:
            log.exception("client message could not be handled", actor_id=self.upgrade.actor_id)
            self.fail(make_error("core.internal_error"))

    def _end(self, code: int, reason: str) -> None:
        if self.state is SocketState.CLOSED:
            return
        # Closed before anybody is told: whatever the sink does then must find a closed socket.
        sink, self._sink = self._sink, None
        asleep = self.state is SocketState.HIBERNATING
        self._finish(code, reason)
        if sink is not None:
            sink.on_close(code, reason)
        elif asleep:
            # The record is still there: the next generation finds it without a socket and runs the disconnect (HIB-055).
            self._table.wake(self.upgrade.actor_id)

    def _finish(self, code: int, reason: str) -> None:
        self.state = SocketState.CLOSED
        self._closed_as = (code, reason)
        self._kept.clear()
        self._kept_bytes = 0
        self._tell_less()
        self._stop_age_timer()
        self._flowing.set()
        self._table.discard(self)
        self._transport.close(code, reason)

    def _tell_less(self) -> None:
        if self._waiting.size > self._kept_bytes:
            self._waiting.remove(self._waiting.size - self._kept_bytes)

    def _watch_age(self) -> None:
        # One timer per socket that waits, not one per message: the oldest is in front. Attached sockets have none, a slow actor keeps its
        # clients.
        if self._age_timer is None and self._kept:
            self._age_timer = clock.call_later(AGE_CHECK_INTERVAL, self._check_age)

    def _check_age(self) -> None:
        self._age_timer = None
        if self._kept and clock.monotonic() - self._kept[0][1] > MAX_KEPT_AGE:
            self.fail(make_error("guard.websocket_garbage_collected"))
        else:
            self._watch_age()

    def _stop_age_timer(self) -> None:
        if self._age_timer is not None:
            self._age_timer.cancel()
            self._age_timer = None
