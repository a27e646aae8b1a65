"""Copies of decoded values, for user code that may do with them what it likes."""

from __future__ import annotations

import copy
from typing import Any, Final, TypeVar

from runtime.protocol.values import Undefined

T = TypeVar("T")

_UNCHANGEABLE: Final = (type(None), str, int, float, bytes, Undefined)


def own_copy(value: T) -> T:
    """A value that shares nothing changeable with the one that is kept."""
    # Most values have nothing changeable, and pay nothing.
    return value if isinstance(value, _UNCHANGEABLE) else copy.deepcopy(value)


def own_copies(values: list[Any]) -> list[Any]:
    """A list of copies."""
    return [own_copy(value) for value in values]
