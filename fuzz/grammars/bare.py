"""BARE messages of the protocol and of the inspector with wrong lengths, varints, presence bytes, union tags and versions."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from fuzz.grammars import cbor, leaves
from fuzz.grammars.mutation import seldom_mutated
from fuzz.source import pick, upto
from runtime.inspector.versions import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

LENGTHS = (2**7, 2**14, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
LONG_VARINTS = (b"\x80" * 9 + b"\x00", b"\x80" * 30 + b"\x01", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x7f", b"\xff" * 20, b"\x80")


def varint(number: int) -> bytes:
    """LEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def uint(chance: Random) -> bytes:
    """A number; seldom longer than it may be."""
    return pick(chance, LONG_VARINTS) if chance.random() < 0.04 else varint(abs(leaves.integer(chance)) % 2**64)


def sized(chance: Random, data: bytes) -> bytes:
    """Length and bytes; the length is seldom another."""
    point = chance.random()
    if point < 0.02:
        return varint(pick(chance, LENGTHS)) + data
    if point < 0.04:
        return pick(chance, LONG_VARINTS) + data
    return varint(max(0, len(data) + pick(chance, (-1, 1, 7)))) + data if point < 0.08 else varint(len(data)) + data


def text(chance: Random) -> bytes:
    """A text."""
    return sized(chance, leaves.utf8(chance))


def blob(chance: Random) -> bytes:
    """Bytes that hold a CBOR value."""
    return sized(chance, cbor.item(chance, 2))


def flag(chance: Random) -> bytes:
    """0 or 1; seldom another byte."""
    return pick(chance, (b"\x00", b"\x01")) if chance.random() < 0.97 else bytes((int(chance.random() * 256),))


def word(chance: Random) -> bytes:
    """Eight bytes."""
    return (abs(leaves.integer(chance)) % 2**64).to_bytes(8, "little")


def perhaps(part: Callable[[Random], bytes]) -> Callable[[Random], bytes]:
    """A presence byte, and what may be there."""

    def make(chance: Random) -> bytes:
        present = flag(chance)
        return present + part(chance) if present == b"\x01" else present

    return make


def tag(number: int) -> Callable[[Random], bytes]:
    """The tag of a union; seldom another."""
    return lambda chance: bytes((number if chance.random() < 0.96 else int(chance.random() * 256),))


def actor(chance: Random) -> bytes:
    """The actor of an error."""
    return text(chance) + uint(chance) + perhaps(text)(chance)


Layout = tuple["Callable[[Random], bytes]", ...]
ERROR_TAIL: Layout = (text, text, text, perhaps(blob))
TO_SERVER: tuple[Layout, ...] = ((tag(0), uint, text, blob), (tag(0), uint, text, blob), (tag(1), text, flag))
TO_CLIENT: tuple[Layout, ...] = (
    (tag(0), text, text), (tag(1), *ERROR_TAIL, perhaps(uint), perhaps(actor)), (tag(2), uint, blob), (tag(3), text, blob),
)  # fmt: skip
ACTION: tuple[Layout, ...] = ((blob,),)
QUEUE_REQUEST: tuple[Layout, ...] = ((blob, perhaps(text), perhaps(flag), perhaps(word)),)
QUEUE_RESPONSE: tuple[Layout, ...] = ((text, perhaps(blob)),)
ERROR: tuple[Layout, ...] = ((*ERROR_TAIL, perhaps(actor)),)


def versioned(layouts: tuple[Layout, ...]) -> Callable[[Random], bytes]:
    """A grammar of messages of these layouts behind their version."""

    def make(chance: Random) -> bytes:
        version = pick(chance, (4, 4, 4, 3, 2, 1)) if chance.random() < 0.95 else pick(chance, (0, 5, 255, 256, 65535))
        parts = b"".join(part(chance) for part in pick(chance, layouts))
        return seldom_mutated(chance, version.to_bytes(2, "little") + parts, 0.3)

    return make


def _record(chance: Random, kind: Any) -> bytes:
    """A record as its annotations lay it out."""
    if kind is int:
        return uint(chance)
    if kind is str:
        return text(chance)
    if kind is bool:
        return flag(chance)
    if kind is bytes:
        return blob(chance)
    if get_origin(kind) is list:
        count = upto(chance, 4)
        claimed = count if chance.random() < 0.95 else pick(chance, LENGTHS)
        return varint(claimed) + b"".join(_record(chance, get_args(kind)[0]) for _ in range(count))
    if isinstance(kind, types.UnionType):
        return perhaps(lambda one: _record(one, get_args(kind)[0]))(chance)
    return b"".join(_record(chance, field) for field in get_type_hints(kind).values())


def inspector(chance: Random) -> tuple[bytes, int | None]:
    """A request to the inspector and the version of its socket, None for frames that carry theirs."""
    version = pick(chance, (1, 2, 3, 4, 5, 6))
    known = REQUESTS[version]
    number = int(chance.random() * len(known))
    body = tag(number)(chance) + _record(chance, known[number])
    own = chance.random() < 0.3
    data = seldom_mutated(chance, (version.to_bytes(2, "little") if own else b"") + body, 0.3)
    return data, None if own else version
