"""uvicorn's WebSockets, made to fit: the handshake is uvicorn's, everything after it is here.

What differs: no client holds the loop, whatever its bytes are (`FRAMES_PER_TURN`), what waits for the application is bounded, and reading
pauses until it took it; floods of frames that carry nothing close the socket; a client that was lost is told from one that left
(WIRE-267); and whatever is closed here is cut when the client does not take part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from runtime.errors import make_error
from runtime.gateway.room import DEFAULT_ROOM, DIRECT_WIRE, Backlog, DirectWire, Room
from runtime.serving import websocket_frames as wire
from runtime.serving.limits import DEFAULT_LIMITS, ServerLimits
from runtime.serving.websocket_frames import Assembly, BrokenFrame, Flooded, FrameReader, MessageTooLong, PerSecond

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState
    from websockets.http11 import Request

FRAMES_PER_TURN = 128
"""Frames of one client that are taken in one turn of the loop: a fraction of a millisecond."""
QUEUED_MESSAGES = 16
QUEUED_BYTES = 64 * 1024
"""Reading pauses when so much waits for the application; one message more may be there, of whatever size."""
CLOSING_TIME = 10.0
"""Seconds a client has to take part in a close, and to read what it was sent before; then it is cut."""

LOST = 1006
POLICY = 1008
RESTART = 1012


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """`Config(ws=functools.partial(WebSocketProtocol, limits=limits))`. Implements WIRE-265, WIRE-267, WIRE-605, RAWWS-022."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        limits: ServerLimits = DEFAULT_LIMITS,
        room: Room = DEFAULT_ROOM,
        incoming: Room = DEFAULT_ROOM,
    ) -> None:
        super().__init__(config, server_state, app_state)
        # The same queue: uvicorn's types know no event of our own.
        self._events: asyncio.Queue[Any] = self.queue
        self._reader = FrameReader(limits.websocket_frame)
        self._assembly = Assembly(limits.websocket_fragments, self.loop.time)
        self._controls = PerSecond(limits.websocket_control_frames)
        self._open = False
        # Nothing more is expected of the client: what still comes is dropped.
        self._deaf = False
        # A message was too long: the application is about to close.
        self._dropping = False
        self._lost = False
        self._told = False
        self._turn_due = False
        self._queued_bytes = 0
        self._incoming = incoming
        self._inbound = Backlog(incoming)
        self._pong: bytes | None = None
        self._backlog = Backlog(room)
        self._unwritten = 0
        self._ping_interval = limits.ping_interval
        self._ping_timeout = limits.ping_timeout
        self._heard = True
        self._pinged = False

    def handle_connect(self, event: Request) -> None:
        """The handshake; the application is told of a shorter way than `send`."""
        super().handle_connect(event)
        # Without a scope there was something wrong with it, and the client has its answer.
        if not self.close_sent:
            self._backlog.on_cut = self._inbound.on_cut = self.transport.abort
            cast("Any", self.scope)["extensions"][DIRECT_WIRE] = DirectWire(self._write_now, self._backlog, self._incoming)

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """The handshake goes to uvicorn, everything after it is frames."""
        if not self.handshake_initiated:
            super().data_received(data)
            return
        if self._deaf:
            return
        # Whatever it is: what a client sends says that it lives.
        self._heard = True
        self._reader.feed(data)
        if not self._open:
            # A client has to wait for the answer; if it does not, what it sent does.
            self._pause_reading()
        elif not self._turn_due:
            self._parse()

    def eof_received(self) -> None:
        """The client sends no more: it is gone, even if it still reads."""
        # The transport closes itself when it has written everything, which a client that does not read can prevent.
        self._cut_later()
        self._gone()

    def connection_lost(self, exc: Exception | None) -> None:
        """There is no connection any more."""
        self.stop_keepalive()
        self.connections.discard(self)
        self.disconnected = self.handshake_complete = True
        # Whoever waits to send learns that there is nobody.
        self.writable.set()
        self._written()
        self._inbound.remove(self._inbound.size)
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = None
        self._gone()
        if exc is None:
            self.transport.close()

    def pause_writing(self) -> None:
        """The client reads too slowly: what waits in the transport counts."""
        super().pause_writing()
        self._unwritten = self.transport.get_write_buffer_size()
        self._backlog.add(self._unwritten)

    def resume_writing(self) -> None:
        """The client has read what was sent."""
        super().resume_writing()
        self._written()
        pong, self._pong = self._pong, None
        if pong is not None and not self.close_sent:
            self.transport.write(wire.frame(wire.PONG, pong))

    def shutdown(self) -> None:
        """The server ends."""
        if not self._open or self.close_sent:
            super().shutdown()
        else:
            self._send_close(RESTART, "")
            self.transport.close()
        self._cut_later()

    # What the application calls.

    async def run_asgi(self) -> None:
        """Run the application; when it has ended, the connection ends soon, whatever the client does."""
        await super().run_asgi()
        if not self.disconnected:
            self._cut_later()

    async def receive(self) -> Any:
        """The next event; reading goes on when the application has taken all."""
        message = await self._events.get()
        if self._open and self._events.empty():
            self._queued_bytes = 0
            if self._inbound.size:
                self._inbound.remove(self._inbound.size - self._assembly.unfinished)
            if self.read_paused and not self._turn_due:
                self._next_turn()
        return message

    async def send(self, message: Any) -> None:
        """Write a message, when the client has read those before; or close."""
        if not self._open:
            await super().send(message)
            if message["type"] == "websocket.accept" and self.handshake_complete and not self.disconnected:
                self._opened()
            elif message["type"] == "websocket.http.response.body" and self.close_sent:
                # Refused with a response: uvicorn takes that for a handshake without an answer, and logs an error.
                self.handshake_complete = True
            return
        if not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected or self.close_sent:
            raise ClientDisconnected
        if message["type"] == "websocket.close":
            self._send_close(message.get("code", 1000), message.get("reason") or "")
            return
        data = message.get("bytes")
        self.transport.write(wire.frame(wire.TEXT, message["text"].encode()) if data is None else wire.frame(wire.BINARY, data))

    def _write_now(self, data: str | bytes) -> bool:
        """`DirectWire.write`."""
        if not self._open or self.close_sent or self.disconnected or not self.writable.is_set():
            return False
        self.transport.write(wire.frame(wire.TEXT, data.encode()) if isinstance(data, str) else wire.frame(wire.BINARY, data))
        return True

    def _written(self) -> None:
        size, self._unwritten = self._unwritten, 0
        self._backlog.remove(size)

    def _opened(self) -> None:
        self._open = True
        self._queued_bytes = 0
        if self._ping_interval is not None:
            self.ping_timer = self.loop.call_later(self._ping_interval, self._look)
        self._parse()

    # Frames.

    def _parse(self) -> None:
        """Take frames until there are none, the application has enough, or the turn is over."""
        self._turn_due = False
        reader, queue = self._reader, self._events
        try:
            for _ in range(FRAMES_PER_TURN):
                if self._deaf:
                    return
                full = queue.qsize() >= QUEUED_MESSAGES or self._queued_bytes >= QUEUED_BYTES
                # Behind our own close frame nothing is queued, and the client's is looked for.
                if full and not self.close_sent and not self._dropping:
                    self._pause_reading()
                    return
                part = reader.next()
                if part is None:
                    self._all_taken()
                    return
                self._take(*part)
        except BrokenFrame as error:
            self._fail(error.code, error.reason)
        except Flooded:
            self._flooded()
        except MessageTooLong:
            self._too_long()
        else:
            self._next_turn()

    def _next_turn(self) -> None:
        self._pause_reading()
        self._turn_due = True
        self.loop.call_soon(self._parse)

    def _all_taken(self) -> None:
        if self._lost:
            self._tell(LOST, "")
        elif self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def _pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _take(self, opcode: int, ends: bool, payload: bytes) -> None:
        if opcode > wire.BINARY:
            if self._controls.exceeded(self.loop.time()):
                raise Flooded
            if opcode == wire.PING:
                self._answer_ping(payload)
            elif opcode == wire.CLOSE:
                self._client_closes(payload)
        elif not self.close_sent and not self._dropping:
            message = self._assembly.take(opcode, ends, payload)
            if message is not None:
                kind = "text" if isinstance(message, str) else "bytes"
                self._events.put_nowait({"type": "websocket.receive", kind: message})
                self._queued_bytes += len(message)
            # Frames that came alone are small or gone soon; what is large came in pieces.
            if not ends or opcode == wire.CONTINUATION:
                self._inbound.add(len(payload))

    def _answer_ping(self, payload: bytes) -> None:
        # To a client that does not read only the latest one counts (RFC 6455, 5.5.3): they must not pile up.
        if not self.writable.is_set():
            self._pong = payload
        else:
            self.transport.write(wire.frame(wire.PONG, payload))

    # Ends.

    def _client_closes(self, payload: bytes) -> None:
        code, reason = wire.close_of(payload)
        if not self.close_sent:
            self.close_sent = True
            self.stop_keepalive()
            self._tell(code, reason)
            self.transport.write(wire.frame(wire.CLOSE, payload))
        self._deaf = True
        self.transport.close()
        self._cut_later()

    def _send_close(self, code: int, reason: str) -> None:
        """Close, and wait for the client's part of it."""
        self.transport.write(wire.frame(wire.CLOSE, wire.close_payload(code, reason)))
        self.close_sent = True
        self.stop_keepalive()
        self._tell(code, reason)
        self._assembly.drop()
        self._cut_later()
        if self._deaf:
            self._end_writing()
        elif self.read_paused and not self._turn_due:
            # What waits unread hides the client's answer.
            self._next_turn()

    def _fail(self, code: int, reason: str) -> None:
        """The client broke a rule: close, and hear no more of it."""
        self._deaf = True
        if self.close_sent:
            self.transport.abort()
        else:
            self._send_close(code, reason)

    def _flooded(self) -> None:
        self._fail(POLICY, make_error("guard.rate_limit").name)

    def _too_long(self) -> None:
        if not self.close_sent:
            # The gateway's to answer, with words of its own (WIRE-266).
            self._dropping = True
            self._assembly.drop()
            self._events.put_nowait({"type": "websocket.oversized"})
        self._next_turn()

    def _end_writing(self) -> None:
        # Closing at once would take the frame back from a client that is still sending: the kernel answers unread bytes with a reset.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def _gone(self) -> None:
        if self._lost:
            return
        self._lost = True
        # What came before is handed over first; whoever is behind with it gets to this, too.
        if self._deaf or not self._open:
            self._tell(LOST, "")
        elif not self._turn_due and not self.read_paused:
            self._parse()

    def _tell(self, code: int, reason: str) -> None:
        """The application learns the end, once."""
        if not self._told:
            self._told = True
            self._events.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _cut_later(self) -> None:
        if self.close_timer is None:
            # Also what tells uvicorn that the connection is being ended.
            self.close_timer = self.loop.call_later(CLOSING_TIME, self.transport.abort)

    # Pings of our own (WIRE-265).

    def _look(self) -> None:
        """Every interval: ask a silent client whether it is there, and cut the one that does not answer."""
        if self._heard or self.read_paused:
            if self.read_paused and self.writable.is_set():
                # Of a client that is not listened to nothing can be heard, but its system says when there is nobody.
                self.transport.write(wire.frame(wire.PING, b""))
            self._heard = self._pinged = False
            assert self._ping_interval is not None
            delay = self._ping_interval
        elif not self._pinged:
            self._pinged = True
            if self.writable.is_set():
                self.transport.write(wire.frame(wire.PING, b""))
            delay = self._ping_timeout
        else:
            self.transport.abort()
            return
        self.ping_timer = self.loop.call_later(delay, self._look)
