"""What the tunnel brings, as the gateway of this runtime knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.actor.connections.sockets import Upgrade
from runtime.gateway.request_headers import RequestHeaders
from runtime.http import INTERNAL_ORIGIN, Request
from runtime.protocol.subprotocols import SKIP_READY_WAIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.gateway.live_actor import Live
    from runtime.hosting.engine.ports import Life
    from runtime.hosting.engine.protocol.tunnel import SocketOpen
    from runtime.replies import RawHeaders

NEVER_HERE_ERROR = "envoy.actor_not_found"
"""What the `Reach` of this host raises for an actor that it never hosted (ENGINE-120)."""
OFFERED = "sec-websocket-protocol"


def raw_headers(headers: Mapping[str, str]) -> RawHeaders:
    """Headers as a server of ours would give them; the engine's have lower-case names already (ENGINE-112)."""
    return {name.encode(): value.encode() for name, value in headers.items()}


def life_of(live: Live) -> Life:
    """The generation that was found."""
    identity = live.task.identity
    return identity.actor_id, identity.generation


def upgrade_to(actor_id: str, request: Request) -> Upgrade:
    """The upgrade that a request asked for. Its ray id is the gateway's, which does not tell it."""
    protocols = tuple(entry for part in request.headers.get(OFFERED, "").split(",") if (entry := part.strip()))
    return Upgrade(actor_id, request, protocols, "", SKIP_READY_WAIT in protocols)


def upgrade_of(opened: SocketOpen) -> Upgrade:
    """The upgrade that comes through the tunnel (WIRE-508)."""
    return upgrade_to(opened.actor_id, Request("GET", INTERNAL_ORIGIN + opened.path, RequestHeaders(raw_headers(opened.headers))))
