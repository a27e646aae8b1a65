"""Listeners: of the events of one connection, and calling any listener safely."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def call_listener(listener: Callable[..., object], *args: Any) -> None:
    """Call user code; what it raises goes to the loop's exception handler and harms neither the connection nor other listeners."""
    try:
        listener(*args)
    except Exception as error:
        context = {"message": f"exception in connection listener {listener!r}", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)


class Callbacks:
    """Listeners of one thing, in order of registration."""

    def __init__(self) -> None:
        self._listeners: list[Callable[..., object]] = []

    def add(self, listener: Callable[..., object]) -> Callable[[], None]:
        """Register; returns the removal, which may be repeated."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def call(self, *args: Any) -> None:
        """Call every listener."""
        # Of a copy: a listener may remove itself, or add others, who are called from the next time on.
        for listener in list(self._listeners):
            call_listener(listener, *args)


@dataclass(eq=False, slots=True)
# Compared by identity: the same function registered twice is two listeners, and each removal takes its own.
class Entry:
    """One registered listener."""

    listener: Callable[..., object]
    once: bool


class Listeners:
    """Listeners by event name, in order of registration. No backlog: events without a listener are dropped (EVENT-009)."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[Entry]] = {}

    def names(self) -> list[str]:
        """Events with at least one listener."""
        return list(self._by_name)

    def add(self, name: str, listener: Callable[..., object], *, once: bool) -> tuple[Entry, bool]:
        """Register; also tells whether it is the event's first listener."""
        entries = self._by_name.setdefault(name, [])
        entry = Entry(listener, once)
        entries.append(entry)
        return entry, len(entries) == 1

    def remove(self, name: str, entry: Entry) -> bool:
        """Remove; True when the event has no listener left because of it."""
        entries = self._by_name.get(name, [])
        if entry not in entries:
            return False
        entries.remove(entry)
        if not entries:
            del self._by_name[name]
        return not entries

    def emit(self, name: str, args: Sequence[Any]) -> bool:
        """Call every listener; True when a once listener was the last one."""
        emptied = False
        entries = list(self._by_name.get(name, []))
        for entry in entries:
            # Removed before it is called: a listener that makes the same event happen again must not be called for it.
            if entry.once:
                emptied = self.remove(name, entry) or emptied
            # What one listener does to the arguments is no business of the others.
            call_listener(entry.listener, *(args if len(entries) == 1 else copy.deepcopy(args)))
        return emptied and name not in self._by_name
