"""Structured errors: the exception, the masking rules, the statuses. The catalogue itself is data in `error_catalogue`.

An error is `group`, `code`, `message`, optional `metadata`. Inside the process it also has a `public` flag and a status of its own;
neither travels (WIRE section 10).
"""

from __future__ import annotations

from typing import Any

from runtime.errors.catalogue import CATALOGUE, GATEWAY_STATUS, ErrorSpec, actor_status, keeps_text
from runtime.protocol.messages import ActorSpecifier, WireError
from runtime.protocol.values import UNDEFINED

__all__ = [
    "CATALOGUE",
    "MASKED_MESSAGE",
    "ActorError",
    "ErrorSpec",
    "UserError",
    "forbidden",
    "from_wire_error",
    "gateway_status",
    "http_status",
    "is_public",
    "make_error",
    "to_wire",
]

MASKED_MESSAGE = "An internal error occurred"
"""What callers see of an error that is not public (WIRE-833)."""


class ActorError(Exception):
    """A structured error.

    Attributes:
        group, code: Its identity.
        message: Text for people.
        metadata: Any JSON-like value, `UNDEFINED` when absent.
        public: Whether the raising code considers it fit for callers; the wire rules decide (WIRE-832, WIRE-833).
        status: HTTP status where no rule of the protocol fixes one.
        actor: The actor it came from, when known.
    """

    def __init__(
        self,
        group: str,
        code: str,
        message: str,
        metadata: Any = UNDEFINED,
        *,
        public: bool = False,
        status: int = 500,
        actor: ActorSpecifier | None = None,
    ) -> None:
        # The arguments of the exception are the text alone, so that it prints like any other in a traceback.
        super().__init__(message)
        self.group = group
        self.code = code
        self.message = message
        self.metadata = metadata
        self.public = public
        self.status = status
        self.actor = actor

    @property
    def name(self) -> str:
        """`group.code`."""
        return f"{self.group}.{self.code}"

    def __str__(self) -> str:
        return f"{self.group}.{self.code}: {self.message}"


class UserError(ActorError):
    """An error that actor code raises for its callers: message and metadata reach them (TASK-107)."""

    def __init__(self, message: str, code: str = "user_error", metadata: Any = UNDEFINED, *, status: int = 500) -> None:
        # The group `user` is what lets text and metadata through to callers, the flag only says so (WIRE-832).
        super().__init__("user", code, message, metadata, public=True, status=status)


def make_error(
    name: str, /, *, message: str | None = None, metadata: Any = UNDEFINED, actor: ActorSpecifier | None = None, **fields: Any
) -> ActorError:
    """An error of the catalogue with its message and metadata filled in from `fields`.

    Args:
        name: `group.code`.
        message: Instead of the catalogue's text, for codes with several texts.
        metadata: Instead of the metadata built from the fields the catalogue names.
        actor: The actor it came from.
        **fields: Values for the placeholders of the text and for the metadata members.

    Raises:
        KeyError: The catalogue has no such error.
    """
    # A name that is not in the catalogue is a mistake of this program, and must not look like an error of the protocol.
    spec = CATALOGUE[name]
    if metadata is UNDEFINED and spec.metadata:
        # The catalogue says which members, not the caller: two places that raise one error cannot differ in what it carries.
        values = {**fields, "message": message} if message is not None else fields
        metadata = {member: values[member] for member in spec.metadata if member in values} or UNDEFINED
    text = spec.message.format_map(_Fields(fields)) if message is None else message
    return ActorError(spec.group, spec.code, text, metadata, public=spec.public, status=spec.status, actor=actor)


class _Fields(dict[str, Any]):
    # A field that is not known at one place leaves its braces in the text; raising here would hide the error that was to be told.
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def forbidden() -> ActorError:
    """`auth.forbidden`, which refuses a connection or a request (ACCESS-003)."""
    return make_error("auth.forbidden")


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
