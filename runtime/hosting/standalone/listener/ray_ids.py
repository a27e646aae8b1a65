"""Ray ids, one per response (WIRE-004): well-formed ids (WIRE-150), made without the cost of a random one.

36**4 is a multiple of 256, so the lowest four digits of an id alone decide its version byte, and its last six digits its datacenter
label. What lies between is free: random per process, then counted.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from runtime.protocol.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# Two digits by one look-up: ids are made for every response.
_PAIRS = tuple(low + high for high in _DIGITS for low in _DIGITS)
_BASE = len(_PAIRS)


def ray_source() -> Callable[[], str]:
    """A function that gives a fresh ray id at each call."""
    template = new_id()
    head, tail = template[:4], template[10:]
    numbers = count(1)

    def new_ray() -> str:
        number = next(numbers)
        return f"{head}{_PAIRS[number % _BASE]}{_PAIRS[number // _BASE % _BASE]}{_PAIRS[number // (_BASE * _BASE) % _BASE]}{tail}"

    return new_ray


new_ray = ray_source()
