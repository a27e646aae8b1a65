"""JSON (RFC 8259) with every rule broken, and the tags of the compat layer in all wrong forms."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from fuzz.grammars import leaves
from fuzz.grammars.mutation import seldom_mutated
from fuzz.source import pick, upto

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

NUMBERS = (
    "0", "-0", "1", "-1", "1.5", "1e5", "1E+05", "1e400", "-1e400", "1e-400", "1e99999999", "0." + "0" * 400 + "1", "9" * 19, "9" * 20,
    "9" * 400, "18446744073709551616", "9007199254740993", "4.9e-324", "1." + "3" * 400,
)  # fmt: skip
WRONG_NUMBERS = ("01", "+1", ".5", "1.", "1e", "1e+", "--1", "0x10", "NaN", "Infinity", "-Infinity", "1_000", "\u0661", "- 1", "1 2")
WRONG = (
    "", " ", "tru", "True", "nul", "undefined", "'a'", "/* c */1", "[1,]", '{"a":1,}', "[,1]", '{"a"}', '{"a":}', "{1:2}", "[1}", '"a',
    '"\n"', '"\x00"', '"\\x41"', '"\\u12"',
)  # fmt: skip
ESCAPES = ("\\n", "\\u0000", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\udc00\\ud800", "\\uFFFF", "\\/", "\\u001b", "\\ud800x", "\\uD83D")
CODED = ("", "AAEC", "AAE=", "AA==", "A", "AAE", "AA=A", "!!!!", "AA\n==", "-_-_", "====", "QUJD" * 40, "AAECAw==AAEC", "\uff21===")
BIGS = (
    "0", "1", "-1", "-0", "9" * 17, "9" * 4300, "9" * 4301, "9" * 20_000, "", "-", "+5", " 5", "5 ", "1e5", "0x5", "5n", "5.0", "--5",
    "\u0663", "00", "-00005",
)  # fmt: skip


def string(chance: Random) -> str:
    """A string with its quotes."""
    made = json.dumps(leaves.text(chance), ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.2:
        return made[:-1] + pick(chance, ESCAPES) + '"'
    return made


def number(chance: Random) -> str:
    """A number, seldom one of many digits."""
    if chance.random() < 0.5:
        return str(leaves.integer(chance))
    return pick(chance, NUMBERS if chance.random() < 0.8 else WRONG_NUMBERS)


def value(chance: Random, depth: int = 3) -> str:
    """Any value, `depth` levels at most except for those that are deep on purpose."""
    if depth <= 0 or chance.random() < 0.35:
        return pick(chance, LEAVES)(chance)
    return pick(chance, NESTED)(chance, depth - 1)


def _constant(chance: Random) -> str:
    return pick(chance, ("null", "true", "false"))


def _wrong(chance: Random) -> str:
    return pick(chance, WRONG) if chance.random() < 0.2 else _constant(chance)


def _deep(chance: Random) -> str:
    opening, closing = pick(chance, (("[", "]"), ('{"a":', "}"), ('["$Set",[', "]]"), ('["$$a",', "]"), ('["$$Set",[', "]]")))
    many = 1 + upto(chance, 300) if chance.random() < 0.95 else 1 + upto(chance, 60_000 // len(opening + closing))
    return opening * many + "0" + (closing * many if chance.random() < 0.8 else "")


def compat(chance: Random, depth: int = 0) -> str:
    """A tagged array; its content fits, nearly fits, or is anything."""
    tag = pick(chance, leaves.COMPAT)
    point = chance.random()
    if point < 0.2:
        content = value(chance, depth)
    elif tag in ("$Uint8Array", "$ArrayBuffer"):
        content = json.dumps(pick(chance, CODED) if point < 0.8 else base64.b64encode(bytes(upto(chance, 40))).decode())
    elif tag == "$BigInt":
        content = json.dumps(pick(chance, BIGS)) if point < 0.8 else number(chance)
    elif tag == "$Set":
        content = f"[{','.join(value(chance, depth) for _ in range(upto(chance, 4)))}]"
    else:
        content = pick(chance, ("0", "null", '"x"', "[]"))
    more = chance.random()
    # Of one or three elements it is no tagged array any more.
    return f'["{tag}"]' if more < 0.03 else f'["{tag}",{content},0]' if more < 0.06 else f'["{tag}",{content}]'


LEAVES: tuple[Callable[[Random], str], ...] = (number, number, string, string, string, _constant, _wrong, _deep, compat, compat)


def _list(chance: Random, depth: int) -> str:
    comma = pick(chance, (",", ",", " ,\n"))
    return f"[{comma.join(value(chance, depth) for _ in range(upto(chance, 5)))}]"


def _object(chance: Random, depth: int) -> str:
    names = [json.dumps(pick(chance, leaves.MEMBERS)) if chance.random() < 0.85 else string(chance) for _ in range(upto(chance, 4))]
    if len(names) > 1 and chance.random() < 0.3:
        names[1] = names[0]
    return "{" + ",".join(f"{name}:{value(chance, depth)}" for name in names) + "}"


NESTED: tuple[Callable[[Random, int], str], ...] = (_list, _object, compat)


def encoded(chance: Random, text: str) -> bytes:
    """As bytes: UTF-8, seldom with a mark before it or in another encoding."""
    point = chance.random()
    if point < 0.96:
        return text.encode("utf-8", "surrogatepass")
    return text.encode(pick(chance, ("utf-8-sig", "utf-16", "utf-32-le", "utf-7")), "surrogatepass")


def json_text(chance: Random) -> bytes:
    """One value as a document."""
    made = value(chance)
    return seldom_mutated(chance, encoded(chance, made + pick(chance, WRONG) if chance.random() < 0.03 else made))
