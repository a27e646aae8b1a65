"""The compat layer: values that JSON cannot hold, as two-element tagged arrays (WIRE-400..402).

It is applied by the owner of a value (client for arguments, actor for results, events, state and input); the transport passes the
arrays through untouched. Most values need no change, so both directions return the very same object whenever they can.
"""

from __future__ import annotations

import array
import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

SAFE_INTEGER: Final = 2**53 - 1
"""Integers beyond this magnitude travel as `$BigInt`: a JS number cannot hold them."""


class Undefined:
    """The type of `UNDEFINED`: no value at all, which is not `None` (wire: `null`)."""

    __slots__ = ()
    _instance: Undefined | None = None

    def __new__(cls) -> Undefined:
        """There is one."""
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __copy__(self) -> Undefined:
        return self

    def __deepcopy__(self, memo: object) -> Undefined:
        return self

    def __reduce__(self) -> tuple[type[Undefined], tuple[()]]:
        return (Undefined, ())


UNDEFINED: Final[Any] = Undefined()
"""The one `Undefined`; falsy, survives copying and pickling."""


class Map(dict[Any, Any]):
    """A dict that is sent as a map instead of an object; received maps are of this type, so that an echo stays a map (WIRE-405).

    A plain dict is sent as a map too as soon as one of its keys is not a string.
    """


class BigInt(int):
    """An int that is sent as a big integer whatever its size; received small big integers are of this type (WIRE-405)."""


class ArrayBuffer(bytes):
    """Bytes that are sent as an ArrayBuffer instead of a Uint8Array; received ones are of this type (WIRE-405)."""


class RegExp(msgspec.Struct, frozen=True):
    """A regular expression as it travels; received ones are of this type and never compiled (WIRE-403).

    What a stranger sends may take seconds to compile and longer to match, and the syntax is that of JavaScript: whoever wants a Python
    pattern of it calls `re.compile(value.source)`. Python patterns may be sent, and come back as this.
    """

    source: str
    flags: str = ""
    """Letters as in JavaScript."""

    @classmethod
    def of(cls, pattern: re.Pattern[str]) -> RegExp:
        """A Python pattern as it is sent; flags that JavaScript has none of are left out."""
        return cls(pattern.pattern, "".join(letter for letter, flag in _FLAGS.items() if pattern.flags & flag))


class CborOnly:
    """A value after the compat layer that has a form of its own in CBOR only: a date, map, regular expression or typed array.

    The wrapper keeps libraries from applying their own idea of these types.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


_CONTAINERS = frozenset({list, dict, Map, CborOnly})
_ATOMS = frozenset({str, bool, type(None), float})
_CBOR_ONLY = (datetime, re.Pattern, RegExp, array.array)
_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
_BIG_INTEGER = re.compile(r"-?[0-9]{1,4300}")
# As many different members of a set may have one hash as make no difference to the time that it takes.
_SAME_HASH: Final = 16


def to_wire(value: Any) -> Any:
    """Apply the compat layer; values that need no change are returned as they are.

    Raises:
        ValueError: The value has no wire form (a function, an arbitrary object, a cycle).
    """
    # The exact type, because a subclass of a plain type may mean something of its own, `BigInt` for example.
    kind = type(value)
    if kind in _ATOMS:
        return value
    try:
        return _to_wire(value, kind)
    except RecursionError as error:
        raise ValueError("a value that is nested too deeply cannot be sent") from error


def _to_wire(value: Any, kind: type) -> Any:
    if kind is int:
        return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else ["$BigInt", str(value)]
    if kind is dict:
        return _dict_to_wire(value)
    if kind is list:
        return _list_to_wire(value)
    if value is UNDEFINED:
        return ["$Undefined", 0]
    return _other_to_wire(value)


def _dict_to_wire(value: dict[Any, Any]) -> Any:
    changed: dict[Any, Any] | None = None
    for name, item in value.items():
        if type(name) is not str and not isinstance(name, str):
            return _map_to_wire(value)
        kind = type(item)
        if kind not in _ATOMS and (wire := _to_wire(item, kind)) is not item:
            if changed is None:
                # Copied at the first difference only: most values need none, and large ones are the expensive ones to copy.
                changed = dict(value)
            changed[name] = wire
    return value if changed is None else changed


def _list_to_wire(value: list[Any]) -> list[Any]:
    changed: list[Any] | None = None
    for position, item in enumerate(value):
        kind = type(item)
        if kind not in _ATOMS and (wire := _to_wire(item, kind)) is not item:
            if changed is None:
                changed = value.copy()
            changed[position] = wire
    # A list that looks like one of our tags gets one more dollar, so that it is not taken for one (WIRE-400).
    if len(value) == 2 and isinstance(value[0], str) and value[0].startswith("$"):
        return ["$" + value[0], value[1] if changed is None else changed[1]]
    return value if changed is None else changed


def _map_to_wire(value: dict[Any, Any]) -> CborOnly:
    return CborOnly(Map((key, _inner(item)) for key, item in value.items()))


def _inner(value: Any) -> Any:
    kind = type(value)
    return value if kind in _ATOMS else _to_wire(value, kind)


def _other_to_wire(value: Any) -> Any:
    if isinstance(value, tuple):
        return _list_to_wire(list(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        tag = "$ArrayBuffer" if isinstance(value, ArrayBuffer) else "$Uint8Array"
        return [tag, base64.b64encode(value).decode()]
    if isinstance(value, (set, frozenset)):
        return ["$Set", [_inner(item) for item in value]]
    if isinstance(value, Map):
        return _map_to_wire(value)
    if isinstance(value, _CBOR_ONLY):
        return CborOnly(value)
    if isinstance(value, BigInt):
        return ["$BigInt", int.__repr__(value)]
    # Subclasses, enumerations among them, travel as the plain type that they extend.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _to_wire(int(value), int)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return _dict_to_wire(dict(value))
    if isinstance(value, list):
        return _list_to_wire(list(value))
    raise ValueError(f"a value of type {type(value).__name__} cannot be sent")


def from_wire(value: Any) -> Any:
    """The exact inverse of `to_wire`; values without tags are returned as they are.

    Raises:
        ValueError: A two-element array starts with an unknown single-`$` tag or has malformed contents (WIRE-401).
    """
    kind = type(value)
    if kind is list:
        return _list_from_wire(value)
    if kind is dict or kind is Map:
        return _dict_from_wire(value)
    return from_wire(value.value) if kind is CborOnly else value


def _list_from_wire(value: list[Any]) -> Any:
    if len(value) == 2 and type(value[0]) is str and value[0][:1] == "$":
        return _untag(value[0], value[1])
    changed: list[Any] | None = None
    for position, item in enumerate(value):
        kind = type(item)
        if kind in _CONTAINERS and (plain := from_wire(item)) is not item:
            if changed is None:
                changed = value.copy()
            changed[position] = plain
    return value if changed is None else changed


def _dict_from_wire(value: dict[Any, Any]) -> dict[Any, Any]:
    changed: dict[Any, Any] | None = None
    for name, item in value.items():
        kind = type(item)
        if kind in _CONTAINERS and (plain := from_wire(item)) is not item:
            if changed is None:
                changed = type(value)(value)
            changed[name] = plain
    return value if changed is None else changed


def _untag(tag: str, content: Any) -> Any:
    # The name is plain text again, whatever it looks like; what it stands beside is a value like any other (WIRE-400).
    if tag[:2] == "$$":
        return [tag[1:], from_wire(content)]
    try:
        if tag == "$Undefined":
            return UNDEFINED
        if tag == "$BigInt" and _BIG_INTEGER.fullmatch(content):
            number = int(content)
            return BigInt(number) if -SAFE_INTEGER <= number <= SAFE_INTEGER else number
        if tag == "$Uint8Array":
            return base64.b64decode(content, validate=True)
        if tag == "$ArrayBuffer":
            return ArrayBuffer(base64.b64decode(content, validate=True))
        if tag == "$Set" and type(content) is list:
            return _set([from_wire(item) for item in content])
    except (TypeError, ValueError, binascii.Error) as error:
        raise ValueError(f"malformed {tag} value: {error}") from error
    raise ValueError(f"unknown value tag or malformed content of {tag!r}")


def _set(items: list[Any]) -> Any:
    # A JS set holds anything; what no Python set can hold stays a list, because nothing may get lost.
    try:
        members = [tuple(item) if type(item) is list else item for item in items]
        return items if len(members) > _SAME_HASH and _collide(members) else set(members)
    except TypeError:
        return items


def _collide(members: list[Any]) -> bool:
    """Whether many different members have the same hash: whoever sent them chose them, and a set would take the square of their number."""
    buckets: dict[int, list[Any]] = {}
    for member in members:
        # Hashes of texts are random, and nobody can choose them.
        if type(member) is not str and type(member) is not bytes:
            bucket = buckets.setdefault(hash(member), [])
            if member not in bucket:
                bucket.append(member)
            if len(bucket) > _SAME_HASH:
                return True
    return False
