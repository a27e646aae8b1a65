"""What callers get to see of an exception: everything of a public one, nothing but its identity of the others (WIRE-830..833)."""

from __future__ import annotations

from runtime.errors.catalogue import keeps_text
from runtime.errors.exceptions import ActorError
from runtime.protocol.messages import ActorSpecifier, WireError
from runtime.protocol.values import UNDEFINED

MASKED_MESSAGE = "An internal error occurred"
"""What callers see of an error that is not public (WIRE-833)."""


def is_public(error: ActorError) -> bool:
    """Whether message and metadata may reach callers (WIRE-832, WIRE-841)."""
    return keeps_text(error.group, error.code)


def to_wire(exc: BaseException, actor: ActorSpecifier | None = None) -> WireError:
    """What a caller gets to see of an exception: masked unless public (WIRE-830..833, WIRE-841, TASK-070)."""
    # Nothing of a foreign exception goes out: its text may hold paths, queries or secrets (TASK-106).
    if not isinstance(exc, ActorError):
        return WireError("rivetkit", "internal_error", MASKED_MESSAGE, UNDEFINED, actor)
    # The actor that answers, before the one the error came from: callers are told whom they talked to.
    where = actor or exc.actor
    if is_public(exc):
        return WireError(exc.group, exc.code, exc.message, exc.metadata, where)
    return WireError(exc.group, exc.code, MASKED_MESSAGE, UNDEFINED, where)


def from_wire_error(error: WireError, status: int = 500) -> ActorError:
    """The exception a client raises for a received error."""
    # Public, because it was masked where it came from: what arrived may be shown.
    return ActorError(error.group, error.code, error.message, error.metadata, public=True, status=status, actor=error.actor)
