"""The ASGI end of client WebSockets: accept, read, write, close.

One reader and one writer task per socket. The writer drains a queue bounded by bytes: `MAX_QUEUED_BYTES` may wait for a slow client;
what would exceed that closes the socket with 1011 `guard.websocket_pending_limit_reached`, because events must neither block the
actor nor be dropped silently. A single message may always be queued when nothing else waits.

What the server must be told, as ASGI cannot: no permessage-deflate, no pings of its own, and a frame limit above 32 MiB (uvicorn:
`ws_per_message_deflate=False, ws_ping_interval=None, ws_max_size=64 * 1024 * 1024`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from runtime import clock
from runtime.actor.connections.sockets import Upgrade, byte_size
from runtime.errors import ActorError, make_error
from runtime.gateway.client_socket import NO_STATUS, ClientSocket, SocketTable, failure_reason
from runtime.gateway.rate_limits import NO_RATE_LIMITS, LeakyBucket, RateLimits
from runtime.inspector.socket import is_inspector, open_inspector
from runtime.protocol.subprotocols import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from runtime.actor.lifecycle.task import ActorTask

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

MAX_QUEUED_BYTES = 64 * 1024 * 1024
OPEN_TIMEOUT = 15.0
FLUSH_TIMEOUT = 30.0
RETRY_DELAY = 0.005
PASSING_REFUSALS = frozenset({"actor.stopping", "actor.starting", "actor.not_ready"})

log = structlog.get_logger("runtime.gateway")


class SocketHost(Protocol):
    """What this module needs of a host."""

    @property
    def sockets(self) -> SocketTable:
        """Every client socket of the host."""
        ...

    async def ready(self, actor_id: str, *, skip_ready_wait: bool = False) -> ActorTask:
        """The live generation, started if need be; raises `ActorError` when there is none to be had."""
        ...


async def serve_websocket(host: SocketHost, upgrade: Upgrade, receive: Receive, send: Send, limits: RateLimits = NO_RATE_LIMITS) -> None:
    """Serve one client WebSocket of an actor from its `websocket.connect` to its end; hibernation and wakes happen inside.

    Called by the gateway before `websocket.connect` was received. Never raises `ActorError`: failures reach the client as close frames.
    Implements WIRE-262, WIRE-264, WIRE-266, WIRE-267, WIRE-268.
    """
    if not await accept_websocket(receive, send, upgrade.headers):
        return
    transport = WebSocketTransport(send)
    socket = ClientSocket(upgrade, host.sockets, transport)
    transport.on_overflow = lambda: socket.fail(make_error("guard.websocket_pending_limit_reached"))
    bucket = None if limits.message_burst is None else LeakyBucket(limits.message_burst, limits.message_interval)
    reader = asyncio.create_task(_read(socket, transport, receive, bucket))
    try:
        await _open(host, socket)
        await transport.finished()
    finally:
        reader.cancel()
        await asyncio.gather(reader, transport.stop(), return_exceptions=True)
        # Reached with an open socket only when the server cancels the application: the client is gone.
        socket.disconnected(NO_STATUS, "")


async def refuse_websocket(
    error: ActorError, ray_id: str, receive: Receive, send: Send, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Accept and close with 1011 `group.code#ray`: how every gateway failure reaches a WebSocket client (WIRE-262, WIRE-264)."""
    if await accept_websocket(receive, send, headers):
        await send({"type": "websocket.close", "code": 1011, "reason": failure_reason(error, ray_id)})


async def accept_websocket(receive: Receive, send: Send, headers: tuple[tuple[bytes, bytes], ...] = ()) -> bool:
    """Answer the upgrade with sub-protocol `rivet`; False when the client is already gone."""
    message = await receive()
    if message["type"] != "websocket.connect":
        return False
    try:
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL, "headers": list(headers)})
    except OSError:
        return False
    return True


async def _open(host: SocketHost, socket: ClientSocket) -> None:
    """Hand the socket to a generation; one that stops before it admitted the socket is followed by the next (CONN-085)."""
    upgrade = socket.upgrade
    try:
        while True:
            task = await host.ready(upgrade.actor_id, skip_ready_wait=upgrade.skip_ready_wait)
            if socket.closed:
                return
            try:
                async with asyncio.timeout(OPEN_TIMEOUT):
                    await (open_inspector(task, socket) if is_inspector(upgrade) else task.open_socket(socket))
                return
            except ActorError as error:
                if upgrade.skip_ready_wait or f"{error.group}.{error.code}" not in PASSING_REFUSALS:
                    raise
                await clock.sleep(RETRY_DELAY)
    except TimeoutError:
        socket.fail(make_error("guard.websocket_open_timeout"))
    except ActorError as error:
        socket.fail(error)
    except Exception:
        log.exception("client socket could not be opened", actor_id=upgrade.actor_id)
        socket.fail(make_error("core.internal_error"))


async def _read(socket: ClientSocket, transport: WebSocketTransport, receive: Receive, bucket: LeakyBucket | None) -> None:
    # Messages beyond the first stay with the server while no generation is attached: that is the back-pressure of a hibernating socket.
    while True:
        message = await receive()
        if message["type"] == "websocket.receive":
            if bucket is not None:
                if (delay := bucket.delay()) > 0:
                    await clock.sleep(delay)
                    bucket.delay()
                bucket.add()
            text = message.get("text")
            socket.receive(message["bytes"] if text is None else text)
            if not socket.attached:
                await socket.flowing()
        else:
            transport.lost()
            code = message.get("code")
            socket.disconnected(NO_STATUS if code is None else int(code), message.get("reason") or "")
            return


class WebSocketTransport:
    """The outgoing half of one socket: an ordered queue and the task that writes it."""

    def __init__(self, send: Send) -> None:
        self.on_overflow: Callable[[], None] = lambda: None
        self._send = send
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._wanted = asyncio.Event()
        self._done = asyncio.Event()
        self._closing = False
        self._deadline: asyncio.TimerHandle | None = None
        self._writer = asyncio.create_task(self._write())

    def send(self, data: str | bytes) -> None:
        """Queue one message; dropped once closing."""
        if self._closing:
            return
        size = byte_size(data)
        if self._queue and self._queued_bytes + size > MAX_QUEUED_BYTES:
            self._queue.clear()
            self.on_overflow()
            return
        self._queued_bytes += size
        self._queue.append({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})
        self._wanted.set()

    def close(self, code: int, reason: str) -> None:
        """Queue the close frame; only the first call counts."""
        if not self._closing:
            self._closing = True
            self._queue.append({"type": "websocket.close", "code": code, "reason": reason})
            self._wanted.set()
            self._deadline = clock.call_later(FLUSH_TIMEOUT, self._done.set)

    def lost(self) -> None:
        """The client is gone: nothing can be written any more."""
        self._closing = True
        self._queue.clear()
        self._done.set()

    async def finished(self) -> None:
        """Return when the close frame is out, the client is gone, or a closing client did not read for `FLUSH_TIMEOUT` seconds."""
        await self._done.wait()

    async def stop(self) -> None:
        """Cancel the writer."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)

    async def _write(self) -> None:
        queue, send, wanted = self._queue, self._send, self._wanted
        try:
            while True:
                await wanted.wait()
                wanted.clear()
                while queue:
                    message = queue.popleft()
                    await send(message)
                    if message["type"] == "websocket.close":
                        self._done.set()
                        return
                    self._queued_bytes -= byte_size(message.get("text") or message.get("bytes") or b"")
        except Exception as exc:
            # Servers report a lost client by errors of their own; why it was lost is what the reader gets to know.
            log.debug("client socket is gone", error=str(exc))
            if self._closing:
                self._done.set()
            else:
                self._closing = True
                self._deadline = clock.call_later(FLUSH_TIMEOUT, self._done.set)
