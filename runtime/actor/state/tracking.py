"""Tracked values: dicts, lists and sets that report their own changes, nested to any depth (RUN-101..105).

Why subclasses of the built-in containers: reading, encoding and comparing run at the interpreter's speed, and only the mutating methods
cost anything. A value is copied in when it is assigned, so reads always give the same object (RUN-102) and nothing is aliased.

Because nothing is aliased, each container stays as deep in its state as it came in, and knows how deep: what is put into it can be
refused for the depth of the whole (RUN-105), however a deep state was built up.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from runtime.protocol.storable import check_key, check_storable
from runtime.protocol.values import UNDEFINED, RegExp

if TYPE_CHECKING:
    from collections.abc import Callable

# What needs no tracking because it cannot change in place.
_ATOMS = (str, bool, int, float, bytes, type(None), datetime, re.Pattern, RegExp)
_ATOM_TYPES = frozenset(_ATOMS)
_KEYS = (str, int, float, bytes, type(None))
_TRACKED = "__tracked_class__"
_MISSING = object()


class Tracker(Protocol):
    """Who is told about changes."""

    def before_change(self) -> None:
        """Raise to refuse a change before it is applied (RUN-123)."""

    def changed(self) -> None:
        """A change was applied."""


def track(value: Any, tracker: Tracker, depth: int = 0) -> Any:
    """A tracked copy of `value`, which is going to be in `depth` containers.

    Raises:
        Unstorable: Something in it has no stored form: text with a lone surrogate, a value that contains itself, one too deep (RUN-105).
        TypeError: Something in it cannot be stored: a function, an arbitrary object, a key that is a container (RUN-105).
    """
    check_storable(value, depth, records=True)
    return copy_in(value, tracker, depth)


def copy_in(value: Any, tracker: Tracker, depth: int = 0) -> Any:
    """`track` for what was looked at before, or comes from a row; raises TypeError."""
    if type(value) in _ATOM_TYPES or value is UNDEFINED or isinstance(value, _ATOMS):
        return value
    depth += 1
    if isinstance(value, dict):
        # Filled past its own methods: a copy that is being made is no change.
        tracked = TrackedDict()
        object.__setattr__(tracked, "_tracker", tracker)
        object.__setattr__(tracked, "_depth", depth)
        for name, item in value.items():
            dict.__setitem__(tracked, _key(name), copy_in(item, tracker, depth))
        return tracked
    if isinstance(value, (list, tuple)):
        items = TrackedList(copy_in(item, tracker, depth) for item in value)
        items._tracker, items._depth = tracker, depth  # noqa: SLF001 - own class
        return items
    if isinstance(value, (set, frozenset)):
        members = TrackedSet(_member(item) for item in value)
        members._tracker = tracker  # noqa: SLF001 - own class
        return members
    if isinstance(value, bytearray):
        return bytes(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _copy_record(value, tracker, depth)
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
    check_storable(value)
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

    __slots__ = ("_depth", "_tracker")
    _tracker: Tracker
    _depth: int

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
        # `state.items += [x]` ends in such an assignment of what is there already; copied, a loop of them would be quadratic.
        if dict.get(self, name, _MISSING) is value:
            return
        check_key(_key(name))
        tracked = track(value, self._tracker, self._depth)
        if same(self.get(name, _MISSING), tracked):
            return
        dict.__setitem__(self, name, tracked)
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


def _resizing(base: type, name: str) -> Any:
    """A method that only adds or only takes away, so that its change is one of length."""
    # Compared by length and not with a copy: a copy per call makes a loop of such calls quadratic.
    method = getattr(base, name)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._tracker.before_change()
        before = len(self)
        try:
            return method(self, *args, **kwargs)
        finally:
            if len(self) != before:
                self._tracker.changed()

    return call


def _reordering(name: str) -> Any:
    """A method of `list` that moves items; it looks at all of them anyway."""
    method = getattr(list, name)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._tracker.before_change()
        before = list(self)
        try:
            return method(self, *args, **kwargs)
        finally:
            # By identity, because `True == 1`; also when a comparison raised half-way through.
            if any(old is not new for old, new in zip(before, self, strict=False)):
                self._tracker.changed()

    return call


def _adder(mutate: Callable[..., Any]) -> Any:
    """A method of `set` that may bring in members: they are looked at before anything changes."""

    @functools.wraps(mutate)
    def call(self: Any, *args: Any) -> Any:
        # Read once into a set: the argument may be an iterator, and the method below would find it empty.
        return mutate(self, *({_member(item) for item in others} for others in args))

    return call


def _toggler(name: str) -> Any:
    """A method of `set` that takes some members away and brings others in: a change unless there is nothing to do."""
    method = getattr(set, name)

    @functools.wraps(method)
    def call(self: Any, others: Any) -> Any:
        self._tracker.before_change()
        given = {_member(item) for item in others}
        result = method(self, given)
        if given:
            self._tracker.changed()
        return result

    return call


class TrackedList(list[Any]):
    """A list."""

    __slots__ = ("_depth", "_tracker")
    _tracker: Tracker
    _depth: int

    remove = _resizing(list, "remove")
    clear = _resizing(list, "clear")
    __delitem__ = _resizing(list, "__delitem__")
    sort = _reordering("sort")
    reverse = _reordering("reverse")

    def append(self, item: Any) -> None:
        """As `list.append`."""
        self._tracker.before_change()
        list.append(self, track(item, self._tracker, self._depth))
        self._tracker.changed()

    def insert(self, index: Any, item: Any) -> None:
        """As `list.insert`."""
        self._tracker.before_change()
        list.insert(self, index, track(item, self._tracker, self._depth))
        self._tracker.changed()

    def extend(self, items: Any) -> None:
        """As `list.extend`."""
        self._tracker.before_change()
        tracked = [track(item, self._tracker, self._depth) for item in items]
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
            # What is replaced and no copy of the whole, or a loop over slices would be quadratic.
            before = list.__getitem__(self, index)
            after = [track(item, self._tracker, self._depth) for item in value]
            list.__setitem__(self, index, after)
            if len(before) != len(after) or not all(map(same, before, after)):
                self._tracker.changed()
            return
        if self[index] is value:
            return
        tracked = track(value, self._tracker, self._depth)
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

    discard = _resizing(set, "discard")
    remove = _resizing(set, "remove")
    pop = _resizing(set, "pop")
    clear = _resizing(set, "clear")
    update = _adder(_resizing(set, "update"))
    difference_update = _resizing(set, "difference_update")
    intersection_update = _resizing(set, "intersection_update")
    symmetric_difference_update = _toggler("symmetric_difference_update")
    __ior__ = _adder(_resizing(set, "__ior__"))
    __iand__ = _resizing(set, "__iand__")
    __isub__ = _resizing(set, "__isub__")
    __ixor__ = _toggler("__ixor__")

    def add(self, item: Any) -> None:
        """As `set.add`."""
        self._tracker.before_change()
        if item not in self:
            set.add(self, _member(item))
            self._tracker.changed()

    def __deepcopy__(self, memo: object) -> Any:
        return set(self)

    def __reduce__(self) -> Any:
        return (set, (list(self),))


def _tracked_class(declared: type) -> type:
    # One class per declared class, or values of one state would differ in type and never be equal. Kept by that class and in no table: one
    # that is declared inside of a hook, and so holds a whole generation, goes when nothing of it is left.
    found: type | None = declared.__dict__.get(_TRACKED)
    if found is None:
        found = _derived(declared)
        setattr(declared, _TRACKED, found)
    return found


def _derived(declared: type) -> type:
    names = frozenset(field.name for field in dataclasses.fields(declared))

    def assign(self: Any, name: str, value: Any) -> None:
        if name not in names:
            object.__setattr__(self, name, value)
            return
        tracker = self._tracker
        tracker.before_change()
        if getattr(self, name, _MISSING) is value:
            return
        tracked = track(value, tracker, self._depth)
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


def _copy_record(value: Any, tracker: Tracker, depth: int) -> Any:
    declared = type(value).__mro__[1] if hasattr(value, "_tracker") else type(value)
    tracked: Any = object.__new__(_tracked_class(declared))
    object.__setattr__(tracked, "_tracker", tracker)
    object.__setattr__(tracked, "_depth", depth)
    for field in dataclasses.fields(value):
        object.__setattr__(tracked, field.name, copy_in(getattr(value, field.name), tracker, depth))
    return tracked
