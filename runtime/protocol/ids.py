"""Actor, namespace and ray ids: 30 characters of base36 (WIRE-150..152)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH = 30
_VERSION = 1
_SIZE = 19
# Two digits at a time halve the divisions of a number that is wider than a machine word.
_PAIRS = [_DIGITS[i % 36] + _DIGITS[i // 36] for i in range(36 * 36)]


@dataclass(frozen=True, slots=True)
class ActorId:
    """A parsed id: its UUID bytes and its datacenter label."""

    text: str
    uuid: bytes
    label: int


def new_id(label: int = 1) -> str:
    """A fresh random id."""
    return encode_id(uuid.uuid4().bytes, label)


def encode_id(uuid_bytes: bytes, label: int) -> str:
    """The 30 digits: version, UUID and label read as one little-endian integer, least significant digit first."""
    # The label is big endian within the little-endian whole: that is how WIRE-150 has it.
    number = int.from_bytes(bytes([_VERSION]) + uuid_bytes + label.to_bytes(2, "big"), "little")
    digits = []
    for _ in range(_LENGTH // 2):
        number, pair = divmod(number, 36 * 36)
        digits.append(_PAIRS[pair])
    return "".join(digits)


def parse_id(text: str) -> ActorId:
    """Parse an id, upper case allowed.

    Raises:
        ValueError: It is not exactly such an id.
    """
    lowered = text.lower()
    # `int` would take signs, blanks, underscores and the digits of every script.
    if len(lowered) != _LENGTH or not lowered.isascii() or not lowered.isalnum():
        raise ValueError(f"malformed id {text[:64]!r}")
    try:
        data = int(lowered[::-1], 36).to_bytes(_SIZE, "little")
    # Thirty digits of base36 hold more than 19 bytes.
    except OverflowError as error:
        raise ValueError(f"malformed id {text!r}") from error
    if data[0] != _VERSION:
        raise ValueError(f"malformed id {text!r}")
    return ActorId(lowered, data[1:17], int.from_bytes(data[17:], "big"))
