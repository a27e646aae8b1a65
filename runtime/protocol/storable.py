"""Which values of user code have a form on the wire and in rows: decided where a value enters, and nowhere else.

A value that turns out to have none when it is saved comes too late: whoever put it in was told that all is well, and everything that was to
be saved with it is held up. So state, connection state, queue bodies, arguments of schedules, events, results and the metadata of errors
are looked at here first.

The time is linear in the number of objects, also for containers that are in many places: each is entered once, and its size counted again
wherever it recurs. Unfolded, thirty lists that each hold the one before twice are a thousand million items.
"""

from __future__ import annotations

import array
import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from runtime.protocol import cbor
from runtime.protocol.cbor_heads import MAX_BIG_BITS, MAX_DEPTH
from runtime.protocol.values import UNDEFINED, RegExp, to_wire

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_REPEATED: Final = 1_000_000
"""Items that are written again because their container is in several places."""

_FREE: Final = frozenset({bool, type(None), float, bytes})
_CONTAINERS: Final = (dict, list, tuple, set, frozenset, Mapping)
_SHORT: Final = 2**53
_KEY_BITS: Final = 64
_SHOWN: Final = 6


class Unstorable(TypeError, ValueError):
    """A value that can be neither kept nor sent; nothing has changed.

    Both a `TypeError` and a `ValueError`: code that assigns it meets the first, code that encodes it the second (RUN-105, CONN-054).

    Attributes:
        reason: What is wrong with the innermost value.
        path: Keys and positions that lead to it, outermost first.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[object] = []

    def __str__(self) -> str:
        if not self.path:
            return self.reason
        shown = "".join(f"[{key!a:.40}]" for key in self.path[:_SHOWN])
        return f"{self.reason} (at {shown}{'...' if len(self.path) > _SHOWN else ''})"


def check_storable(value: Any, depth: int = 0, *, records: bool = False) -> None:
    """Return if `value` can be kept and sent.

    Args:
        value: Anything.
        depth: How many containers it is going to be in.
        records: Whether dataclasses count as containers, as they do in state.

    Raises:
        Unstorable: It, or something in it, has no form; it contains itself; it is too deep (RUN-105, CONN-054).
    """
    kind = type(value)
    if kind in _FREE:
        return
    if kind is str or kind is int or not (isinstance(value, _CONTAINERS) or (records and _is_record(value))):
        _check_leaf(value)
    else:
        _Walk(records).enter(value, depth + 1)


def check_shape(value: Any) -> None:
    """Return if containers end: neither themselves in themselves nor too deep; single values may be anything.

    Raises:
        Unstorable: They do not.
    """
    if isinstance(value, _CONTAINERS) or _is_record(value):
        _Walk(records=True, check_leaf=_anything, check_name=_anything).enter(value, 1)


def _anything(value: Any) -> None:
    pass


class _Walk:
    """One look at one value."""

    __slots__ = ("_check_leaf", "_check_name", "_records", "_repeated", "_sizes")

    def __init__(
        self, records: bool, check_leaf: Callable[[Any], None] | None = None, check_name: Callable[[Any], None] | None = None
    ) -> None:
        self._records = records
        self._check_leaf = check_leaf or _check_leaf
        self._check_name = check_name or check_key
        self._repeated = 0
        # By identity: items of each container that was entered, None as long as it has not been left.
        self._sizes: dict[int, int | None] = {}

    def enter(self, value: Any, depth: int) -> int:
        """Look at a container; returns how many items it is written as."""
        if depth > MAX_DEPTH:
            raise Unstorable(f"a value that is nested more than {MAX_DEPTH} deep cannot be stored or sent")
        here = id(value)
        if here in self._sizes:
            return self._again(self._sizes[here])
        self._sizes[here] = None
        size = 1
        for key, item in self._items(value):
            kind = type(item)
            if kind in _FREE:
                size += 1
                continue
            try:
                if kind is str or kind is int or not (isinstance(item, _CONTAINERS) or (self._records and _is_record(item))):
                    self._check_leaf(item)
                    size += 1
                else:
                    size += self.enter(item, depth + 1)
            except Unstorable as error:
                error.path.insert(0, key)
                raise
        self._sizes[here] = size
        return size

    def _again(self, size: int | None) -> int:
        if size is None:
            raise Unstorable("a value that contains itself cannot be stored or sent")
        self._repeated += size
        if self._repeated > MAX_REPEATED:
            raise Unstorable(f"a value that repeats itself more than {MAX_REPEATED} times cannot be stored or sent")
        return size

    def _items(self, value: Any) -> Any:
        items: Any
        if isinstance(value, dict) or not isinstance(value, _CONTAINERS):
            items = value.items() if isinstance(value, dict) else [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        elif isinstance(value, Mapping):
            items = value.items()
        else:
            return enumerate(value)
        for key, _ in items:
            if type(key) is not str or not key.isascii():
                self._check_name(key)
        return items


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def check_key(key: Any) -> None:
    """Return if `key` can be the key of an object or map; raises `Unstorable`."""
    if isinstance(key, str):
        _check_text(key)
    elif isinstance(key, int):
        # Keys go without the compat layer, which alone has a form for integers of any size.
        if key.bit_length() > _KEY_BITS - 1:
            raise Unstorable("a key that is an integer of more than 64 bits cannot be stored or sent")
    elif not isinstance(key, (float, bytes, type(None))):
        try:
            cbor.dumps_exact(key)
        except ValueError as error:
            raise Unstorable(f"a key of type {type(key).__name__} cannot be stored or sent") from error


def _check_text(text: str) -> None:
    # `isascii` reads a flag; only what is no ASCII is encoded to find out.
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Unstorable("text with a lone surrogate cannot be stored or sent") from error


def _check_leaf(value: Any) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int):
        if not -_SHORT < value < _SHORT and value.bit_length() > MAX_BIG_BITS:
            raise Unstorable(f"an integer of more than {MAX_BIG_BITS} bits cannot be stored or sent")
    elif isinstance(value, (float, bytes)) or value is UNDEFINED:
        return
    elif isinstance(value, re.Pattern):
        if not isinstance(value.pattern, str):
            raise Unstorable("a regular expression on bytes cannot be stored or sent")
        _check_text(value.pattern)
    elif isinstance(value, RegExp):
        _check_text(value.source)
        _check_text(value.flags)
    elif isinstance(value, datetime):
        _check_moment(value)
    elif isinstance(value, array.array):
        if value.typecode not in "bBhHiIlLqQfd":
            raise Unstorable(f"an array of type {value.typecode!r} cannot be stored or sent")
    else:
        try:
            to_wire(value)
        except ValueError as error:
            raise Unstorable(f"a value of type {type(value).__name__} cannot be stored or sent") from error


def _check_moment(value: datetime) -> None:
    # Written as seconds of UTC: near the ends of the calendar another zone's moment has a year that there is none of.
    try:
        if value.tzinfo is not None:
            value.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise Unstorable("a moment outside the years 1 to 9999 cannot be stored or sent") from error
