"""The WebSockets of this process: by request, by generation, and those that wait for a generation (ENGINE-144..149).

Why parked ones are remembered: between the end of a generation and the moment in which the gateway notices it, the close of a client still
comes here, and only here. The next start lists that client all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import clock
from runtime.actor.connections.sockets import SocketState
from runtime.hosting.engine.tunnel.engine_socket import EngineSocket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.actor.connections.sockets import Upgrade
    from runtime.gateway.room import Room
    from runtime.hosting.engine.ports import Life, Link
    from runtime.hosting.engine.protocol.lives import ParkedRequest

PARKED_FOR = 120.0
"""Seconds for which a parked socket is remembered: longer than a start lists one that is gone (ENGINE-149)."""


class SocketTable:
    """Every socket, from its opening to its close, or until it is another process's."""

    def __init__(self, link: Link, room: Room) -> None:
        self._link = link
        self._room = room
        self._open: dict[tuple[bytes, bytes], EngineSocket] = {}
        self._lives: dict[Life, dict[tuple[bytes, bytes], EngineSocket]] = {}
        self._restored: dict[str, list[EngineSocket]] = {}
        # In the order of their deadlines, as all are parked for the same time.
        self._parked: dict[tuple[bytes, bytes], tuple[float, EngineSocket]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def find(self, key: tuple[bytes, bytes]) -> EngineSocket | None:
        """The socket of a request, if it is one that takes messages: those of a parked one come again to whom it wakes."""
        return self._open.get(key)

    def find_any(self, key: tuple[bytes, bytes]) -> EngineSocket | None:
        """The socket of a request, parked ones included."""
        socket = self._open.get(key)
        if socket is not None:
            return socket
        entry = self._parked.get(key)
        return None if entry is None else entry[1]

    def make(self, key: tuple[bytes, bytes], actor_id: str, upgrade: Upgrade | None) -> EngineSocket:
        """A new socket, in place of one that had the same request."""
        before = self._open.get(key)
        if before is not None:
            # Of a generation that is over for the engine, and whose end this process is still busy with.
            before.abandon()
        socket = self._open[key] = EngineSocket(key, actor_id, upgrade, self._link, self, self._room)
        return socket

    def assign(self, socket: EngineSocket, life: Life) -> None:
        """The socket goes to a generation."""
        socket.life = life
        self._lives.setdefault(life, {})[socket.key] = socket

    def restore(self, life: Life, listed: Sequence[ParkedRequest]) -> None:
        """Make the sockets that a start lists, but for those whose close came while they were parked (ENGINE-147, ENGINE-149)."""
        self._forget_old()
        found = []
        for request in listed:
            key = request.gateway_id, request.request_id
            entry = self._parked.get(key)
            if entry is not None:
                # Should this start fail, the next one lists it again: a close stays remembered.
                if entry[1].closed:
                    continue
                del self._parked[key]
            socket = self.make(key, life[0], None)
            self.assign(socket, life)
            found.append(socket)
        if found:
            self._restored[life[0]] = found

    def hibernating(self, actor_id: str) -> Sequence[EngineSocket]:
        """The restored sockets of a generation that starts, until they are attached or closed (HIB-051)."""
        return [socket for socket in self._restored.pop(actor_id, ()) if socket.state is SocketState.HIBERNATING]

    def generation_over(self, life: Life) -> None:
        """What a generation leaves: sockets that can hibernate are the gateway's, it closes the others itself (ENGINE-136, ENGINE-144)."""
        left = self._lives.pop(life, None)
        if left is None:
            return
        self._restored.pop(life[0], None)
        for socket in left.values():
            if socket.state is SocketState.OPENING:
                socket.turn_away()
            elif socket.state is SocketState.ACTIVE and socket.hibernatable:
                socket.hibernate()
            elif socket.state is SocketState.ACTIVE:
                socket.abandon()
            elif socket.state is SocketState.HIBERNATING:
                self.park(socket)

    def abandon_all(self) -> None:
        """This process goes."""
        for socket in tuple(self._open.values()):
            socket.abandon()
        self._parked.clear()

    # What sockets call.

    def discard(self, socket: EngineSocket) -> None:
        """It has closed; one that is parked stays remembered."""
        self._remove(socket)

    def park(self, socket: EngineSocket) -> None:
        """It waits for the next generation."""
        self._remove(socket)
        self._forget_old()
        self._parked[socket.key] = clock.monotonic() + PARKED_FOR, socket

    def _remove(self, socket: EngineSocket) -> None:
        if self._open.get(socket.key) is socket:
            del self._open[socket.key]
        others = None if socket.life is None else self._lives.get(socket.life)
        if others is not None and socket.life is not None and others.get(socket.key) is socket:
            del others[socket.key]
            if not others:
                del self._lives[socket.life]

    def _forget_old(self) -> None:
        now = clock.monotonic()
        while self._parked:
            key, (deadline, _) = next(iter(self._parked.items()))
            if deadline > now:
                return
            del self._parked[key]
