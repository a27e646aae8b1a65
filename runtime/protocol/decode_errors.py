"""The failures of all decoders.

The wire formats stand below the error catalogue, so a decoder says what is wrong in terms of bytes, and whoever called it knows which
error of the catalogue that is. Subclasses of `ValueError`, so that a caller who does not care for the difference need not know them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class DecodeError(ValueError):
    """Bytes or text that are not what the protocol says; nothing else ever escapes a decoder."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Make a `DecodeError` that names the row of whatever goes wrong while one is taken apart.

    A damaged row decodes to anything: what is then looked for in it is missing, of another kind, or out of range.
    """
    try:
        yield
    except Exception as error:
        raise DecodeError(f"a row of {what} is damaged: {error!r}") from error


class ValueTagError(DecodeError):
    """A well-formed message whose values carry an unknown compat tag (WIRE-401).

    Attributes:
        action_id: The id of the action request it was in, None on HTTP.
    """

    def __init__(self, message: str, action_id: int | None = None) -> None:
        # For logs only: callers get the text of an internal error.
        super().__init__(message)
        self.action_id = action_id


class QueryFault(DecodeError):
    """A gateway target whose query form is malformed (WIRE-229).

    Attributes:
        code: The code of the error that callers get; its group is `guard`.
        fields: What its text names.
    """

    def __init__(self, code: str, **fields: str) -> None:
        # The text comes from the catalogue, which stands above this package.
        super().__init__(code)
        self.code = code
        self.fields: dict[str, Any] = dict(fields)
