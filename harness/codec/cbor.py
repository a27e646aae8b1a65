"""Reading CBOR as a JS client does (WIRE-403, WIRE-404).

Written here and not left to a library, because a client sees what a library hides: how wide an integer was written (eight bytes are a big
integer to it), and whether a value came with a tag. A tag that the protocol does not have, a member named twice and a break in the wrong
place are refused.
"""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from typing import Any

from client import UNDEFINED
from harness.codec.errors import SchemaError
from harness.codec.values import BigInt, Tagged

_KEPT = frozenset({27, 68, *range(65, 68), *range(69, 88), 259})
"""Tags of WIRE-403 that have no plain form here."""
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
# The additional information that stands for an open end, and behind major type 7 for its break.
_OPEN = 31
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: UNDEFINED}
_BREAK = object()


# Told apart from the same number in a shorter form: WIRE-421 asks for exactly this one.
class Wide(BigInt):
    """An integer in the form of eight bytes."""


def load_cbor(data: bytes) -> Any:
    """Exactly one CBOR value; raises `SchemaError`."""
    items = _Items(data)
    try:
        value = items.value()
    # By Python's own limit: a counter would have to choose one, and no message of the protocol comes near either.
    except RecursionError:
        raise SchemaError("malformed CBOR: nested too deeply") from None
    if items.at != len(data):
        raise SchemaError(f"{len(data) - items.at} bytes follow the CBOR value")
    return value


class _Items:
    """Reads item after item."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def value(self) -> Any:
        value = self.item()
        if value is _BREAK:
            raise SchemaError("malformed CBOR: a break outside of what it could end")
        return value

    def item(self) -> Any:
        major, low = divmod(self.bite(1)[0], 32)
        if major == 7:
            return self.simple(low)
        size = None if low == _OPEN else self.head(low)
        if size is None and major not in (2, 3, 4, 5):
            raise SchemaError("malformed CBOR: an open end of what has none")
        match major:
            case 0 | 1:
                number = int(size or 0) if major == 0 else -1 - int(size or 0)
                return Wide(number) if low == 27 else number
            case 2:
                return b"".join(self.strings(size, 2))
            case 3:
                try:
                    return "".join(str(piece, "utf-8") for piece in self.strings(size, 3))
                except UnicodeDecodeError as error:
                    raise SchemaError(f"malformed CBOR: a text is not UTF-8: {error.reason}") from None
            case 4:
                return self.several(size)
            case 5:
                return self.mapping(self.several(size if size is None else 2 * size))
            case _:
                return self.tagged(int(size or 0))

    def bite(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise SchemaError("malformed CBOR: it ends too soon")
        self.at += size
        return piece

    def head(self, low: int) -> int:
        if low < 24:
            return low
        if low not in _WIDTHS:
            raise SchemaError(f"malformed CBOR: additional information {low}")
        return int.from_bytes(self.bite(_WIDTHS[low]), "big")

    def strings(self, size: int | None, major: int) -> list[bytes]:
        if size is not None:
            return [self.bite(size)]
        pieces = []
        while (first := self.bite(1)[0]) != 0xFF:
            if first // 32 != major or first % 32 == _OPEN:
                raise SchemaError("malformed CBOR: a string in pieces has a piece of another kind")
            pieces.append(self.bite(self.head(first % 32)))
        return pieces

    def several(self, size: int | None) -> list[Any]:
        if size is not None:
            # Before anything is made: a count of four thousand millions in five bytes must not become a list.
            if size > len(self.data):
                raise SchemaError("malformed CBOR: it ends too soon")
            return [self.value() for _ in range(size)]
        items = []
        while (item := self.item()) is not _BREAK:
            items.append(item)
        return items

    def mapping(self, items: list[Any]) -> dict[Any, Any]:
        if len(items) % 2:
            raise SchemaError("malformed CBOR: a key without a value")
        try:
            found = dict(zip(items[::2], items[1::2], strict=True))
        except TypeError:
            raise SchemaError("an object has a key that is none") from None
        # A JS client keeps the last of two, a strict one the first: whoever sends both has said nothing.
        if len(found) != len(items) // 2:
            raise SchemaError("an object names a member twice")
        return found

    def simple(self, low: int) -> Any:
        if low in _FLOATS:
            return struct.unpack(_FLOATS[low], self.bite(_WIDTHS[low]))[0]
        if low == _OPEN:
            return _BREAK
        if low not in _SIMPLE:
            raise SchemaError(f"malformed CBOR: simple value {low}")
        return _SIMPLE[low]

    def tagged(self, tag: int) -> Any:
        content = self.value()
        if tag in (2, 3) and isinstance(content, bytes):
            number = int.from_bytes(content, "big")
            return BigInt(number if tag == 2 else -1 - number)
        if tag == 1 and isinstance(content, int | float) and not isinstance(content, bool) and math.isfinite(content):
            return datetime.fromtimestamp(content, UTC)
        if tag == 64 and isinstance(content, bytes):
            return content
        if tag == 258 and isinstance(content, list):
            try:
                return {tuple(item) if isinstance(item, list) else item for item in content}
            except TypeError:  # members that Python cannot hash: the list of them, so that nothing is lost
                return content
        if tag in _KEPT:
            return Tagged(tag, content)
        # Refused, although a library would hand it on: to a client it is a value that no program expects.
        raise SchemaError(f"CBOR tag {tag} is none of the protocol")
