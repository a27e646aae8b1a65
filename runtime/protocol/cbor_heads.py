"""Looks at the heads of CBOR bytes before anything is built of them: what a stranger may send, and what a row may hold.

A library builds whatever the bytes say: values that are in several places (thirty levels of them are a thousand million items), compiled
patterns, numbers whose text takes minutes. So one pass in the order of the bytes, without recursion and in linear time, refuses all that
has no form in this protocol (WIRE-403), and bounds what is left: how deep, how many items, how much of it Python has to hash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from runtime.protocol.decode_errors import DecodeError

MAX_DEPTH: Final = 128
"""Containers inside each other that a value of user code may have (RUN-105)."""
MAX_BIG_BITS: Final = 14_284
"""Of a big integer: 4,300 decimal digits, the most that Python reads back from text."""
_BIG_BYTES: Final = MAX_BIG_BITS // 8 + 1
_BIG_FIRST: Final = 1 << MAX_BIG_BITS % 8


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be decoded.

    Attributes:
        depth: Containers and tags inside each other.
        items: What all containers hold together, a map's keys and values counted each.
        containers: How many containers and tags there are.
        hashed: Items inside containers and big integers that are keys of maps or members of sets. The sender chooses their hashes, and
            a thousand equal ones cost a million comparisons; those of texts are random, and few numbers of 64 bits have the same.
    """

    depth: int
    items: int
    containers: int
    hashed: int


# Maps travel as two levels, a tag and what it is put on, and so do sets. Messages wrap values in four more, rows in some more.
WIRE: Final = Limits(depth=2 * MAX_DEPTH + 16, items=1_000_000, containers=100_000, hashed=2_048)
"""For messages of strangers, whose bytes are limited, too."""
INPUT: Final = Limits(depth=WIRE.depth, items=250_000, containers=50_000, hashed=WIRE.hashed)
"""For creation inputs, which may be of megabytes: whatever they are, the loop is not held longer than by the largest message."""
STORED: Final = Limits(depth=2 * MAX_DEPTH + 32, items=2**48, containers=2**48, hashed=2**48)
"""For rows of this runtime, and for the answers of the server that a client chose: what was accepted once must load, however large."""

# Major types, as they stand in the upper three bits of a head.
_BYTES, _TEXT, _LIST, _MAP, _TAG = 2, 3, 4, 5, 6

_TAG_SET: Final = 258
_BIG: Final = frozenset({2, 3})
_CONTENTS: Final[dict[int, frozenset[int]]] = {
    1: frozenset({0, 1, 7}),
    **dict.fromkeys((0,), frozenset({_TEXT})),
    **dict.fromkeys((27, _TAG_SET), frozenset({_LIST})),
    **dict.fromkeys((2, 3, 64, 68, 69, 70, 71, 72, 77, 78, 79, 85, 86), frozenset({_BYTES})),
    259: frozenset({_MAP}),
}
"""The tags that have a meaning here, and the major types of what each may be put on."""

_ARGUMENT: Final = {24: 1, 25: 2, 26: 4, 27: 8}
"""How many bytes after a head are its number, by its lower five bits; 28 to 30 are reserved, 31 stands for an open end."""
_OPEN: Final = 31
_BREAK: Final = 0xFF
_SPECIAL: Final = re.compile(rb"[\x5a\x5b\x5f\x7a\x7b\x7f\x9a-\x9f\xba-\xbf\xc0-\xf3\xf8\xff]")
"""Heads that need a look: tags, open ends and breaks, simple values, lengths of four bytes and more."""
_HOLDERS: Final = bytes(range(0x80, 0xC0))
# Of holders in a long message that is let through without a walk: with so few, even equal hashes of all keys cost little.
_FEW: Final = 16
# What is left of a container with an open end stays above half of it, as no definite one has. Even, as is what a map holds.
_ENDLESS: Final = 2**62


def _leaf_sizes() -> list[int]:
    sizes = [0] * 256
    for head in (*range(0x18), *range(0x20, 0x38), 0x80, 0xA0, 0xF4, 0xF5, 0xF6, 0xF7):
        sizes[head] = 1
    for low, size in _ARGUMENT.items():
        sizes[low] = sizes[0x20 + low] = 1 + size
    for head, size in ((0xF9, 3), (0xFA, 5), (0xFB, 9)):
        sizes[head] = size
    for length in range(24):
        sizes[0x40 + length] = sizes[0x60 + length] = 1 + length
    return sizes


_LEAF: Final = _leaf_sizes()
"""By head: the bytes of an item that holds no other, empty lists and maps too, and whose head tells its size; 0 for all others."""

# What is known of the items of a container, as bits: they are keys and values in turn, or all hashed; or the one item is that of a set.
_KEYED, _HASHED, _SET_NEXT = 1, 2, 4


def check_heads(data: bytes, limits: Limits = WIRE) -> None:
    """Return if `data` is within the limits and holds nothing that has no form in this protocol.

    What is left for the decoder to find is that the bytes end too early or too late, or are no text.

    Raises:
        DecodeError: It is too large, or holds tags or simple values that there are none of.
    """
    # Most messages are short and have numbers, texts, lists and objects only. Each byte that no such item begins with sends it the long
    # way, wherever it stands, and every level takes a byte.
    if len(data) <= limits.depth:
        if _SPECIAL.search(data) is None:
            return
    elif len(data) <= limits.items and _SPECIAL.search(data) is None and len(data) - len(data.translate(None, _HOLDERS)) <= _FEW:
        return
    _walk(data, limits)


def _walk(data: bytes, limits: Limits) -> None:
    at, left, kind = 0, 1, 0
    size, leaf = len(data), _LEAF
    outer: list[tuple[int, int]] = []
    items = containers = hashed = 0
    try:
        # One loop for everything, and local names only: the price of each item counts.
        while True:
            while left:
                head = data[at]
                left -= 1
                if width := leaf[head]:
                    at += width
                    continue
                major = head >> 5
                if _BYTES <= major <= _TEXT:
                    at, pieces = _after_text(data, at)
                    items += pieces
                    continue
                if head == _BREAK:
                    items += _ENDLESS - left
                    left, at = _broken(left, kind), at + 1
                    continue
                if not _LIST <= major <= _TAG:
                    raise DecodeError(f"malformed CBOR: no item begins with {head:#x}")
                # The key of a map comes when the number of what is left was even.
                inside = kind & _HASHED or (kind & _KEYED and left & 1)
                outer.append((left, kind))
                if major == _TAG:
                    tag, at = _number(data, at)
                    _check_tag(data, at, tag)
                    left, kind = 1, (_HASHED if inside else 0) | (_SET_NEXT if tag == _TAG_SET else 0)
                else:
                    if head & 31 == _OPEN:
                        left, at = _ENDLESS, at + 1
                    else:
                        left, at = _number(data, at)
                        left <<= major == _MAP
                        items += left
                    kind = (_HASHED if inside or kind & _SET_NEXT else 0) | (_KEYED if major == _MAP else 0)
                containers += 1
                if inside:
                    hashed += 1 + min(left, size - at)
                # Every item takes a byte, so what claims to be longer than it is has too many.
                if len(outer) > limits.depth or containers > limits.containers or hashed > limits.hashed or items > min(limits.items, size):
                    raise DecodeError("malformed CBOR: too deep, or too many items")
            if not outer:
                break
            left, kind = outer.pop()
    # The one way to run out of bytes that nobody looked for: there is no head where one should be.
    except IndexError:
        raise DecodeError("malformed CBOR: truncated") from None
    # The items of an open end are known after it.
    if at != size or items > limits.items:
        raise DecodeError("malformed CBOR: truncated" if at > size else "malformed CBOR: trailing bytes, or too many items")


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The number in the head at `at`, and where the head ends."""
    low = data[at] & 31
    if low < 24:
        return low, at + 1
    width = _ARGUMENT.get(low)
    if width is None:
        raise DecodeError(f"malformed CBOR: no item begins with {data[at]:#x}")
    end = at + 1 + width
    if end > len(data):
        raise IndexError
    return int.from_bytes(data[at + 1 : end], "big"), end


def _after_text(data: bytes, at: int) -> tuple[int, int]:
    """Where the text or byte string at `at` ends, and of how many pieces it is when it does not say its length itself."""
    head = data[at]
    if head & 31 != _OPEN:
        length, at = _number(data, at)
        return at + length, 0
    at, pieces = at + 1, 0
    while data[at] != _BREAK:
        # Pieces are of the same kind and have no pieces themselves.
        if data[at] >> 5 != head >> 5:
            raise DecodeError("malformed CBOR: a piece of another kind")
        length, at = _number(data, at)
        at, pieces = at + length, pieces + 1
    return at + 1, pieces


def _broken(left: int, kind: int) -> int:
    """What is left of the container that a break ends: nothing."""
    # The break itself was counted as an item.
    if left < _ENDLESS // 2 or (kind & _KEYED and not left & 1):
        raise DecodeError("malformed CBOR: a break in the wrong place")
    return 0


def _check_tag(data: bytes, at: int, tag: int) -> None:
    contents = _CONTENTS.get(tag)
    if contents is None:
        # Refused and not passed on as its content: nobody could tell the value from an untagged one.
        raise DecodeError(f"unsupported CBOR tag {tag}")
    head = data[at]
    if head >> 5 not in contents or (tag == 1 and head >= 0xE0 and not 0xF9 <= head <= 0xFB):
        raise DecodeError(f"malformed CBOR: tag {tag} on something else")
    if tag in _BIG:
        length, at = _number(data, at)
        if length > _BIG_BYTES or (length == _BIG_BYTES and data[at] >= _BIG_FIRST):
            raise DecodeError(f"malformed CBOR: an integer of more than {MAX_BIG_BITS} bits")
