"""Values: the compat layer, and the plain forms a judge compares (WIRE section 7.2).

Values of kinds that Python has no plain form for (a JS map, a typed array, a regular expression) are kept as the tag and content they
travelled as: a judge needs to tell them apart, not to use them.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from client import UNDEFINED
from harness.codec.errors import SchemaError

SAFE = 2**53 - 1
"""The largest integer a JS number holds."""
_PAIR = 2
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)")


# A subclass, so that tests compare with plain numbers and only `same` asks how one travelled.
class BigInt(int):
    """An integer that travelled as a big one."""


class ArrayBuffer(bytes):
    """Bytes that travelled as an ArrayBuffer and not as a Uint8Array."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A CBOR value of a kind without a plain form: 259 map, 27 object, 69 to 86 typed arrays."""

    tag: int
    content: Any


def to_wire(value: Any) -> Any:
    """Apply the compat layer; `Tagged` values and dates stay, CBOR has a form for them."""
    if value is UNDEFINED:
        return ["$Undefined", 0]
    if isinstance(value, BigInt) or (isinstance(value, int) and not isinstance(value, bool) and not -SAFE <= value <= SAFE):
        return ["$BigInt", str(int(value))]
    if isinstance(value, bytes | bytearray):
        return ["$ArrayBuffer" if isinstance(value, ArrayBuffer) else "$Uint8Array", base64.b64encode(value).decode()]
    if isinstance(value, set | frozenset):
        return ["$Set", [to_wire(item) for item in value]]
    if isinstance(value, list | tuple):
        items = [to_wire(item) for item in value]
        # Escaped by one more `$`: a user's own pair that looks like a tag must come back as the pair it was.
        return ["$" + items[0], items[1]] if _is_marked(items, value) else items
    if isinstance(value, Mapping):
        return {name: to_wire(item) for name, item in value.items()}
    return Tagged(value.tag, to_wire(value.content)) if isinstance(value, Tagged) and isinstance(value.content, Mapping) else value


def _is_marked(items: list[Any], original: list[Any] | tuple[Any, ...]) -> bool:
    return len(items) == _PAIR and isinstance(original[0], str) and original[0].startswith("$")


def from_wire(value: Any) -> Any:
    """Undo the compat layer.

    Raises:
        SchemaError: An array looks like a tag and is none (WIRE-401).
    """
    if isinstance(value, list):
        if _is_marked(value, value):
            return _untag(value[0], value[1])
        return [from_wire(item) for item in value]
    if isinstance(value, dict):
        return {name: from_wire(item) for name, item in value.items()}
    return Tagged(value.tag, from_wire(value.content)) if isinstance(value, Tagged) and isinstance(value.content, dict) else value


def _untag(tag: str, content: Any) -> Any:
    if tag.startswith("$$"):
        return [tag[1:], from_wire(content)]
    # By exact type, as `False` equals 0 and is none.
    if tag == "$Undefined" and type(content) is int and content == 0:
        return UNDEFINED
    if tag == "$BigInt" and isinstance(content, str) and _DECIMAL.fullmatch(content):
        return BigInt(content)
    if tag in ("$Uint8Array", "$ArrayBuffer") and isinstance(content, str):
        try:
            data = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise SchemaError(f"{tag} holds no standard base64: {error}") from None
        return data if tag == "$Uint8Array" else ArrayBuffer(data)
    if tag == "$Set" and isinstance(content, list):
        return _set([from_wire(item) for item in content])
    raise SchemaError(f"{[tag, content]!r:.80} looks like a tagged value and is none")


def _set(items: list[Any]) -> Any:
    """A set; with members that Python cannot hash, the list of them, so that nothing is lost."""
    try:
        return {tuple(item) if isinstance(item, list) else item for item in items}
    except TypeError:
        return items


def same(left: Any, right: Any) -> bool:
    """Equality as a client sees it: `False` is not 0, `None` is not `UNDEFINED`, 1 and 1.0 are one number, NaN is itself."""
    # First, because Python takes `True` for 1 in every comparison that follows.
    if isinstance(left, bool) or isinstance(right, bool) or left is UNDEFINED or right is UNDEFINED:
        return left is right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, Tagged) and isinstance(right, Tagged):
        return left.tag == right.tag and same(left.content, right.content)
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    # Equal values that a JS program would see as two kinds are different.
    kinds = (BigInt, ArrayBuffer)
    return bool(left == right) and all(isinstance(left, kind) == isinstance(right, kind) for kind in kinds)
