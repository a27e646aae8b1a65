"""Bytes changed without knowing what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.source import pick, upto

if TYPE_CHECKING:
    from random import Random

MOST = 64 * 1024
"""Bytes of an input: what a message may have (WIRE-520)."""

EXTREMES = tuple(
    number.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for number in (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
    for order in ("big", "little")
)
PIECES = (
    b"\x00", b"\xff", b"\xff\xff\xff\xff", b"%00", b"\r\n", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"$",
    b"/../",
)  # fmt: skip


def flip(chance: Random, data: bytearray) -> None:
    """One bit."""
    if data:
        data[int(chance.random() * len(data))] ^= 1 << int(chance.random() * 8)


def replace(chance: Random, data: bytearray) -> None:
    """One byte."""
    if data:
        data[int(chance.random() * len(data))] = int(chance.random() * 256)


def truncate(chance: Random, data: bytearray) -> None:
    """The end is missing."""
    del data[int(chance.random() * (len(data) + 1)) :]


def remove(chance: Random, data: bytearray) -> None:
    """Something inside is missing."""
    at = int(chance.random() * (len(data) + 1))
    del data[at : at + 1 + upto(chance, 8)]


def insert(chance: Random, data: bytearray) -> None:
    """Something that means something elsewhere."""
    at = int(chance.random() * (len(data) + 1))
    data[at:at] = pick(chance, PIECES)


def extreme(chance: Random, data: bytearray) -> None:
    """The smallest and largest integers over what is there."""
    piece = pick(chance, EXTREMES)
    at = int(chance.random() * (len(data) + 1))
    data[at : at + len(piece)] = piece


def splice(chance: Random, data: bytearray) -> None:
    """One part of it over another."""
    if data:
        begin, at = int(chance.random() * len(data)), int(chance.random() * len(data))
        piece = data[begin : begin + 1 + upto(chance, 32)]
        data[at : at + (len(piece) if chance.random() < 0.5 else 0)] = piece


def repeat(chance: Random, data: bytearray) -> None:
    """One part again and again, seldom up to the largest message."""
    if data:
        begin = int(chance.random() * len(data))
        piece = bytes(data[begin : begin + 1 + upto(chance, 16)])
        most = MOST - len(data) if chance.random() < 0.03 else 200
        data[begin:begin] = piece * max(0, upto(chance, most) // len(piece))


CHANGES = (flip, replace, truncate, remove, insert, extreme, splice, repeat)


def mutated(chance: Random, data: bytes) -> bytes:
    """The bytes after one to four changes."""
    changed = bytearray(data)
    for _ in range(1 + upto(chance, 3)):
        pick(chance, CHANGES)(chance, changed)
    return bytes(changed[:MOST])


def seldom_mutated(chance: Random, data: bytes, share: float = 0.4) -> bytes:
    """What a grammar made, mostly as it is: most of what is wrong with it is wrong by grammar."""
    return mutated(chance, data) if chance.random() < share else data[:MOST]
