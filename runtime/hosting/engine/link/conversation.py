"""What is said over one connection after another: all rules of the link, without a socket, a thread or a clock.

The order after a new connection is this. Init: events are sent again. Then the engine gives stored commands again, among them a stop of
what it gave up meanwhile. Only then comes its first ping, and only then everything else that waited is sent: what a lost generation had
queued is gone by that time (ENGINE-051).

Decided here, other than ENGINE-035 has it: a frame that cannot be read is left out and logged with its tag; the connection stays. It
comes from an engine that says something this protocol version does not know; over a new connection it would say so again, and one odd
command would bring all actors of the process to an end.

The socket is always read. Were it not while the loop of the host is blocked, no ping would be seen behind what waits, and a process that
only is slow would lose all its actors. So requests of clients are ended here, one by one, once too much of theirs waits, in both directions
(`Clients`): their end is sent to the client, and to the actor the client has gone. Commands, answers and pings always pass.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import structlog

from runtime.hosting.engine.link.clients import NO_ROOM, TOO_LONG, UNWRITABLE, Client, Clients, payload
from runtime.hosting.engine.link.commands import Commands
from runtime.hosting.engine.link.history import History
from runtime.hosting.engine.link.outbox import OVERHEAD, Letter, Outbox
from runtime.hosting.engine.link.ping_age import PingAge
from runtime.hosting.engine.link.requests import Requests, fail
from runtime.hosting.engine.link.settings import DEFAULT_LIMITS, Settings
from runtime.hosting.engine.ports import LinkLostError
from runtime.hosting.engine.protocol import messages
from runtime.hosting.engine.protocol.lives import IntentEvent, Reason, Start, StateEvent, Stop, StopCode, Stopped
from runtime.hosting.engine.protocol.tunnel import Abort, ClientClose, TunnelMessage
from runtime.logs import LimitedLogger
from runtime.protocol.decode_errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from runtime.hosting.engine.link.handover import Handover
    from runtime.hosting.engine.ports import Life, LinkListener
    from runtime.hosting.engine.protocol.lives import Inner
    from runtime.hosting.engine.protocol.pages import CommitPages, GetPages

log = LimitedLogger(structlog.get_logger("runtime.engine"))


class Phase(Enum):
    """How far a connection is."""

    OFFLINE = "offline"
    CONNECTED = "connected"
    GREETED = "greeted"
    """Init came; stored commands may follow."""
    READY = "ready"
    """A ping came: nothing that is older follows."""


class Conversation:
    """The state of the link. All methods are called on its thread; `now` is in seconds, on a clock that never stands still.

    Args:
        metadata: What is said first on each connection (ENGINE-050).
        listener: Who hears what the engine says.
        handover: How it is told.
        settings: Durations and sizes.
        on_init: Called at every init.
    """

    def __init__(
        self, metadata: messages.Metadata, listener: LinkListener, handover: Handover, settings: Settings, *, on_init: Callable[[], object]
    ) -> None:
        self._metadata = messages.encode(metadata)
        self._listener = listener
        self._handover = handover
        self._settings = settings
        self._on_init = on_init
        self._outbox = Outbox()
        self._history = History()
        self._commands = Commands(settings.acks)
        self._requests = Requests()
        self._clients = Clients()
        self._intents: dict[Life, float] = {}
        self._pings = PingAge(0.0)
        self._greeted = False
        self._lost_at: float | None = None
        self._is_lost = False
        self._draining = False
        self._over: str | None = None
        self.phase = Phase.OFFLINE
        self.limits = DEFAULT_LIMITS
        self.init_at: float | None = None
        self.on_output: Callable[[], object] = lambda: None

    # The connection.

    @property
    def idle(self) -> bool:
        """Whether everything that can be written was given to the socket."""
        return self.phase is Phase.OFFLINE or not len(self._outbox)

    @property
    def patience(self) -> float | None:
        """The lost threshold in seconds, while there are generations that would be lost."""
        return self._lost_threshold if self._history.living else None

    @property
    def _lost_threshold(self) -> float:
        return self.limits.envoy_lost_threshold / 1000 if self._greeted else self._settings.unknown_lost

    def ping_age(self, now: float) -> float | None:
        """Seconds since the last ping was sent; None without a connection that brought one (ENGINE-056)."""
        return now - self._pings.alive_at if self.phase is Phase.READY else None

    def connected(self, now: float) -> None:
        """There is a connection."""
        self.phase = Phase.CONNECTED
        self.init_at = None
        self._pings = PingAge(now)
        self._outbox.put_first(self._metadata)
        self.on_output()

    def disconnected(self, now: float) -> None:
        """There is none any more, or again none could be made (ENGINE-059)."""
        self._requests.disconnected()
        self._outbox.disconnected()
        self._intents.clear()
        if self._lost_at is None and not self._is_lost:
            threshold = self._lost_threshold
            # A connection that was silent is gone since it should have spoken, not since that was noticed.
            gone = min(now, self._pings.alive_at + threshold) if self.phase is Phase.READY else now
            self._lost_at = gone + threshold
        self.phase = Phase.OFFLINE

    def ended(self, reason: str) -> None:
        """No other connection follows (ENGINE-203)."""
        self.phase = Phase.OFFLINE
        self._over = reason
        self._lost_at = None
        self._outbox.clear()
        self._requests.fail_all(reason)

    def evicted(self, reason: str) -> None:
        """Another process has this envoy's key (ENGINE-052)."""
        self.ended(reason)
        self._handover.call(self._listener.evicted, reason)

    def next_frame(self) -> bytes | None:
        """What is to be written now."""
        while (item := self._outbox.pop(everything=self.phase is Phase.READY)) is not None:
            if isinstance(item, bytes):
                return item
            if isinstance(item, Letter):
                if item.client is not None:
                    item.client.begun = True
                return item.frame
            if self._requests.still_wanted(item):
                item.sent = True
                return item.frame
        return None

    def silent(self, now: float) -> bool:
        """Whether no ping came for so long that the engine has given the connection up: what is read from it yet is old."""
        return self.phase is not Phase.OFFLINE and now - self._pings.alive_at > self._lost_threshold

    def overdue(self, now: float) -> str | None:
        """Why the connection is to be given up, if it is: a half-open one says nothing by itself (ENGINE-232)."""
        if self.phase is Phase.OFFLINE:
            return None
        if self.silent(now):
            return f"no ping for {self._lost_threshold:g} s"
        late = [life for life, due in self._intents.items() if now >= due]
        return f"no answer to an intent of {late[0][0]} for {self._settings.intent:g} s" if late else None

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._requests.expire(now)
        self._history.sweep(now - self.limits.actor_stop_threshold / 1000 - self._settings.final)
        if self.phase is Phase.READY and (acks := self._commands.acknowledge(now)) is not None:
            self._send(acks)
        if self._lost_at is not None and now >= self._lost_at:
            self._lose()

    def _lose(self) -> None:
        """All generations of this process are given away (ENGINE-060)."""
        self._lost_at, self._is_lost = None, True
        self._requests.fail_all("there was no connection for too long: the generation is lost")
        self._outbox.clear()
        self._handover.call(self._listener.lost)

    # From the engine.

    def receive(self, frame: bytes, now: float) -> None:
        """Take one frame."""
        try:
            message = messages.decode(frame)
        except DecodeError as error:
            log.error("a message of the engine was not understood", tag=frame[0] if frame else None, bytes=len(frame), reason=str(error))
            return
        match message:
            case TunnelMessage():
                self._arrives(message, len(frame) + OVERHEAD)
            case messages.Ping(ts):
                self._ping(ts, now)
            case messages.PagesResponse() | messages.CommitResponse() | messages.KvResponse():
                self._requests.answer(message)
            case messages.Commands(commands):
                self._ordered(commands, now)
            case messages.AckEvents(checkpoints):
                self._history.acknowledged(checkpoints)
            case messages.Init():
                self._init(message, now)

    def _init(self, init: messages.Init, now: float) -> None:
        self.limits = init
        self.init_at, self._greeted = now, True
        self._lost_at, self._is_lost = None, False
        self.phase = Phase.GREETED
        for events in self._history.again():
            self._outbox.put_first(messages.encode(events))
        self._on_init()
        self.on_output()

    def _ping(self, ts: int, now: float) -> None:
        self._outbox.put_first(messages.encode(messages.Pong(ts)))
        self._pings.heard(ts, now)
        if self.phase is Phase.GREETED:
            self.phase = Phase.READY
            for request in self._requests.unsent():
                self._outbox.put(request)
            if self._draining:
                self._send(messages.Stopping())
        self.on_output()

    def _ordered(self, commands: Any, now: float) -> None:
        fresh, unborn = self._commands.take(commands, now)
        for life in unborn:
            # Nothing ran here, and the engine waits for the end of it: half an hour, unless it is told.
            self.event(life, StateEvent(Stopped(StopCode.OK)), now)
        for command in fresh:
            life = command.checkpoint.life
            if isinstance(command.inner, Start):
                self._history.begun(life)
                self._clients.parked(life[0], command.inner.parked)
                self._handover.call(self._listener.start, life, command.inner)
            elif isinstance(command.inner, Stop):
                self._intents.pop(life, None)
                if command.inner.reason is Reason.LOST:
                    self._requests.fail(life)
                    self._outbox.drop_actor(life[0])
                self._handover.call(self._listener.stop, life, command.inner.reason)

    def _arrives(self, message: TunnelMessage, size: int) -> None:
        self._clients.arrives(message)
        if self._clients.is_given_up(message.message_id.key):
            return
        calls, waiting = self._handover.waiting
        room = calls < self._settings.incoming_calls and waiting + size <= self._settings.incoming_bytes
        if room or isinstance(message.kind, (Abort, ClientClose)):
            self._handover.call(self._listener.tunnel, message, size=size)
        else:
            log.error("the host takes too long: a request of a client is ended", messages=calls, bytes=waiting)
            self._end(self._clients.get(message), NO_ROOM)

    # To the engine.

    def event(self, life: Life, inner: Inner, now: float) -> None:
        """Report something of a generation."""
        event = self._history.add(life, inner, now)
        if isinstance(inner, IntentEvent):
            self._intents[life] = now + self._settings.intent
        elif isinstance(inner, StateEvent) and isinstance(inner.state, Stopped):
            self._intents.pop(life, None)
            if self._history.is_newest(life):
                self._clients.forget(life[0])
        if self.phase is Phase.GREETED:
            # After those that were sent again, and before the ping that lets everything else go.
            self._outbox.put_first(messages.encode(messages.Events((event,))))
            self.on_output()
        elif self.phase is Phase.READY:
            self._send(messages.Events((event,)))

    def tunnel(self, message: TunnelMessage) -> None:
        """Send a message to a client, or end its request when that is impossible."""
        client = self._clients.get(message)
        if self._clients.is_given_up(client.key):
            return
        if payload(message) > self.limits.max_response_payload_size:
            log.error("a message to a client is larger than the engine takes", bytes=payload(message))
            self._end(client, TOO_LONG)
            return
        try:
            frame = messages.encode(message)
        # Whatever it is: the engine would close the connection of all for it.
        except Exception as error:
            log.error("a message to a client cannot be written", reason=repr(error))
            self._end(client, UNWRITABLE)
            return
        self._clients.leaves(message, client)
        self._outbox.put(Letter(frame, client))
        room = self._settings.offline_bytes if self.phase is Phase.OFFLINE else self._settings.online_bytes
        while self._outbox.size > room and (victim := self._outbox.least_missed()) is not None:
            log.error("too much waits for the engine: a request of a client is ended", bytes=self._outbox.size)
            self._end(victim, NO_ROOM)
        self.on_output()

    def stopping(self) -> None:
        """Ask for the actors to be moved, over this connection and all that follow."""
        self._draining = True
        if self.phase is Phase.READY:
            self._send(messages.Stopping())

    def request(self, data: GetPages | CommitPages | messages.KvPut, actor_id: str, future: Future[Any], now: float) -> None:
        """Ask the engine for something."""
        if self._over is not None:
            fail(future, LinkLostError(self._over))
            return
        try:
            request = self._requests.add(data, actor_id, now + self._settings.request, future)
        # Values that the format has no place for are the fault of who asked, and nobody else's.
        except Exception as error:
            fail(future, error)
            return
        if self.phase is Phase.READY:
            self._outbox.put(request)
            self.on_output()

    def _send(self, message: messages.ToRivet) -> None:
        self._outbox.put(Letter(messages.encode(message)))
        self.on_output()

    def _end(self, client: Client, reason: str) -> None:
        """End a request from both sides: neither hears only a part without knowing."""
        # Of a WebSocket arrives what can; an answer that has not begun is replaced as a whole.
        if reason == NO_ROOM or not client.socket:
            self._outbox.drop_client(client)
        self._clients.give_up(client)
        # Of no client: it must not be left out in its turn.
        self._outbox.put(Letter(messages.encode(client.end_for_gateway(reason)), kept=True))
        self._handover.call(self._listener.tunnel, client.end_for_actor(reason))
        self.on_output()
