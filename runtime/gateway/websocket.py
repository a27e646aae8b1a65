"""The ASGI end of client WebSockets: accept, read, write, close.

One reader and one writer task per socket. The writer drains a queue bounded by bytes: `MAX_QUEUED_BYTES` may wait for a slow client;
what would exceed that closes the socket with 1011 `guard.websocket_pending_limit_reached`, because events must neither block the
actor nor be dropped silently.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from runtime.errors import ActorError, make_error
from runtime.hosting.sockets import ClientSocket, SocketTable, Upgrade, failure_reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from runtime.actor.task import ActorTask

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

MAX_QUEUED_BYTES = 64 * 1024 * 1024
OPEN_TIMEOUT = 15.0
CLOSE_TIMEOUT = 5.0
RETRYABLE_REFUSALS = frozenset({"actor.stopping", "actor.starting", "actor.not_ready"})


class SocketHost(Protocol):
    """What this module needs of a host."""

    sockets: SocketTable

    async def ready(self, actor_id: str, *, skip_ready_wait: bool = False) -> ActorTask:
        """The live generation, started if need be; raises `ActorError` when there is none to be had."""
        ...


async def serve_websocket(host: SocketHost, upgrade: Upgrade, receive: Receive, send: Send) -> None:
    """Serve one client WebSocket of an actor from its `websocket.connect` to its end. Never raises `ActorError`.

    Called by the gateway before `websocket.connect` was received. Hibernation and wakes of the actor happen inside.
    """
    raise NotImplementedError


async def refuse_websocket(
    error: ActorError, ray_id: str, receive: Receive, send: Send, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Accept and close with 1011 `group.code#ray`: how every gateway failure reaches a WebSocket client (WIRE-262, WIRE-264)."""
    raise NotImplementedError
