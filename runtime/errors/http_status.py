"""The HTTP status of an error: one rule for what actors make, another for what the gateway makes (WIRE-831, WIRE-836)."""

from __future__ import annotations

from runtime.errors.catalogue import GATEWAY_STATUS, actor_status
from runtime.errors.exceptions import ActorError


def http_status(exc: BaseException) -> int:
    """The HTTP status of an actor-made error: it depends on group and code only (WIRE-831)."""
    if not isinstance(exc, ActorError):
        return 500
    return actor_status(exc.group, exc.code)


def gateway_status(exc: BaseException) -> int:
    """The HTTP status of a gateway-made error (WIRE-836)."""
    if not isinstance(exc, ActorError):
        return 500
    # Not the status of the error itself: the gateway's errors are structured ones, and those are 400 unless listed (WIRE-836).
    return GATEWAY_STATUS.get(exc.name, 400)
