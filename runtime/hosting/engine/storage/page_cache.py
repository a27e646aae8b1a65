"""Pages that are known to be as the engine has them, the least recently used dropped first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BUDGET = 50_000
"""Pages of all databases of a process together: 200 MiB. The engine's own client keeps as many for one database."""
AT_LEAST = 256
"""Pages that a database may keep whatever the others have: 1 MiB."""


class PageBudget:
    """How many pages a process may keep, counted over all its databases."""

    def __init__(self, limit: int = BUDGET, at_least: int = AT_LEAST) -> None:
        self.limit = limit
        self.at_least = at_least
        self.used = 0
        self._lock = threading.Lock()

    def add(self, pages: int) -> None:
        """Pages were taken in, or dropped when negative."""
        with self._lock:
            self.used += pages


class PageCache:
    """Of one database. Each drops pages of its own when all of them together have too many."""

    def __init__(self, budget: PageBudget) -> None:
        self._budget = budget
        self._pages: OrderedDict[int, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pages)

    def __contains__(self, number: int) -> bool:
        return number in self._pages

    def get(self, number: int) -> bytes | None:
        """The page, which is the most recently used one now."""
        page = self._pages.get(number)
        if page is not None:
            self._pages.move_to_end(number)
        return page

    def put(self, pages: Mapping[int, bytes]) -> None:
        """Take pages in, and drop others."""
        before = len(self._pages)
        for number, page in pages.items():
            self._pages[number] = page
            self._pages.move_to_end(number)
        self._budget.add(len(self._pages) - before)
        surplus = min(self._budget.used - self._budget.limit, len(self._pages) - self._budget.at_least)
        if surplus > 0:
            # Those that were just taken in are at the end, and whoever asked for them reads them next.
            victims = [number for number in self._pages if number not in pages][:surplus]
            self._drop(victims)

    def cut(self, size: int) -> None:
        """Drop the pages behind the end of a database of that many."""
        self._drop([number for number in self._pages if number > size])

    def clear(self) -> None:
        """Drop all: the database is closed."""
        self._budget.add(-len(self._pages))
        self._pages.clear()

    def _drop(self, numbers: list[int]) -> None:
        for number in numbers:
            del self._pages[number]
        self._budget.add(-len(numbers))
