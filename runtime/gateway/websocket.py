"""The ASGI end of client WebSockets: accept, read, close; `runtime.gateway.outgoing` writes.

One reader and one writer task per socket: a client that does not read must not keep its own messages from being read.

What a server other than our own must be told, as ASGI cannot: no permessage-deflate, no pings of its own, and a frame limit above 32 MiB
(uvicorn: `ws_per_message_deflate=False, ws_ping_interval=None, ws_max_size=64 * 1024 * 1024`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from runtime import clock
from runtime.errors import ActorError, make_error
from runtime.gateway.client_socket import NO_STATUS, ClientSocket
from runtime.gateway.close_reasons import failure_reason
from runtime.gateway.live_actor import is_passing
from runtime.gateway.outgoing import WebSocketTransport
from runtime.gateway.rate_limits import NO_RATE_LIMITS, LeakyBucket, RateLimits
from runtime.gateway.room import DEFAULT_ROOM
from runtime.gateway.socket_opening import admit_socket
from runtime.logs import LimitedLog
from runtime.protocol.subprotocols import PROTOCOL

if TYPE_CHECKING:
    from runtime.actor.connections.sockets import Upgrade
    from runtime.gateway.asgi import Receive, Send
    from runtime.gateway.live_actor import Live, Reach
    from runtime.gateway.room import DirectWire
    from runtime.gateway.socket_table import SocketTable
    from runtime.replies import Headers

_unopened = LimitedLog.of_faults(structlog.get_logger("runtime.gateway"), "client socket could not be opened")
_unread = LimitedLog.of_faults(structlog.get_logger("runtime.gateway"), "client socket could not be read")

MESSAGES_PER_TURN = 16
"""Messages of one client that are handed over in one turn of the loop."""


async def serve_websocket(
    reach: Reach,
    sockets: SocketTable,
    upgrade: Upgrade,
    receive: Receive,
    send: Send,
    limits: RateLimits = NO_RATE_LIMITS,
    wire: DirectWire | None = None,
) -> None:
    """Serve one client WebSocket of an actor from its `websocket.connect` to its end; hibernation and wakes happen inside.

    Called by the gateway before `websocket.connect` was received. Never raises `ActorError`: failures reach the client as close frames.
    `wire` is a shorter way out than `send`, where the server has one. Implements WIRE-262, WIRE-264, WIRE-266, WIRE-267, WIRE-268.
    """
    if not await accept_websocket(receive, send, upgrade.headers):
        return
    transport = WebSocketTransport(send, wire)
    socket = ClientSocket(upgrade, sockets, transport, DEFAULT_ROOM if wire is None else wire.incoming)
    transport.on_overflow = lambda: socket.fail(make_error("guard.websocket_pending_limit_reached"))
    bucket = None if limits.message_burst is None else LeakyBucket(limits.message_burst, limits.message_interval)
    # Reads from the start: a client that leaves while its actor starts is noticed, and what it sends first waits in the socket.
    reader = asyncio.create_task(_read(socket, transport, receive, bucket))
    try:
        await _open(reach, socket)
        await transport.finished()
    finally:
        reader.cancel()
        await asyncio.gather(reader, transport.stop(), return_exceptions=True)
        # Reached with an open socket only when the server cancels the application: the client is gone.
        socket.disconnected(NO_STATUS, "")


async def refuse_websocket(error: ActorError, ray_id: str, receive: Receive, send: Send, headers: Headers = ()) -> None:
    """Accept and close with 1011 `group.code#ray`: how every gateway failure reaches a WebSocket client (WIRE-262, WIRE-264)."""
    # A refused handshake would reach a browser without a word of the reason; a close frame carries it.
    if await accept_websocket(receive, send, headers):
        await send({"type": "websocket.close", "code": 1011, "reason": failure_reason(error, ray_id)})


async def accept_websocket(receive: Receive, send: Send, headers: Headers = ()) -> bool:
    """Answer the upgrade with sub-protocol `rivet`; False when the client is already gone."""
    message = await receive()
    if message["type"] != "websocket.connect":
        return False
    try:
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL, "headers": list(headers)})
    except OSError:
        return False
    return True


async def _open(reach: Reach, socket: ClientSocket) -> None:
    """Hand the socket to a generation; one that stops before it admitted the socket is followed by the next (CONN-085)."""
    upgrade = socket.upgrade
    refused_by: Live | None = None
    try:
        while True:
            live = await reach.live(upgrade.actor_id, skip_ready_wait=upgrade.skip_ready_wait, refused_by=refused_by)
            # The client may have left while a generation was being found.
            if socket.closed:
                return
            try:
                await admit_socket(live.task, socket)
            except ActorError as error:
                # Who asked for this very generation gets its answer, whatever it is.
                if upgrade.skip_ready_wait or not is_passing(error):
                    raise
                refused_by = live
            else:
                return
    except TimeoutError:
        socket.fail(make_error("guard.websocket_open_timeout"))
    except ActorError as error:
        socket.fail(error)
    except Exception as error:
        _unopened.report(actor_id=upgrade.actor_id, exc_info=error)
        socket.fail(make_error("core.internal_error"))


async def _read(socket: ClientSocket, transport: WebSocketTransport, receive: Receive, bucket: LeakyBucket | None) -> None:
    try:
        await _read_on(socket, transport, receive, bucket)
    # Nobody would look at this task again: the socket would stay open and unread, and its connection would keep the actor awake.
    except Exception as error:
        _unread.report(actor_id=socket.upgrade.actor_id, exc_info=error)
        socket.fail(make_error("core.internal_error"))


async def _read_on(socket: ClientSocket, transport: WebSocketTransport, receive: Receive, bucket: LeakyBucket | None) -> None:
    # Messages beyond the first stay with the server while no generation is attached: that is the back-pressure of a hibernating socket.
    taken = 0
    while True:
        message = await receive()
        if message["type"] == "websocket.receive":
            if bucket is not None:
                # Waited out, not refused: what is not received stays with the server, and nothing is lost (WIRE-268).
                if (delay := bucket.delay()) > 0:
                    await clock.sleep(delay)
                    bucket.delay()
                bucket.add()
            text = message.get("text")
            socket.receive(message["bytes"] if text is None else text)
            taken += 1
            if not socket.flows:
                await socket.flowing()
            elif taken % MESSAGES_PER_TURN == 0:
                # A server that has more of them gives them without a pause. The actor needs its turn to take what its inbox holds: an
                # inbox shall be full of work that is too much, and not of work that nobody has looked at.
                await asyncio.sleep(0)
        elif message["type"] == "websocket.oversized":
            # Our own server's word for a message that it did not take (WIRE-266); others close such sockets themselves.
            socket.fail(make_error("core.internal_error"))
            return
        else:
            transport.lost()
            code = message.get("code")
            socket.disconnected(NO_STATUS if code is None else int(code), message.get("reason") or "")
            return
