"""The failures of all decoders."""


class DecodeError(ValueError):
    """Bytes or text that are not what the protocol says; nothing else ever escapes a decoder."""


class ValueTagError(DecodeError):
    """A well-formed message whose values carry an unknown compat tag (WIRE-401).

    Attributes:
        action_id: The id of the action request it was in, None on HTTP.
    """

    def __init__(self, message: str, action_id: int | None = None) -> None:
        super().__init__(message)
        self.action_id = action_id
