"""A client WebSocket meets one live generation: the inspector takes it, or the actor does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.inspector.socket import is_inspector, open_inspector

if TYPE_CHECKING:
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.actor.lifecycle.task import ActorTask

OPEN_TIMEOUT = 15.0


async def admit_socket(task: ActorTask, socket: ActorSocket) -> None:
    """Hand a socket over; returns when its opening has ended, with an open socket or a closed one.

    Raises:
        ActorError: The generation does not take the socket; see `runtime.gateway.live_actor.is_passing`.
        TimeoutError: The opening took longer than `OPEN_TIMEOUT` seconds.
    """
    async with asyncio.timeout(OPEN_TIMEOUT):
        await (open_inspector(task, socket) if is_inspector(socket.upgrade) else task.open_socket(socket))
