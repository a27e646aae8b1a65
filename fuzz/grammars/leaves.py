"""Single values that are special somewhere: texts, numbers, names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.source import pick, upto

if TYPE_CHECKING:
    from random import Random

INTEGERS = tuple(
    sorted({0, 1, 2, 9, 10, 23, 24, 100, 1000} | {2**bits + step for bits in (8, 16, 31, 32, 53, 63, 64) for step in (-1, 0, 1)})
)
COMPAT = ("$Undefined", "$BigInt", "$Uint8Array", "$ArrayBuffer", "$Set", "$Map", "$Date", "$", "$$", "$$BigInt", "$unknown", "$$$")
MEMBERS = (
    "body", "tag", "val", "id", "name", "args", "eventName", "subscribe", "output", "actorId", "connectionId", "group", "code",
    "message", "metadata", "actor", "generation", "key", "wait", "timeout", "status", "response", "state", "sql", "properties",
    "__proto__", "constructor", "toString", "length", "",
)  # fmt: skip
TEXTS = (
    "", "a", "x" * 23, "x" * 24, "x" * 255, "x" * 256, "ActionRequest", "SubscriptionRequest", "ActionResponse", "Event", "Init",
    "Error", "echo", "\x00", "\x1b[31m", "\r\n", "\x7f", "\u0130", "\u00df", "\ufeff", "\u2028", "\U0001f9e8", "\u202e", "\ud7ff",
    "e\u0301" * 8, "0", "-0", "NaN", "1e400", "true", "null", "../../etc/passwd", "%s%n", "{{7*7}}", "9" * 20, "9" * 5000,
    "\u0661\u0662\u0663", "1_000", " 1", "+1", "0x10",
)  # fmt: skip
ILL = (
    b"\x80", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xff\xfe",
    b"a\xe2\x82",
)  # fmt: skip
"""What is no UTF-8: lone continuations, cut and overlong characters, surrogates, beyond the last code point."""


def text(chance: Random) -> str:
    """A text, seldom long."""
    point = chance.random()
    if point < 0.4:
        return pick(chance, TEXTS)
    if point < 0.7:
        return pick(chance, MEMBERS)
    if point < 0.8:
        return pick(chance, COMPAT)
    return "".join(chr(33 + int(chance.random() * 94)) for _ in range(upto(chance, 20)))


def utf8(chance: Random) -> bytes:
    """A text as bytes, now and then no UTF-8."""
    data = text(chance).encode()
    if chance.random() < 0.15:
        at = int(chance.random() * (len(data) + 1))
        return data[:at] + pick(chance, ILL) + data[at:]
    return data


def integer(chance: Random) -> int:
    """At the edges of every width, both signs."""
    number = pick(chance, INTEGERS) if chance.random() < 0.6 else int(chance.random() * 300)
    return -number if chance.random() < 0.25 else number
