"""uvicorn's configuration, as this server uses it, with the limits that its protocols apply."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import uvicorn

from runtime.serving.websocket_protocol import WebSocketProtocol

if TYPE_CHECKING:
    import asyncio

    from runtime.serving.limits import ServerLimits

# uvicorn knows no keep-alive without end.
ENDLESS = 24 * 3600


class ServingConfig(uvicorn.Config):
    """What every connection is made with."""

    def __init__(self, app: Any, limits: ServerLimits, http: type[asyncio.Protocol]) -> None:
        super().__init__(
            app,
            http=http,
            ws=functools.partial(WebSocketProtocol, limits=limits),  # type: ignore[arg-type]  # it is called, nothing else
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=ENDLESS if limits.keep_alive is None else limits.keep_alive,
        )
        self.limits = limits
