"""Which of the faces behind the one port a request means (WIRE-002, WIRE-003)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import make_error

if TYPE_CHECKING:
    from runtime.errors import ActorError
    from runtime.replies import RawHeaders

GATEWAY = b"/gateway"
HEALTH_SOCKET = (b"/health/ws", b"/health/ws/")
REST_TARGET = "api-public"
ACTOR_TARGET = "actor"


def is_gateway(path: bytes) -> bool:
    """Whether a path is the gateway's; `/gatewayish` is not."""
    return path.startswith(GATEWAY) and path[8:9] in (b"/", b"")


def no_route(headers: RawHeaders, path: bytes) -> ActorError:
    """`guard.no_route` (WIRE-003)."""
    host = (headers.get(b"host") or b"").decode("latin-1")
    # An IPv6 address in brackets may come without a port, and its colons separate none.
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return make_error("guard.no_route", host=name, path=path.decode("latin-1"))
