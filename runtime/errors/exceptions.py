"""The exceptions, and how code makes one of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors.catalogue import CATALOGUE
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.protocol.messages import ActorSpecifier


class ActorError(Exception):
    """A structured error.

    Attributes:
        group, code: Its identity.
        message: Text for people.
        metadata: Any JSON-like value, `UNDEFINED` when absent.
        public: Whether the raising code considers it fit for callers; the wire rules decide (WIRE-832, WIRE-833).
        status: HTTP status where no rule of the protocol fixes one.
        actor: The actor it came from, when known.
        nothing_begun: Whether it refuses work of which nothing was done, so that the work may be asked for elsewhere. Stays in the process.
    """

    nothing_begun = False

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


def make_refusal(name: str, /) -> ActorError:
    """An error of the catalogue for work that was not begun; see `ActorError.nothing_begun` and `make_error`."""
    error = make_error(name)
    error.nothing_begun = True
    return error


class _Fields(dict[str, Any]):
    # A field that is not known at one place leaves its braces in the text; raising here would hide the error that was to be told.
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def forbidden() -> ActorError:
    """`auth.forbidden`, which refuses a connection or a request (ACCESS-003)."""
    return make_error("auth.forbidden")
