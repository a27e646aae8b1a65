"""Keeps the garbage collector off what lives as long as the session.

Thousands of collected tests, with their marks and modules, are never garbage before the end, and every whole collection would look at all
of them: a seventh of a run went into that.
"""

from __future__ import annotations

import gc

YOUNG = 20_000
"""Containers made before the youngest generation is looked through; Python's own 700 is for programs with less to look at."""


class Heap:
    """What was there when tests began is set aside until they are over; what tests make is collected as ever."""

    def __init__(self) -> None:
        """Nothing is set aside yet."""
        self._before: tuple[int, int, int] | None = None
        self._first = False

    def set_aside(self) -> None:
        """Of what is there now nothing is looked at again until `bring_back`."""
        self._before = gc.get_threshold()
        self._first = gc.get_freeze_count() == 0
        gc.freeze()
        gc.set_threshold(YOUNG, *self._before[1:])

    def bring_back(self) -> None:
        """As before, so that a last collection finds everything; nothing happens when nothing was set aside."""
        if self._before is None:
            return
        # There is one set for all: a lane that was forked would get back all that its server had imported, and takes longer over it than
        # over its tests.
        if self._first:
            gc.unfreeze()
        gc.set_threshold(*self._before)
        self._before = None
