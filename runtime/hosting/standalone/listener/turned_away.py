"""How a request or an upgrade that the doors refuse is answered (WIRE-031)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from runtime.errors import gateway_status, make_error
from runtime.gateway.asgi import send_reply
from runtime.hosting.standalone.listener.ray_ids import new_ray
from runtime.logs import FAULTS, LimitedLog, shown
from runtime.replies import error_reply

if TYPE_CHECKING:
    from runtime.gateway.asgi import Message, Receive, Scope, Send

_turned_away = LimitedLog(structlog.get_logger(__name__), "request turned away", burst=FAULTS)


async def turn_away(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    """403 `api.forbidden` with the reason, before the upgrade for a WebSocket, and without a header that lets a page read it."""
    _turned_away.report(reason=shown(reason))
    error = make_error("api.forbidden", message=f"Access denied: {reason}.")
    reply, ray = error_reply(error, gateway_status(error)), ((b"x-rivet-ray-id", new_ray().encode()),)
    if scope["type"] == "http":
        await send_reply(send, reply, ray)
        return
    await receive()
    # Not accepted and closed as other failures are: to a page of elsewhere an open socket would be an answer.
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return

    async def refuse(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await send_reply(refuse, reply, ray)
