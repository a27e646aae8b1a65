"""Tracked values: dicts, lists and sets that report their own changes, nested to any depth (RUN-101..105).

Why subclasses of the built-in containers: reading, encoding and comparing run at the interpreter's speed, and only the mutating methods
cost anything. A value is copied in when it is assigned, so reads always give the same object (RUN-102) and nothing is aliased.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from datetime import datetime
from typing import Any, Protocol

from runtime.protocol.values import UNDEFINED

# What needs no tracking because it cannot change in place.
_ATOMS = (str, bool, int, float, bytes, type(None), datetime, re.Pattern)
_KEYS = (str, int, float, bytes, type(None))
_MISSING = object()


class Tracker(Protocol):
    """Who is told about changes."""

    def before_change(self) -> None:
        """Raise to refuse a change before it is applied (RUN-123)."""

    def changed(self) -> None:
        """A change was applied."""


def track(value: Any, tracker: Tracker) -> Any:
    """A tracked copy of `value`.

    Raises:
        TypeError: Something in it cannot be stored: a function, an arbitrary object, a key that is a container (RUN-105).
    """
    if value is UNDEFINED or isinstance(value, _ATOMS):
        return value
    if isinstance(value, dict):
        # Filled past its own methods: a copy that is being made is no change.
        tracked = TrackedDict()
        object.__setattr__(tracked, "_tracker", tracker)
        for name, item in value.items():
            dict.__setitem__(tracked, _key(name), track(item, tracker))
        return tracked
    if isinstance(value, (list, tuple)):
        items = TrackedList(track(item, tracker) for item in value)
        items._tracker = tracker  # noqa: SLF001 - own class
        return items
    if isinstance(value, (set, frozenset)):
        members = TrackedSet(_member(item) for item in value)
        members._tracker = tracker  # noqa: SLF001 - own class
        return members
    if isinstance(value, bytearray):
        return bytes(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _track_dataclass(value, tracker)
    raise TypeError(f"a value of type {type(value).__name__} cannot be stored")


def plain(value: Any) -> Any:
    """A deep copy without tracking, as it is stored and sent; dataclasses become objects."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, set):
        return set(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def _key(name: Any) -> Any:
    if not isinstance(name, _KEYS):
        raise TypeError(f"a key of type {type(name).__name__} cannot be stored")
    return name


def _member(value: Any) -> Any:
    """A member of a stored set: an atom, because nothing inside a set can be tracked."""
    if not isinstance(value, _ATOMS):
        raise TypeError(f"a set of {type(value).__name__} cannot be stored")
    return value


def same(old: Any, new: Any) -> bool:
    """Whether an assignment changes nothing; `True`, `1` and `1.0` differ at any depth, NaN equals itself."""
    if old is new:
        return True
    # Types before values, because `True == 1 == 1.0` in Python and not on the wire.
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return len(old) == len(new) and all(name in new and same(item, new[name]) for name, item in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(same, old, new))
    if dataclasses.is_dataclass(old):
        return all(same(getattr(old, field.name), getattr(new, field.name)) for field in dataclasses.fields(old))
    return bool(old == new) or (old != old and new != new)


class TrackedDict(dict[Any, Any]):
    """An object: `state["count"]` and `state.count`. Names of dict methods need item access."""

    __slots__ = ("_tracker",)
    _tracker: Tracker

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no field {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"no field {name!r}") from None

    def __setitem__(self, name: str, value: Any) -> None:
        self._tracker.before_change()
        tracked = track(value, self._tracker)
        if same(self.get(name, _MISSING), tracked):
            return
        dict.__setitem__(self, _key(name), tracked)
        self._tracker.changed()

    def __delitem__(self, name: str) -> None:
        self._tracker.before_change()
        dict.__delitem__(self, name)
        self._tracker.changed()

    def __ior__(self, other: Any) -> TrackedDict:  # type: ignore[misc]
        self.update(other)
        return self

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As `dict.update`."""
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As `dict.setdefault`."""
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, name: str, *default: Any) -> Any:
        """As `dict.pop`."""
        self._tracker.before_change()
        present = name in self
        value = dict.pop(self, name, *default)
        if present:
            self._tracker.changed()
        return value

    def popitem(self) -> tuple[Any, Any]:
        """As `dict.popitem`."""
        self._tracker.before_change()
        item = dict.popitem(self)
        self._tracker.changed()
        return item

    def clear(self) -> None:
        """As `dict.clear`."""
        self._tracker.before_change()
        if self:
            dict.clear(self)
            self._tracker.changed()

    def copy(self) -> dict[Any, Any]:
        """A plain shallow copy."""
        return dict(self)

    def __deepcopy__(self, memo: object) -> Any:
        return plain(self)

    def __reduce__(self) -> Any:
        # Pickled as what it holds: a tracker belongs to a live actor.
        return (dict, (plain(self),))


def _mutator(base: type, name: str) -> Any:
    method = getattr(base, name)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._tracker.before_change()
        before = base(self)
        result = method(self, *args, **kwargs)
        if before != self or len(before) != len(self):
            self._tracker.changed()
        return result

    return call


def _adder(name: str) -> Any:
    """A method of `set` that may bring in members: they are looked at before anything changes."""
    mutate = _mutator(set, name)

    @functools.wraps(getattr(set, name))
    def call(self: Any, *args: Any) -> Any:
        if name == "add":
            _member(args[0])
            return mutate(self, *args)
        # Read once into a set: the argument may be an iterator, and the method below would find it empty.
        return mutate(self, *({_member(item) for item in others} for others in args))

    return call


class TrackedList(list[Any]):
    """A list."""

    __slots__ = ("_tracker",)
    _tracker: Tracker

    remove = _mutator(list, "remove")
    sort = _mutator(list, "sort")
    reverse = _mutator(list, "reverse")
    clear = _mutator(list, "clear")
    __delitem__ = _mutator(list, "__delitem__")

    def append(self, item: Any) -> None:
        """As `list.append`."""
        self._tracker.before_change()
        list.append(self, track(item, self._tracker))
        self._tracker.changed()

    def insert(self, index: Any, item: Any) -> None:
        """As `list.insert`."""
        self._tracker.before_change()
        list.insert(self, index, track(item, self._tracker))
        self._tracker.changed()

    def extend(self, items: Any) -> None:
        """As `list.extend`."""
        self._tracker.before_change()
        tracked = [track(item, self._tracker) for item in items]
        if tracked:
            list.extend(self, tracked)
            self._tracker.changed()

    def pop(self, index: Any = -1) -> Any:
        """As `list.pop`."""
        self._tracker.before_change()
        item = list.pop(self, index)
        self._tracker.changed()
        return item

    def __setitem__(self, index: Any, value: Any) -> None:
        self._tracker.before_change()
        if isinstance(index, slice):
            before = list(self)
            list.__setitem__(self, index, [track(item, self._tracker) for item in value])
            if len(before) != len(self) or not all(map(same, before, self)):
                self._tracker.changed()
            return
        tracked = track(value, self._tracker)
        if not same(self[index], tracked):
            list.__setitem__(self, index, tracked)
            self._tracker.changed()

    def __iadd__(self, items: Any) -> TrackedList:  # type: ignore[misc]
        self.extend(items)
        return self

    def __imul__(self, times: Any) -> TrackedList:  # type: ignore[misc]
        self[:] = list(self) * times
        return self

    def copy(self) -> list[Any]:
        """A plain shallow copy."""
        return list(self)

    def __deepcopy__(self, memo: object) -> Any:
        return plain(self)

    def __reduce__(self) -> Any:
        return (list, (plain(self),))


class TrackedSet(set[Any]):
    """A set of atoms."""

    __slots__ = ("_tracker",)
    _tracker: Tracker

    add = _adder("add")
    discard = _mutator(set, "discard")
    remove = _mutator(set, "remove")
    pop = _mutator(set, "pop")
    clear = _mutator(set, "clear")
    update = _adder("update")
    difference_update = _mutator(set, "difference_update")
    intersection_update = _mutator(set, "intersection_update")
    symmetric_difference_update = _adder("symmetric_difference_update")
    __ior__ = _adder("__ior__")
    __iand__ = _mutator(set, "__iand__")
    __isub__ = _mutator(set, "__isub__")
    __ixor__ = _adder("__ixor__")

    def __deepcopy__(self, memo: object) -> Any:
        return set(self)

    def __reduce__(self) -> Any:
        return (set, (list(self),))


# One class per declared class, or values of one state would differ in type and never be equal.
@functools.cache
def _tracked_class(declared: type) -> type:
    names = frozenset(field.name for field in dataclasses.fields(declared))

    def assign(self: Any, name: str, value: Any) -> None:
        if name not in names:
            object.__setattr__(self, name, value)
            return
        tracker = self._tracker
        tracker.before_change()
        tracked = track(value, tracker)
        if not same(getattr(self, name, _MISSING), tracked):
            object.__setattr__(self, name, tracked)
            tracker.changed()

    return type(declared.__name__, (declared,), {"__setattr__": assign, "__deepcopy__": _copy_dataclass, "__module__": declared.__module__})


def _copy_dataclass(self: Any, _memo: object) -> Any:
    declared = type(self).__mro__[1]
    copied: Any = object.__new__(declared)
    for field in dataclasses.fields(self):
        object.__setattr__(copied, field.name, plain(getattr(self, field.name)))
    return copied


def _track_dataclass(value: Any, tracker: Tracker) -> Any:
    declared = type(value).__mro__[1] if hasattr(value, "_tracker") else type(value)
    tracked: Any = object.__new__(_tracked_class(declared))
    object.__setattr__(tracked, "_tracker", tracker)
    for field in dataclasses.fields(value):
        object.__setattr__(tracked, field.name, track(getattr(value, field.name), tracker))
    return tracked
