"""What clients ask through the engine, handed on to requests and sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from runtime.errors import make_error
from runtime.gateway.room import Room
from runtime.hosting.engine.protocol.tunnel import Abort, Chunk, ClientClose, RequestStart, SocketMessage, SocketOpen
from runtime.hosting.engine.tunnel.arrivals import upgrade_of
from runtime.hosting.engine.tunnel.opening import open_socket
from runtime.hosting.engine.tunnel.requests import Requests
from runtime.hosting.engine.tunnel.socket_table import SocketTable
from runtime.logs import LimitedLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.actor.connections.sockets import ActorSocket
    from runtime.gateway.http_answers import ActorFace
    from runtime.gateway.live_actor import Reach
    from runtime.hosting.engine.ports import Life, Link
    from runtime.hosting.engine.protocol.lives import ParkedRequest
    from runtime.hosting.engine.protocol.tunnel import TunnelMessage

MAX_SOCKETS = 65_536
"""Client WebSockets of all actors of one process; those that a start lists come in any number, as they were let in before."""

log = structlog.get_logger(__name__)


class Tunnel:
    """Requests and WebSockets of clients. Everything is called on the loop of the host.

    For a generation the host calls `restore` before its start, and `generation_over` when nothing of it works any more and before
    `Stopped` is reported, also when its start failed.

    Args:
        reach: Finds generations. Raises, beside gateway errors, `TryAgainError`, and the error `envoy.actor_not_found` for an actor that
            never lived here.
        link: The way to the engine.
        face: Has live actors answer HTTP requests.
    """

    def __init__(self, reach: Reach, link: Link, face: ActorFace) -> None:
        self._reach = reach
        self._requests = Requests(reach, link, face)
        self._sockets = SocketTable(link, Room())
        self._openings: set[asyncio.Task[None]] = set()
        self._faults = LimitedLog.of_faults(log, "message of the tunnel could not be handled")

    def receive(self, message: TunnelMessage) -> None:
        """Take one message of the engine; never raises. Messages of unknown requests are ignored: their end crossed them on the way."""
        try:
            self._receive(message)
        except Exception as error:
            self._faults.report(kind=type(message.kind).__name__, exc_info=error)

    def restore(self, life: Life, parked: Sequence[ParkedRequest]) -> None:
        """A generation is about to start, and gateways keep these sockets for it (ENGINE-147)."""
        self._sockets.restore(life, parked)

    def hibernating(self, actor_id: str) -> Sequence[ActorSocket]:
        """The sockets that were restored for the generation of an actor that starts; asked once per start (`HostPort.open_sockets`)."""
        return self._sockets.hibernating(actor_id)

    def generation_over(self, life: Life) -> None:
        """A generation is over: what of it is under way ends, what can hibernate waits for the next one (ENGINE-082, ENGINE-144)."""
        self._requests.generation_over(life)
        self._sockets.generation_over(life)

    async def close(self) -> None:
        """End all work. Clients are told nothing: their gateways know of the end of each generation."""
        for task in tuple(self._openings):
            task.cancel()
        self._sockets.abandon_all()
        await asyncio.gather(self._requests.close(), *self._openings, return_exceptions=True)

    def _receive(self, message: TunnelMessage) -> None:
        key, kind = message.message_id.key, message.kind
        if isinstance(kind, SocketMessage):
            self._message(key, message.message_id.index, kind)
        elif isinstance(kind, RequestStart):
            self._requests.start(message.message_id, kind)
        elif isinstance(kind, SocketOpen):
            self._open(key, kind)
        elif isinstance(kind, ClientClose):
            socket = self._sockets.find_any(key)
            if socket is not None:
                socket.disconnected(kind.code, kind.reason)
        elif isinstance(kind, Chunk):
            self._requests.chunk(key, kind)
        elif isinstance(kind, Abort):
            self._requests.abort(key)

    def _message(self, key: tuple[bytes, bytes], index: int, message: SocketMessage) -> None:
        socket = self._sockets.find(key)
        if socket is None:
            return
        if message.binary:
            socket.receive(index, message.data)
            return
        try:
            text = message.data.decode()
        # A gateway closes such a socket by itself; here nothing else would be left to do either.
        except UnicodeDecodeError:
            socket.fail(make_error("core.internal_error"))
            return
        socket.receive(index, text)

    def _open(self, key: tuple[bytes, bytes], opened: SocketOpen) -> None:
        full = len(self._sockets) >= MAX_SOCKETS
        socket = self._sockets.make(key, opened.actor_id, upgrade_of(opened))
        if full:
            socket.fail(make_error("actor.overloaded", channel="tunnel", operation="open a websocket", capacity=MAX_SOCKETS))
            return
        task = asyncio.get_running_loop().create_task(open_socket(self._reach, self._sockets, socket))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)
