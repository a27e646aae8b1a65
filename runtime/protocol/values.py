"""The compat layer: values that JSON cannot hold, as two-element tagged arrays (WIRE-400..402).

It is applied by the owner of a value (client for arguments, actor for results, events, state and input); the transport passes the
arrays through untouched.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any, Final

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

_ATOMS = frozenset({str, bool, type(None), float})


def to_wire(value: Any) -> Any:
    """Apply the compat layer; unchanged containers are returned as they are.

    Raises:
        ValueError: The value has no wire form (a function, an arbitrary object).
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is int:
        return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else ["$BigInt", str(value)]
    if kind is dict:
        return {name: to_wire(item) for name, item in value.items()}
    if kind is list or kind is tuple:
        return _list_to_wire(value)
    if value is UNDEFINED:
        return ["$Undefined", 0]
    return _other_to_wire(value)


def _list_to_wire(value: Any) -> list[Any]:
    items = [to_wire(item) for item in value]
    if len(items) == 2 and isinstance(items[0], str) and items[0].startswith("$"):  # noqa: PLR2004 - tags are pairs
        items[0] = "$" + items[0]
    return items


def _other_to_wire(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ["$Uint8Array", base64.b64encode(bytes(value)).decode()]
    if isinstance(value, (set, frozenset)):
        return ["$Set", [to_wire(item) for item in value]]
    if isinstance(value, (datetime, re.Pattern)):
        return value
    if isinstance(value, (bool, int, float, str)):
        return to_wire(value.__class__.__mro__[-2](value))
    wire = getattr(value, "__wire__", None)
    if wire is not None:
        return to_wire(wire())
    if isinstance(value, dict) or hasattr(value, "items"):
        return {name: to_wire(item) for name, item in value.items()}
    if isinstance(value, list):
        return _list_to_wire(value)
    raise ValueError(f"a value of type {type(value).__name__} cannot be sent")


def from_wire(value: Any) -> Any:
    """The exact inverse of `to_wire`.

    Raises:
        ValueError: A two-element array starts with an unknown single-`$` tag or has malformed contents (WIRE-401).
    """
    kind = type(value)
    if kind in _ATOMS or kind is int:
        return value
    if kind is list:
        if len(value) == 2 and type(value[0]) is str and value[0][:1] == "$":  # noqa: PLR2004 - tags are pairs
            return _untag(value[0], value[1])
        return [from_wire(item) for item in value]
    if kind is dict:
        return {name: from_wire(item) for name, item in value.items()}
    return value


def _untag(tag: str, content: Any) -> Any:
    if tag[:2] == "$$":
        return [tag[1:], from_wire(content)]
    try:
        if tag == "$Undefined":
            return UNDEFINED
        if tag == "$BigInt":
            return int(content)
        if tag in ("$Uint8Array", "$ArrayBuffer"):
            return base64.b64decode(content, validate=True)
        if tag == "$Set":
            return set(map(_hashable, content))
    except (TypeError, ValueError, binascii.Error) as error:
        raise ValueError(f"malformed {tag} value: {error}") from error
    raise ValueError(f"unknown value tag {tag}")


def _hashable(item: Any) -> Any:
    value = from_wire(item)
    return tuple(value) if isinstance(value, list) else value
