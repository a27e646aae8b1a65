"""Listeners of the events of one connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(eq=False, slots=True)
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
        for entry in list(self._by_name.get(name, [])):
            if entry.once:
                emptied = self.remove(name, entry) or emptied
            entry.listener(*args)
        return emptied
