"""uvicorn's configuration, as this server uses it, with the limits that its protocols apply."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import uvicorn

from runtime.gateway.room import Room
from runtime.serving.server_log import limit_server_log
from runtime.serving.websocket_protocol import WebSocketProtocol

if TYPE_CHECKING:
    import asyncio

    from runtime.serving.limits import ServerLimits

# For asyncio this is also how often it tries again when the process is out of file descriptors, each time with a traceback.
ACCEPTED_AT_ONCE = 32


class ServingConfig(uvicorn.Config):
    """What every connection is made with."""

    def __init__(self, app: Any, limits: ServerLimits, http: type[asyncio.Protocol]) -> None:
        limit_server_log()
        room = Room(limits.websocket_unread, limits.websockets_unread)
        incoming = Room(limits.websocket_frame, limits.websockets_untaken)
        super().__init__(
            app,
            http=http,
            ws=functools.partial(WebSocketProtocol, limits=limits, room=room, incoming=incoming),  # type: ignore[arg-type]  # it is called, nothing else
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=ACCEPTED_AT_ONCE,
        )
        self.limits = limits
