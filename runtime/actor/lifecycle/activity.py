"""The coalesced "something changed" signal of one generation (TASK-012, TASK-013)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Activity:
    """`changed()` any number of times in one turn of the loop causes one evaluation, in the next turn.

    The mark is cleared before the evaluation, so a change during it causes another.
    """

    __slots__ = ("_dirty", "_evaluate", "_loop")

    def __init__(self, evaluate: Callable[[], None]) -> None:
        self._evaluate = evaluate
        self._loop = asyncio.get_running_loop()
        self._dirty = False

    def changed(self) -> None:
        """An input of the idle or grace predicate changed."""
        if not self._dirty:
            self._dirty = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._dirty = False
        self._evaluate()
