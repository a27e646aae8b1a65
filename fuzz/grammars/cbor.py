"""CBOR (RFC 8949) with every rule broken: heads, tags, shared and cyclic structure, depth, claims without content."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fuzz.grammars import leaves
from fuzz.grammars.mutation import seldom_mutated
from fuzz.source import pick, upto

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

TAGS = (*range(6), *range(21, 38), *range(64, 88), 100, *range(256, 262), 1004, 43000, 55799, 2**16, 2**32, 2**63, 2**64 - 1)
CLASSES = (
    "RegExp", "Error", "TypeError", "RangeError", "Map", "Set", "Date", "Object", "Array", "Symbol", "Function", "BigInt", "Uint8Array",
    "Proxy", "WeakRef", "constructor", "__proto__", "os.system", "builtins.eval", "collections.OrderedDict", "", "\x00",
)  # fmt: skip
PATTERNS = (
    "(a+)+$", "[\\0-\\uffff]" * 4, "(" * 50, "a{65535}", "(?P<x>", "\\", "[", "(?i)x", "x" * 200, "(((((a*)*)*)*)*)*b", "\ud7ff", "",
)  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, 1.5, 2.0**32, 2.0**53, 2.0**63, 1e300, 5e-324, float("inf"), float("-inf"), float("nan"))
CLAIMS = (2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
BREAK = b"\xff"
WIDTHS = {1: 24, 2: 25, 4: 26, 8: 27}


def head(major: int, value: int, width: int = 0) -> bytes:
    """The head of an item; `width` bytes for the value, the fewest when 0."""
    if not width:
        if value < 24:
            return bytes((major << 5 | value,))
        width = 1 if value < 2**8 else 2 if value < 2**16 else 4 if value < 2**32 else 8
    return bytes((major << 5 | WIDTHS[width],)) + (value & ((1 << 8 * width) - 1)).to_bytes(width, "big")


def any_head(chance: Random, major: int, value: int) -> bytes:
    """Mostly the shortest; also wider than needed, and too narrow."""
    return head(major, value, pick(chance, (0, 0, 0, 0, 1, 2, 4, 8)) if chance.random() < 0.3 else 0)


def text(data: bytes | str) -> bytes:
    """A text string."""
    data = data.encode() if isinstance(data, str) else data
    return head(3, len(data)) + data


def item(chance: Random, depth: int = 3) -> bytes:
    """Any item, `depth` levels at most except for those that are deep on purpose."""
    if depth <= 0 or chance.random() < 0.35:
        return pick(chance, LEAVES)(chance)
    return pick(chance, NESTED)(chance, depth - 1)


# Leaves.


def _integer(chance: Random) -> bytes:
    number = leaves.integer(chance)
    major, value = (0, number) if number >= 0 else (1, -1 - number)
    return any_head(chance, major, value) if value < 2**64 else _big(chance)


def _string(chance: Random) -> bytes:
    data = leaves.utf8(chance)
    return any_head(chance, 2 if chance.random() < 0.3 else 3, len(data)) + data


def _claim(chance: Random) -> bytes:
    return head(2 + int(chance.random() * 4), pick(chance, CLAIMS), 8) + b"\x00" * upto(chance, 8)


def _simple(chance: Random) -> bytes:
    if chance.random() < 0.5:
        return pick(chance, (b"\xf4", b"\xf5", b"\xf6", b"\xf7"))
    # Simple values of both forms, and the heads that mean nothing yet.
    return bytes((0xF8, int(chance.random() * 256))) if chance.random() < 0.5 else bytes((0xE0 + int(chance.random() * 32),))


def _float(chance: Random) -> bytes:
    number = pick(chance, FLOATS)
    kind = int(chance.random() * 4)
    if kind == 0:
        return b"\xf9" + int(chance.random() * 65536).to_bytes(2, "big")
    if kind == 1:
        return b"\xfa" + int(chance.random() * 2**32).to_bytes(4, "big")
    return b"\xfb" + struct.pack(">d", number)


def _reserved(chance: Random) -> bytes:
    return bytes((int(chance.random() * 8) << 5 | 28 + int(chance.random() * 4),))


def _big(chance: Random) -> bytes:
    size = upto(chance, 40) if chance.random() < 0.98 else upto(chance, 20_000)
    return head(6, 2 + int(chance.random() * 2)) + head(2, size) + bytes((1 + int(chance.random() * 255),)) * size


def _fraction(chance: Random) -> bytes:
    """Decimal fractions, big floats, rationals: a few bytes for a number of any size."""
    tag = pick(chance, (4, 5, 30, 264, 265))
    return head(6, tag) + b"\x82" + _integer(chance) + (_integer(chance) if chance.random() < 0.8 else _big(chance))


def _moment(chance: Random) -> bytes:
    if chance.random() < 0.5:
        texts = ("2020-01-01T00:00:00Z", "9999-12-31T23:59:60+14:00", "0000-00-00", "x" * 40, "2020-01-01T00:00:00." + "9" * 300 + "Z")
        return head(6, pick(chance, (0, 1004))) + text(pick(chance, texts))
    return head(6, pick(chance, (1, 100))) + (_integer(chance) if chance.random() < 0.5 else _float(chance))


def _reference(chance: Random) -> bytes:
    return head(6, pick(chance, (29, 25))) + head(0, upto(chance, 3))


def _class(chance: Random) -> bytes:
    name = pick(chance, CLASSES)
    if chance.random() < 0.5:
        pattern = pick(chance, PATTERNS) * (1 if chance.random() < 0.97 else upto(chance, 400))
        return (
            head(6, pick(chance, (27, 27, 27, 35)))
            + b"\x83"
            + text("RegExp")
            + text(pattern)
            + text(pick(chance, ("", "i", "gimsuy", "z")))
        )
    count = upto(chance, 3)
    return head(6, 27) + head(4, 1 + count) + text(name) + b"".join(item(chance, 0) for _ in range(count))


def _typed(chance: Random) -> bytes:
    size = upto(chance, 33)
    return head(6, 64 + int(chance.random() * 24)) + head(2, size) + bytes(size)


def _cycle(chance: Random) -> bytes:
    """A list, a map, or a tagged item that is in itself."""
    inner = pick(
        chance, (b"\x81", b"\xa1\x61a", b"\xd9\x01\x02\x81", b"\xd9\x01\x03\xa1\x61a", b"\x82\x01", b"\xd8\x1b\x82\x65Error", b"\xc1")
    )
    return b"\xd8\x1c" + inner * (1 + upto(chance, 3)) + b"\xd8\x1d\x00"


def _laughs(chance: Random) -> bytes:
    """A billion laughs: each level is the one before, several times."""
    levels, width = 1 + upto(chance, 40), 2 + upto(chance, 8)
    levels = min(levels, 200 // width)
    first = b"\xd8\x1c\x81\x63lol"
    parts = [first] + [b"\xd8\x1c" + head(4, width) + (b"\xd8\x1d" + head(0, level)) * width for level in range(levels)]
    return head(4, len(parts)) + b"".join(parts)


def _strings(chance: Random) -> bytes:
    """A long text, once by itself and many times by its number."""
    count = 1 + upto(chance, 20)
    return b"\xd9\x01\x00" + head(4, 1 + count) + text("y" * (3 + upto(chance, 200))) + b"\xd8\x19\x00" * count


def _deep(chance: Random) -> bytes:
    """Nothing but depth."""
    level = pick(
        chance,
        (b"\x81", b"\xa1\x61a", b"\xa1", b"\x9f", b"\xbf\x61a", b"\xc1", b"\xd8\x1c\x81", b"\xd9\x01\x02\x81", b"\xd9\x01\x03\xa1\x61a"),
    )
    many = 1 + upto(chance, 300) if chance.random() < 0.95 else 1 + upto(chance, 60_000 // len(level))
    return level * many + (b"\x00" if chance.random() < 0.8 else b"")


def _compat(chance: Random) -> bytes:
    """A tagged array of the compat layer with what fits or with anything."""
    tag = pick(chance, leaves.COMPAT)
    fitting = {
        "$BigInt": text("9" * (1 + upto(chance, 60))),
        "$Uint8Array": text("AAECAw=="),
        "$Set": b"\x82\x01\x82\x01\x02",
        "$Undefined": b"\x00",
    }
    content = fitting.get(tag, b"\x61x") if chance.random() < 0.5 else item(chance, 0)
    return b"\x82" + text(tag) + content


LEAVES: tuple[Callable[[Random], bytes], ...] = (
    _integer, _integer, _string, _string, _string, _simple, _float, _claim, _reserved, _big, _fraction, _moment, _reference, _class,
    _typed, _cycle, _laughs, _strings, _deep, _compat,
)  # fmt: skip


# Containers.


def _list(chance: Random, depth: int) -> bytes:
    items = [item(chance, depth) for _ in range(upto(chance, 5))]
    count = len(items) if chance.random() < 0.9 else max(0, len(items) + pick(chance, (-1, 1, 2)))
    return any_head(chance, 4, count) + b"".join(items)


def _map(chance: Random, depth: int) -> bytes:
    count = upto(chance, 4)
    # Also keys that no table can hold, and the same key twice.
    keys = [text(pick(chance, leaves.MEMBERS)) if chance.random() < 0.8 else item(chance, min(depth, 1)) for _ in range(count)]
    if count > 1 and chance.random() < 0.2:
        keys[1] = keys[0]
    return any_head(chance, 5, count) + b"".join(key + item(chance, depth) for key in keys)


def _endless(chance: Random, depth: int) -> bytes:
    """Indefinite items: with and without their end, chunks of the wrong kind, an odd number in a map."""
    major = 2 + int(chance.random() * 4)
    if major < 4 and chance.random() < 0.7:
        chunks = [head(major, 1) + b"x" for _ in range(upto(chance, 4))]
    else:
        chunks = [item(chance, depth) for _ in range(upto(chance, 4))]
    return bytes((major << 5 | 31,)) + b"".join(chunks) + (BREAK if chance.random() < 0.85 else b"")


def _tag(chance: Random, depth: int) -> bytes:
    return any_head(chance, 6, pick(chance, TAGS)) + item(chance, depth)


def _shared(chance: Random, depth: int) -> bytes:
    return b"\x82" + b"\xd8\x1c" + item(chance, depth) + b"\xd8\x1d" + head(0, upto(chance, 2))


NESTED: tuple[Callable[[Random, int], bytes], ...] = (_list, _list, _map, _map, _endless, _tag, _tag, _shared)


def cbor(chance: Random) -> bytes:
    """One item as a document, mostly whole, sometimes followed by another one."""
    data = item(chance)
    return seldom_mutated(chance, data + item(chance, 0) if chance.random() < 0.03 else data)
