"""An engine in this process for tests: a WebSocket server on a thread of its own, with switches for what can go wrong.

    with FakeEngine() as engine:
        link = EnvoyLink(engine.url, "default", "pool", names=["counter"], listener=listener)
        await link.open()
        engine.start("actor", "counter")                      # a command; kept and given again until acknowledged
        await engine.wait_for(AckCommands)                    # what the envoy sent; `engine.received` has all of it in order
        message_id = engine.http("actor", "GET", "/health")
        assert (await engine.answers(message_id))[0].kind.status == 200

Everything may be called from any thread; only `until`, `wait_for...` and `answers` are coroutines. It runs on its own thread so that a test
may block its loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket as sockets
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from runtime.hosting.engine.ports import RefusedError
from runtime.hosting.engine.protocol import messages
from runtime.hosting.engine.protocol.lives import (
    ActorConfig,
    Checkpoint,
    Command,
    Event,
    IntentEvent,
    Reason,
    Running,
    SleepIntent,
    Start,
    StateEvent,
    Stop,
    StopCode,
    Stopped,
)
from runtime.hosting.engine.protocol.messages import (
    AckCommands,
    AckEvents,
    Commands,
    CommitRequest,
    CommitResponse,
    Events,
    Init,
    KvFailed,
    KvRequest,
    KvResponse,
    KvWritten,
    PagesRequest,
    PagesResponse,
    Ping,
    Stopping,
)
from runtime.hosting.engine.protocol.tunnel import (
    Abort,
    Chunk,
    ClientClose,
    FromClient,
    MessageId,
    RequestStart,
    SocketMessage,
    SocketOpen,
    TunnelMessage,
)
from tests.runtime.hosting.engine.fake_pages import FakePages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.hosting.engine.protocol.lives import ParkedRequest
    from runtime.hosting.engine.protocol.messages import ToEnvoy, ToRivet

M = TypeVar("M")
TIMEOUT = 5.0
POLL = 0.002
GATEWAY = b"gate"


class NextCommit(Enum):
    """What happens to the next commit."""

    APPLY = "apply"
    DROP_BEFORE = "drop_before"
    """The connection breaks, and it was not done."""
    DROP_AFTER = "drop_after"
    """It is done, and the connection breaks before the answer."""


class Received(NamedTuple):
    """A message of the envoy, and over which connection it came (from 1)."""

    session: int
    message: ToRivet


@dataclass
class Placed:
    """An actor as the engine sees it; `awake` from the start command to `Stopped`."""

    name: str
    key: str | None
    input: bytes | None
    generation: int = 0
    command: int = 0
    event: int = -1
    awake: bool = False
    running: bool = False
    leaving: Reason | None = None
    wake: bool = False
    destroyed: bool = False
    alarm_ms: int | None = None
    stopped: Stopped | None = None
    parked: Sequence[ParkedRequest] = field(default=())


class FakeEngine:
    """See the module.

    Args:
        lost: The lost threshold of `Init`, in seconds.
        stop: The stop threshold of `Init`, in seconds.
        payload: The largest payload of `Init`, in bytes.
        ping_every: Seconds between pings; None for none but those that `ping` sends and the first.
        obeys: Intents and `Stopping` are answered by stop commands, and an actor that was woken starts again once it stopped.

    Attributes:
        refuse: A close reason for every new connection, as `namespace.not_found`.
        first_ping: Whether a ping follows each init.
        silent: No init, either.
        replays_all: After each init also commands are given again that were acknowledged.
        next_commit: What happens to the next commit; it is reset by it.
        answers_pages: Whether requests are answered at all.
        before_ping: Called between init and first ping of each connection, with this engine.
        received: All messages but pongs, in order.
        pongs: All pongs.
        handshakes: Paths and offered sub-protocols.
        farewells: Close codes and reasons of connections, as the envoy sent them.
        actors: Placed actors by id.
        pages: All databases.
        rows: Rows of the key-value store by actor id.
    """

    def __init__(
        self,
        *,
        lost: float = 15.0,
        stop: float = 1800.0,
        payload: int = 20_971_520,
        ping_every: float | None = 1.0,
        obeys: bool = True,
    ) -> None:
        self.init = Init(int(lost * 1000), int(stop * 1000), payload)
        self.ping_every = ping_every
        self.obeys = obeys
        self.refuse: str | None = None
        self.first_ping = True
        self.silent = False
        self.replays_all = False
        self.next_commit = NextCommit.APPLY
        self.answers_pages = True
        self.before_ping: Callable[[FakeEngine], object] = lambda _: None
        self.received: list[Received] = []
        self.pongs: list[int] = []
        self.handshakes: list[tuple[str, Sequence[str]]] = []
        self.farewells: list[tuple[int | None, str | None]] = []
        self.actors: dict[str, Placed] = {}
        self.pages = FakePages()
        self.rows: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
        self.sessions = 0
        self._stored: list[Command] = []
        self._acknowledged: list[Command] = []
        self._requests = itertools.count(1)
        self._indexes: defaultdict[tuple[bytes, bytes], int] = defaultdict(int)
        self._lock = threading.RLock()
        self._socket: ServerConnection | None = None
        self._port = 0
        self._server: Any = None

    # Life.

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut_down()

    def listen(self) -> None:
        """Take connections; after `shut_down` at the same port again."""
        self._server = serve(
            self._connection,
            "127.0.0.1",
            self._port,
            subprotocols=[Subprotocol("rivet")],
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=0.2,
        )
        self._port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, name="fake-engine", daemon=True).start()

    def shut_down(self) -> None:
        """Break the connection and take no other."""
        self._server.shutdown()
        self.drop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    # What the envoy said.

    def of(self, kind: type[M]) -> list[M]:
        """All messages of a kind so far."""
        return [one.message for one in list(self.received) if isinstance(one.message, kind)]

    def events(self, actor_id: str | None = None) -> list[Event]:
        """All events so far, repeated ones included."""
        found = [event for message in self.of(Events) for event in message.events]
        return [event for event in found if actor_id in (None, event.checkpoint.actor_id)]

    async def until(self, condition: Callable[[], object], timeout: float = TIMEOUT) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110 - the condition is about another thread
                await asyncio.sleep(POLL)

    async def wait_for(self, kind: type[M], count: int = 1, timeout: float = TIMEOUT) -> list[M]:
        """Wait for so many messages of a kind; all of the kind so far."""
        await self.until(lambda: len(self.of(kind)) >= count, timeout)
        return self.of(kind)

    async def wait_for_events(self, actor_id: str | None = None, count: int = 1, timeout: float = TIMEOUT) -> list[Event]:
        """Wait for so many events; all so far."""
        await self.until(lambda: len(self.events(actor_id)) >= count, timeout)
        return self.events(actor_id)

    def messages_of(self, message_id: MessageId) -> list[TunnelMessage]:
        """What answers one request so far."""
        return [message for message in self.of(TunnelMessage) if message.message_id.key == message_id.key]

    async def answers(self, message_id: MessageId, count: int = 1, timeout: float = TIMEOUT) -> list[TunnelMessage]:
        """Wait for so many messages of one request; all so far."""
        await self.until(lambda: len(self.messages_of(message_id)) >= count, timeout)
        return self.messages_of(message_id)

    # What the engine says.

    def send(self, message: ToEnvoy) -> bool:
        """Send a message; whether there was a connection."""
        return self.send_raw(messages.TO_ENVOY.encode(message))

    def send_raw(self, frame: bytes | str) -> bool:
        """Send a frame, whatever it is."""
        socket = self._socket
        if socket is None:
            return False
        try:
            socket.send(frame)
        except ConnectionClosed:
            return False
        return True

    def ping(self, ts: int | None = None) -> None:
        """Send a ping."""
        self.send(Ping(int(time.time() * 1000) if ts is None else ts))

    def start(
        self,
        actor_id: str,
        name: str = "actor",
        *,
        key: str | None = None,
        input: bytes | None = None,
        parked: Sequence[ParkedRequest] = (),
    ) -> Checkpoint:
        """Start the next generation of an actor here."""
        with self._lock:
            placed = self.actors.setdefault(actor_id, Placed(name, key, input))
            placed.generation += 1
            placed.command, placed.event = 1, -1
            placed.awake, placed.running, placed.leaving, placed.wake, placed.stopped = True, False, None, False, None
            self.pages.generations[actor_id] = placed.generation
            config = ActorConfig(placed.name, placed.key, int(time.time() * 1000), placed.input)
            return self.command(Checkpoint(actor_id, placed.generation, 1), Start(config, tuple(parked)))

    def stop(self, actor_id: str, reason: Reason = Reason.GOING_AWAY, generation: int | None = None) -> Checkpoint:
        """Stop the present generation, or another."""
        with self._lock:
            placed = self.actors[actor_id]
            placed.command += 1
            placed.leaving = reason
            if reason is Reason.LOST:
                placed.awake = placed.running = False
            return self.command(Checkpoint(actor_id, generation or placed.generation, placed.command), Stop(reason))

    def command(self, checkpoint: Checkpoint, inner: Start | Stop) -> Checkpoint:
        """Give any command, and store it until it is acknowledged."""
        command = Command(checkpoint, inner)
        with self._lock:
            self._stored.append(command)
        self.send(Commands((command,)))
        return checkpoint

    def wake(self, actor_id: str) -> None:
        """Somebody wants the actor: start it if it sleeps, else once it does."""
        with self._lock:
            placed = self.actors[actor_id]
            if placed.awake:
                placed.wake = placed.leaving is not None or not placed.running
            elif not placed.destroyed:
                self.start(actor_id)

    def http(
        self,
        actor_id: str,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        stream: bool = False,
    ) -> MessageId:
        """A client's HTTP request."""
        return self.tunnel(self.new_request(), RequestStart(actor_id, method, path, dict(headers or {}), body, stream))

    def chunk(self, request: MessageId, body: bytes, *, finish: bool = False) -> MessageId:
        """More of the body of a request."""
        return self.tunnel(request, Chunk(body, finish))

    def abort(self, request: MessageId) -> MessageId:
        """The client of an HTTP request gave up."""
        return self.tunnel(request, Abort())

    def web_socket(self, actor_id: str, path: str, headers: Mapping[str, str] | None = None) -> MessageId:
        """A client opens a WebSocket."""
        return self.tunnel(self.new_request(), SocketOpen(actor_id, path, dict(headers or {})))

    def say(self, request: MessageId, data: bytes | str) -> MessageId:
        """A client's message; the id has its number."""
        text = isinstance(data, str)
        return self.tunnel(request, SocketMessage(data.encode() if isinstance(data, str) else data, binary=not text))

    def hang_up(self, request: MessageId, code: int | None = 1000, reason: str | None = None) -> MessageId:
        """A client closes."""
        return self.tunnel(request, ClientClose(code, reason))

    def new_request(self) -> MessageId:
        """The id of a request that nothing was said of."""
        return MessageId(GATEWAY, next(self._requests).to_bytes(4, "big"), 0)

    def tunnel(self, request: MessageId, kind: FromClient) -> MessageId:
        """Any message of a client, with the next number of its request."""
        with self._lock:
            index = self._indexes[request.key]
            self._indexes[request.key] += 1
            message_id = MessageId(request.gateway_id, request.request_id, index)
            self.send(TunnelMessage(message_id, kind))
        return message_id

    # What goes wrong.

    def drop(self) -> None:
        """Break the connection without a word."""
        socket = self._socket
        self._socket = None
        if socket is not None:
            # The socket itself, not the connection: a close frame would be a word.
            _break(socket)

    def close(self, code: int = 1011, reason: str = "ws.going_away#ray") -> None:
        """Close the connection as an engine does."""
        socket = self._socket
        if socket is not None:
            socket.close(code, reason)

    def evict(self) -> None:
        """Another connection took the key."""
        self.close(1000, "ws.eviction#ray")

    # The connection.

    def _connection(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        offered = socket.request.headers.get_all("Sec-WebSocket-Protocol")
        self.handshakes.append((socket.request.path, [one.strip() for line in offered for one in line.split(",")]))
        if self.refuse is not None:
            socket.close(1011, f"{self.refuse}#ray")
            return
        with self._lock:
            self.sessions += 1
            session = self.sessions
            self._socket = socket
        if not self.silent:
            self._greet()
        done = threading.Event()
        if self.ping_every is not None and not self.silent:
            threading.Thread(target=self._keep_pinging, args=(socket, done), daemon=True).start()
        try:
            for frame in socket:
                if isinstance(frame, bytes):
                    self._take(session, messages.TO_RIVET.decode(frame), socket)
        except ConnectionClosed:
            pass
        finally:
            done.set()
            with self._lock:
                if self._socket is socket:
                    self._socket = None
            self.farewells.append((socket.close_code, socket.close_reason))

    def _greet(self) -> None:
        with self._lock:
            self.send(self.init)
            stored = (self._acknowledged if self.replays_all else []) + self._stored
            if stored:
                self.send(Commands(tuple(stored)))
        self.before_ping(self)
        if self.first_ping:
            self.ping()

    def _keep_pinging(self, socket: ServerConnection, done: threading.Event) -> None:
        while self.ping_every is not None and not done.wait(self.ping_every):
            if self.first_ping and self._socket is socket:
                self.ping()

    def _take(self, session: int, message: ToRivet, socket: ServerConnection) -> None:
        if isinstance(message, messages.Pong):
            self.pongs.append(message.ts)
            return
        with self._lock:
            self.received.append(Received(session, message))
            match message:
                case AckCommands(checkpoints):
                    self._forget(checkpoints)
                case Events(events):
                    for event in events:
                        self._event(event)
                case Stopping():
                    if self.obeys:
                        for actor_id in [one for one, placed in self.actors.items() if placed.awake]:
                            self.stop(actor_id, Reason.GOING_AWAY)
                case PagesRequest(request_id, wanted) if self.answers_pages:
                    self.send(PagesResponse(request_id, _answer(self.pages.get_pages, wanted)))
                case CommitRequest() if self.answers_pages:
                    self._commit(message, socket)
                case KvRequest(actor_id, request_id, data) if self.answers_pages:
                    if len(data.keys) > 128:
                        self.send(KvResponse(request_id, KvFailed("a maximum of 128 keys is allowed")))
                    else:
                        self.rows[actor_id].update(zip(data.keys, data.values, strict=True))
                        self.send(KvResponse(request_id, KvWritten()))

    def _commit(self, request: CommitRequest, socket: ServerConnection) -> None:
        fate, self.next_commit = self.next_commit, NextCommit.APPLY
        if fate is not NextCommit.DROP_BEFORE:
            answer = _answer(self.pages.commit_pages, request.data)
            if fate is NextCommit.APPLY:
                self.send(CommitResponse(request.request_id, answer))
                return
        self._socket = None
        _break(socket)

    def _forget(self, checkpoints: Sequence[Checkpoint]) -> None:
        done = {checkpoint.life: checkpoint.index for checkpoint in checkpoints}
        gone = [command for command in self._stored if command.checkpoint.index <= done.get(command.checkpoint.life, -1)]
        self._acknowledged += gone
        self._stored = [command for command in self._stored if command not in gone]

    def _event(self, event: Event) -> None:
        placed = self.actors.get(event.checkpoint.actor_id)
        if placed is None or event.checkpoint.generation != placed.generation or event.checkpoint.index <= placed.event:
            return
        placed.event = event.checkpoint.index
        match event.inner:
            case StateEvent(Running()):
                placed.running = True
            case StateEvent(Stopped() as stopped):
                self._stopped(event.checkpoint.actor_id, placed, stopped)
            case IntentEvent(intent):
                if self.obeys and placed.running and placed.leaving is None:
                    sleep = isinstance(intent, SleepIntent)
                    self.stop(event.checkpoint.actor_id, Reason.SLEEP_INTENT if sleep else Reason.STOP_INTENT)
            case alarm:
                placed.alarm_ms = alarm.at_ms

    def _stopped(self, actor_id: str, placed: Placed, stopped: Stopped) -> None:
        asked = placed.leaving
        placed.awake = placed.running = False
        placed.stopped = stopped
        # An end that nobody asked for destroys, if it went well (ENGINE-084).
        placed.destroyed = stopped.code is StopCode.OK and asked in (None, Reason.STOP_INTENT, Reason.DESTROY)
        if placed.destroyed:
            self.pages.heads.pop(actor_id, None)
            self.pages.pages.pop(actor_id, None)
        elif self.obeys and placed.wake:
            self.start(actor_id)

    def acknowledge_events(self, *checkpoints: Checkpoint) -> None:
        """Say that events were stored."""
        self.send(AckEvents(checkpoints))


def _answer(ask: Callable[[Any], Any], request: Any) -> Any:
    try:
        return ask(request)
    except RefusedError as error:
        return error.refused


def _break(socket: ServerConnection) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sockets.SHUT_RDWR)
