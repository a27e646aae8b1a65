"""A WebSocket of a client meets the generation that it is for (ENGINE-130..132, ENGINE-236).

A gateway never sends an open again: who comes to a generation on its way out is accepted and closed, so that the client comes back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from runtime.actor.ports import StopKind
from runtime.errors import ActorError, make_error
from runtime.gateway.close_reasons import failure_reason
from runtime.gateway.live_actor import is_passing
from runtime.gateway.socket_opening import OPEN_TIMEOUT, admit_socket
from runtime.hosting.engine.ports import TryAgainError
from runtime.hosting.engine.tunnel.arrivals import NEVER_HERE_ERROR, life_of
from runtime.logs import LimitedLog

if TYPE_CHECKING:
    from runtime.gateway.live_actor import Live, Reach
    from runtime.hosting.engine.tunnel.engine_socket import EngineSocket
    from runtime.hosting.engine.tunnel.socket_table import SocketTable

# A gateway waits as long and then says nothing: a socket that opens too late would be a connection that nobody ever closes.
GATEWAY_AHEAD = 0.5
NOT_FOUND = 1011, "Actor not found"

_unopened = LimitedLog.of_faults(structlog.get_logger(__name__), "client socket could not be opened")


async def open_socket(reach: Reach, sockets: SocketTable, socket: EngineSocket) -> None:
    """Hand a socket to its generation; never raises, failures reach the client."""
    upgrade, live = socket.upgrade, None
    try:
        async with asyncio.timeout(OPEN_TIMEOUT - GATEWAY_AHEAD):
            live = await reach.live(upgrade.actor_id, skip_ready_wait=upgrade.skip_ready_wait)
            # The client may have left while a generation was being found.
            if socket.closed:
                return
            sockets.assign(socket, life_of(live))
            await admit_socket(live.task, socket)
    except TryAgainError as error:
        if error.refusal is None:
            socket.turn_away()
        else:
            _refuse(socket, error.refusal)
    except TimeoutError:
        socket.fail(make_error("guard.websocket_open_timeout"))
    except ActorError as error:
        if error.name == NEVER_HERE_ERROR:
            socket.deny(*NOT_FOUND)
        elif is_passing(error) and live is not None and _is_destroyed(live):
            _refuse(socket, error)
        else:
            socket.fail(error)
    except Exception as error:
        _unopened.report(actor_id=upgrade.actor_id, exc_info=error)
        socket.fail(make_error("core.internal_error"))


def _refuse(socket: EngineSocket, error: ActorError) -> None:
    """For good: nothing follows a generation that is destroyed."""
    socket.close(1011, failure_reason(error, socket.upgrade.ray_id))


def _is_destroyed(live: Live) -> bool:
    reason = live.task.stop_reason
    return reason is not None and reason.kind is StopKind.DESTROY
