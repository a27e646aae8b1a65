"""Triggers that storage may hold, while a write about them is under way."""

from __future__ import annotations


class Hold:
    """The alarm comes no later than these triggers, from when this is made to the end of its block, or to `end`.

    A kill while a write about them is under way may find them in storage.
    """

    __slots__ = ("_unsettled",)

    def __init__(self, unsettled: dict[object, int], *triggers: int | None) -> None:
        self._unsettled = unsettled
        known = [trigger for trigger in triggers if trigger is not None]
        if known:
            unsettled[self] = min(known)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """The write is over."""
        self._unsettled.pop(self, None)
