"""Actor keys: ordered lists of strings and their serialized form (WIRE-160..163)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def serialize_key(parts: Sequence[str]) -> str:
    r"""The serialized form: parts joined by `/`, with `\` and `/` escaped and an empty part written `\0`; no parts is `/`."""
    # Not the empty text: an empty label is refused (WIRE-085).
    if not parts:
        return "/"
    # The backslash before the slash, or the escapes would be escaped themselves.
    return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") if part else "\\0" for part in parts)


def parse_key(text: str | None) -> tuple[str, ...]:
    """The inverse of `serialize_key`; absent, empty and `/` are the empty key."""
    if not text or text == "/":
        return ()
    parts: list[str] = []
    current: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "/":
            parts.append("".join(current))
            current = []
        elif character == "\\" and position + 1 < len(text):
            position += 1
            # An empty part, whatever came before in it (WIRE-161).
            if text[position] == "0":
                current = []
            else:
                current.append(text[position])
        else:
            current.append(character)
        position += 1
    return (*parts, "".join(current))


def normalize_key(key: str | Sequence[str] | None) -> tuple[str, ...]:
    """A key as its tuple: a bare string is a one-element key, None the empty one; raises `TypeError` for other elements."""
    if key is None:
        return ()
    # A text is a sequence of texts, too: without this its letters would be the parts.
    if isinstance(key, str):
        return (key,)
    parts = tuple(key)
    if not all(isinstance(part, str) for part in parts):
        raise TypeError(f"an actor key is a list of strings, got {key!r}")
    return parts
