"""One client WebSocket whose wire is the tunnel: the gateway numbers, keeps and replays what the client sends.

Nothing here can make a client send less: what comes while the actor has enough waits in this socket, within the room of all sockets.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import structlog

from runtime.actor.connections.sockets import STOPPED_REASON, SocketState, byte_size
from runtime.errors import make_error
from runtime.gateway.close_reasons import failure_reason, sendable_reason
from runtime.gateway.live_actor import is_passing
from runtime.gateway.room import Backlog
from runtime.hosting.engine.protocol.tunnel import MessageId, SocketAck, SocketClose, SocketMessage, SocketOpened, TunnelMessage
from runtime.hosting.engine.tunnel.arrivals import upgrade_to
from runtime.logs import LimitedLog
from runtime.protocol.payload import text_of

if TYPE_CHECKING:
    from runtime.actor.connections.sockets import SocketSink, Upgrade
    from runtime.errors import ActorError
    from runtime.gateway.room import Room
    from runtime.hosting.engine.ports import Life, Link
    from runtime.hosting.engine.protocol.tunnel import ToClient
    from runtime.http import Request

MAX_WAITING = 65_535
"""Messages of either side that may wait in one socket: empty ones take no room. As many as a gateway keeps (ENGINE-143)."""

_unhandled = LimitedLog.of_faults(structlog.get_logger(__name__), "client message could not be handled")


class SocketHome(Protocol):
    """Who keeps the sockets of this process."""

    def discard(self, socket: EngineSocket) -> None:
        """It has closed."""

    def park(self, socket: EngineSocket) -> None:
        """It waits for the next generation, here or elsewhere."""


class EngineSocket:
    """One client WebSocket. The tunnel feeds it with `receive` and `disconnected`; the actor uses the rest.

    Implements `ActorSocket`; ENGINE-130..152.

    Args:
        key: The gateway and its number of the request.
        actor_id: The addressed actor.
        upgrade: None for a socket that a gateway kept: it was opened already, and its upgrade is in a stored record.
        link: Takes what goes to the client.
        home: Where it is kept.
        room: What may wait here, with that of all sockets.
    """

    def __init__(self, key: tuple[bytes, bytes], actor_id: str, upgrade: Upgrade | None, link: Link, home: SocketHome, room: Room) -> None:
        self.key = key
        self.gateway_id, self.request_id = key
        self.actor_id = actor_id
        self.life: Life | None = None
        """The generation that it is with."""
        self.hibernatable = upgrade is None
        self.state = SocketState.HIBERNATING if upgrade is None else SocketState.OPENING
        self._upgrade = upgrade
        self._link = link
        self._home = home
        self._sink: SocketSink | None = None
        self._opened = upgrade is None
        # Of either side only one waits: the client hears nothing before the socket is attached, and its messages wait for that, too.
        self._early: list[SocketMessage] = []
        self._inbox: deque[tuple[int, str | bytes]] = deque()
        self._waiting = Backlog(room)
        self._waiting.on_overflow = self._overflow
        self._held = False
        self._sent = 0
        # The gateway keeps the messages; numbers of those that it may not release yet are consecutive, up to the newest.
        self._newest = 0
        self._unacknowledged = 0
        self._closed_as: tuple[int, str] | None = None

    @property
    def upgrade(self) -> Upgrade:
        """The whole upgrade; of a socket that a gateway kept it is known after `restored`."""
        assert self._upgrade is not None
        return self._upgrade

    @property
    def request(self) -> Request:
        """The request of the upgrade."""
        return self.upgrade.request

    @property
    def closed(self) -> bool:
        """Whether either side closed it."""
        return self.state is SocketState.CLOSED

    # What the tunnel calls.

    def receive(self, index: int, data: str | bytes) -> None:
        """Take one client message with the gateway's number (ENGINE-140)."""
        if self.state is SocketState.CLOSED:
            return
        self._count(index)
        sink = self._sink
        if sink is not None and not self._held and not self._inbox:
            self._hand_over(sink, index, data)
            return
        if self._makes_room(len(self._inbox), byte_size(data)):
            self._inbox.append((index, data))

    def disconnected(self, code: int | None, reason: str | None) -> None:
        """The client closed or was lost; no code counts as 1000 (ENGINE-134, ENGINE-136)."""
        if self.state is SocketState.CLOSED:
            return
        sink, self._sink = self._sink, None
        closed_as = (1000 if code is None else code, reason or "")
        self._finish(*closed_as)
        if sink is not None:
            sink.on_close(*closed_as)

    def turn_away(self) -> None:
        """No generation takes it now: it is opened and closed in the way on which clients open another (ENGINE-236)."""
        self.close(1000, STOPPED_REASON)

    def deny(self, code: int, reason: str) -> None:
        """Close without opening: the client gets an error of the gateway (ENGINE-131, ENGINE-132)."""
        self._opened = True
        self.close(code, reason)

    def abandon(self) -> None:
        """Forget the client: it is somebody else's now, or gone. Neither side is told."""
        if self.state is not SocketState.CLOSED:
            self._sink = None
            self._finish(1000, STOPPED_REASON)

    # What the actor's generation calls.

    def restored(self, request: Request) -> None:
        """This socket belongs to a stored connection, whose upgrade was `request` (ENGINE-146)."""
        self._upgrade = upgrade_to(self.actor_id, request)

    def attach(self, sink: SocketSink, *, hibernatable: bool, watermark: int = 0) -> None:
        """Make the socket active: open it towards the client and hand over what it sent.

        A socket that closed in the meantime reports that to the sink at once (CONN-018). One that was kept is not opened again: the
        gateway would do nothing with that (ENGINE-150).
        """
        if self._closed_as is not None:
            sink.on_close(*self._closed_as)
            return
        regained = self.state is SocketState.HIBERNATING
        self.state, self.hibernatable, self._sink = SocketState.ACTIVE, hibernatable, sink
        self._open(can_hibernate=hibernatable)
        if regained:
            # What comes from before the gateway noticed that the last generation stopped may have a gap before it, and comes again.
            self._keep_following(watermark)
            self._tell(SocketAck(watermark))
        self._deliver()

    def hold(self) -> None:
        """Hand over nothing until `resume`."""
        self._held = True

    def resume(self) -> None:
        """Hand over what came meanwhile, and what comes."""
        if self._held:
            self._held = False
            self._deliver()

    def send(self, data: str | bytes) -> None:
        """Send one message to the client; nothing happens once closed. One that no message of the tunnel can carry closes the socket."""
        if self.state is SocketState.CLOSED:
            return
        binary = not isinstance(data, str)
        raw = text_of(data).encode() if isinstance(data, str) else bytes(data)
        if len(raw) > self._link.limits.max_response_payload_size:
            self.fail(make_error("message.outgoing_too_long"))
            return
        message = SocketMessage(raw, binary)
        if self._opened:
            self._tell(message)
        elif self._makes_room(len(self._early), len(raw)):
            self._early.append(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close towards the client, behind everything sent before. The sink is not told: it asked for it."""
        if self.state is SocketState.CLOSED:
            return
        self._sink = None
        # Before the open answer no code of ours would reach the client (ENGINE-131).
        self._open(can_hibernate=False)
        self._tell(SocketClose(code, sendable_reason(reason)))
        self._finish(code, reason)

    def fail(self, error: ActorError) -> None:
        """Close with 1011 and the error, an attached sink is told; a refusal in passing while it is being opened only turns it away."""
        if self.state is SocketState.OPENING and is_passing(error) and not self.upgrade.skip_ready_wait:
            self.turn_away()
            return
        sink, reason = self._sink, failure_reason(error, "" if self._upgrade is None else self._upgrade.ray_id)
        was_open = self.state is not SocketState.CLOSED
        self.close(1011, reason)
        if was_open and sink is not None:
            sink.on_close(1011, reason)

    def acknowledge(self, index: int) -> None:
        """Let the gateway release every message up to `index` (wrapping, cumulative, ENGINE-140)."""
        if not self.hibernatable or self.state is SocketState.CLOSED:
            return
        behind = (self._newest - index) & 0xFFFF
        # Actors acknowledge with each save, and most saves are of no message.
        if behind < self._unacknowledged:
            self._unacknowledged = behind
            self._tell(SocketAck(index))

    def hibernate(self) -> None:
        """Detach from a generation whose final save is about to begin. The gateway parks the socket when it sees the stop (ENGINE-144)."""
        if self.state is SocketState.ACTIVE:
            self._sink = None
            self._held = False
            self.state = SocketState.HIBERNATING
            # Not acknowledged, so it comes again.
            self._clear()
            self._home.park(self)

    def rest(self) -> None:
        """The generation is over: the gateway itself wakes the actor for messages that were not acknowledged (ENGINE-145)."""

    def pending_indexes(self) -> list[int]:
        """Received and not yet acknowledged indexes, oldest first (HIB-040)."""
        pending = self._unacknowledged if self.hibernatable else 0
        return [(self._newest - behind) & 0xFFFF for behind in reversed(range(pending))]

    def _tell(self, kind: ToClient) -> None:
        self._link.tunnel(TunnelMessage(MessageId(self.gateway_id, self.request_id, self._sent & 0xFFFF), kind))
        self._sent += 1

    def _open(self, *, can_hibernate: bool) -> None:
        if self._opened:
            return
        self._opened = True
        self._tell(SocketOpened(can_hibernate))
        early, self._early = self._early, []
        for message in early:
            self._waiting.remove(len(message.data))
            self._tell(message)

    def _count(self, index: int) -> bool:
        """Count a message; False for one that does not follow the newest: it came before, or is the actor's to refuse (ENGINE-141)."""
        follows = index == (self._newest + 1) & 0xFFFF
        if follows:
            self._newest = index
            self._unacknowledged += 1
        return follows

    def _keep_following(self, watermark: int) -> None:
        self._newest, self._unacknowledged = watermark, 0
        waiting, self._inbox = self._inbox, deque()
        for index, data in waiting:
            if self._count(index):
                self._inbox.append((index, data))
            else:
                self._waiting.remove(byte_size(data))

    def _deliver(self) -> None:
        # Any of the messages may make the sink close the socket, or hold it again.
        while self._inbox and not self._held and (sink := self._sink) is not None:
            index, data = self._inbox.popleft()
            self._waiting.remove(byte_size(data))
            self._hand_over(sink, index, data)

    def _hand_over(self, sink: SocketSink, index: int, data: str | bytes) -> None:
        try:
            sink.on_message(index, data)
        # Whatever it was about the message: it must end neither the link nor the start of a generation.
        except Exception as error:
            _unhandled.report(actor_id=self.actor_id, exc_info=error)
            self.fail(make_error("core.internal_error"))

    def _makes_room(self, number: int, size: int) -> bool:
        if number >= MAX_WAITING or not self._waiting.has_room(size):
            self._overflow()
            return False
        self._waiting.add(size)
        return not self.closed

    def _overflow(self) -> None:
        self.fail(make_error("guard.websocket_pending_limit_reached"))

    def _finish(self, code: int, reason: str) -> None:
        self.state = SocketState.CLOSED
        self._closed_as = (code, reason)
        self._unacknowledged = 0
        self._clear()
        self._home.discard(self)

    def _clear(self) -> None:
        self._early.clear()
        self._inbox.clear()
        self._waiting.remove(self._waiting.size)
