"""A connection that remembers what Python code gave it: functions, collations, hooks and limits.

SQLite can be asked for all that SQL did to a connection (`carried.py`), but not for these. They are rare, so remembering them costs the
statements nothing: `execute` is that of `sqlite3`.
"""

from __future__ import annotations

import sqlite3
import weakref
from typing import Any

_HOOKS = ("set_authorizer", "set_progress_handler", "set_trace_callback")


class CarryingConnection(sqlite3.Connection):
    """`sqlite3.Connection` whose additions can be given to the one opened in its place.

    Attributes:
        additions: Calls that are to be made again, in order: name of the method and arguments, by what they set.
        keep: Something was done to it that cannot be done again.
        earlier_changes: Rows that connections before this one changed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.additions: dict[tuple[Any, ...], tuple[str, tuple[Any, ...], dict[str, Any]]] = {}
        self.keep = False
        self.earlier_changes = 0

    @property
    def total_changes(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] - an attribute there
        """Rows that were changed since the database was opened for the first time."""
        return self.earlier_changes + super().total_changes

    def add(self, method: str, parts: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Do it, and remember it; the first `parts` arguments say what is replaced by it."""
        getattr(super(), method)(*args, **kwargs)
        values = (*args, *kwargs.values())
        key = (method, *values[:parts])
        # The last comes last again: a function may take the place of an aggregate of the same name.
        self.additions.pop(key, None)
        # Taken away, and so there is nothing to carry.
        if values[parts] is not None:
            self.additions[key] = (method, args, kwargs)

    def create_function(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`."""
        self.add("create_function", 2, args, kwargs)

    def create_aggregate(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`."""
        self.add("create_aggregate", 2, args, kwargs)

    def create_window_function(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`."""
        self.add("create_window_function", 2, args, kwargs)

    def create_collation(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`."""
        self.add("create_collation", 1, args, kwargs)

    def set_authorizer(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`."""
        self.add("set_authorizer", 0, args, kwargs)

    def set_progress_handler(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`."""
        self.add("set_progress_handler", 0, args, kwargs)

    def set_trace_callback(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`."""
        self.add("set_trace_callback", 0, args, kwargs)

    def setlimit(self, category: int, limit: int, /) -> int:
        """As in `sqlite3`."""
        self.additions["setlimit", category] = ("setlimit", (category, limit), {})
        return super().setlimit(category, limit)

    def enable_load_extension(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`; what an extension brings is not known."""
        self.keep = True
        super().enable_load_extension(*args, **kwargs)

    def deserialize(self, *args: Any, **kwargs: Any) -> None:
        """As in `sqlite3`; what is read into memory is in no file."""
        self.keep = True
        super().deserialize(*args, **kwargs)

    def hush(self) -> None:
        """Take the hooks away, for statements that are none of the user's; `give` brings them back."""
        for method in _HOOKS:
            if (method,) in self.additions:
                getattr(super(), method)(*((None, 0) if method == "set_progress_handler" else (None,)))

    def give(self, additions: dict[tuple[Any, ...], tuple[str, tuple[Any, ...], dict[str, Any]]]) -> None:
        """Make the calls again."""
        for key, (method, args, kwargs) in additions.items():
            getattr(super(), method)(*args, **kwargs)
            self.additions[key] = (method, args, kwargs)

    def count_on_from(self, changes: int) -> None:
        """Let `total_changes` be that of the connection before, plus what comes."""
        self.earlier_changes = changes - super().total_changes
        if self.earlier_changes:
            # Weak, or the connection would keep itself alive.
            me = weakref.ref(self)
            super().create_function("total_changes", 0, lambda: one.total_changes if (one := me()) is not None else 0)


_made: dict[type[sqlite3.Connection], type[CarryingConnection]] = {sqlite3.Connection: CarryingConnection}


def carrying(factory: type[sqlite3.Connection]) -> type[CarryingConnection]:
    """A class that does what `factory` does, and carries."""
    if factory not in _made:
        _made[factory] = type(factory.__name__, (CarryingConnection, factory), {})
    return _made[factory]
