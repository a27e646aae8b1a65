"""What a close frame says, whichever way it travels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.protocol.payload import text_of

if TYPE_CHECKING:
    from runtime.errors import ActorError

# A control frame holds 125 bytes, and two of them are the close code.
MAX_REASON_BYTES = 123


def failure_reason(error: ActorError, ray_id: str) -> str:
    """The close reason of a gateway failure (WIRE-262)."""
    return f"{error.group}.{error.code}#{ray_id}".encode()[:MAX_REASON_BYTES].decode(errors="ignore")


def sendable_reason(reason: str) -> str:
    """The reason as a frame can hold it: cut, its lone surrogates replaced."""
    # Here for all: a frame that cannot be made would be a client that is never told, or told of a broken connection.
    if len(reason) > MAX_REASON_BYTES // 4:
        reason = reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
    return text_of(reason)
