"""Every client socket of one host, by actor, and the wakes that hibernating ones ask for (HIB-021, HIB-055)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.actor.connections.sockets import STOPPED_REASON, SocketState
from runtime.errors import ActorError, make_error
from runtime.gateway.close_reasons import failure_reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.gateway.client_socket import ClientSocket


class SocketTable:
    """The sockets of a host, from their opening to their close.

    `wake` is the host's `ready(actor_id)`: it starts the actor if needed, waits until it is ready and raises `ActorError` if it cannot.
    """

    def __init__(self, wake: Callable[[str], Awaitable[object]]) -> None:
        self._wake = wake
        self._sockets: dict[str, dict[bytes, ClientSocket]] = {}
        self._wakes: dict[str, asyncio.Task[None]] = {}
        self._wanted_again: set[str] = set()
        self._allocated = 0
        self._closing = False

    def allocate_id(self) -> bytes:
        """A request id of four bytes, unique among this process's sockets."""
        self._allocated = (self._allocated + 1) & 0xFFFFFFFF
        return self._allocated.to_bytes(4, "big")

    def add(self, socket: ClientSocket) -> None:
        """Register an opened socket."""
        self._sockets.setdefault(socket.upgrade.actor_id, {})[socket.request_id] = socket

    def discard(self, socket: ClientSocket) -> None:
        """Forget a closed socket."""
        sockets = self._sockets.get(socket.upgrade.actor_id)
        if sockets is not None and sockets.pop(socket.request_id, None) is not None and not sockets:
            del self._sockets[socket.upgrade.actor_id]

    def hibernating(self, actor_id: str) -> list[ClientSocket]:
        """The actor's sockets that wait for its next generation (`HostPort.open_sockets`, HIB-051)."""
        sockets = self._sockets.get(actor_id, {})
        return [socket for socket in sockets.values() if socket.state is SocketState.HIBERNATING]

    def actor_gone(self, actor_id: str) -> None:
        """The actor was destroyed: close what is attached to it or hibernates (HIB-062, WIRE-631)."""
        for socket in list(self._sockets.get(actor_id, {}).values()):
            # Who is still opening gets its error from the reach, with the ray of its own request.
            if socket.state is not SocketState.OPENING:
                socket.close(1000, STOPPED_REASON)

    def wake(self, actor_id: str) -> None:
        """Start the actor in the background; at most one wake per actor is under way."""
        # A wake now would start an actor that the shutdown has just stopped.
        if self._closing:
            return
        if actor_id in self._wakes:
            self._wanted_again.add(actor_id)
        else:
            self._wakes[actor_id] = asyncio.get_running_loop().create_task(self._run_wake(actor_id))

    async def _run_wake(self, actor_id: str) -> None:
        try:
            # A socket may fall asleep again before this task notices that the wake it asked for before was granted.
            while True:
                self._wanted_again.discard(actor_id)
                await self._wake(actor_id)
                if actor_id not in self._wanted_again:
                    return
        except Exception as exc:
            # A wake has no caller: the sockets that wait for it are the only ones to tell.
            error = exc if isinstance(exc, ActorError) else make_error("core.internal_error")
            for socket in self.hibernating(actor_id):
                socket.close(1011, failure_reason(error, socket.upgrade.ray_id))
        finally:
            self._wanted_again.discard(actor_id)
            self._wakes.pop(actor_id, None)

    async def close(self) -> None:
        """The process ends: close every socket with 1012 and wait for the wakes."""
        self._closing = True
        for sockets in list(self._sockets.values()):
            for socket in list(sockets.values()):
                socket.close(1012, "")
        wakes = list(self._wakes.values())
        for task in wakes:
            task.cancel()
        await asyncio.gather(*wakes, return_exceptions=True)
