"""The seam through which an inspector learns that something of a live actor changed.

`ActorTask.observer` is None unless somebody watches, so an unwatched actor pays one attribute look-up per change.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol


# Coarse on purpose: an observer reads the part anew when it sends, so that any number of changes are one message.
class Part(Enum):
    """What of an actor changed. `SAVED` follows a save that contained the state."""

    STATE = auto()
    SAVED = auto()
    CONNECTIONS = auto()
    QUEUE = auto()
    SCHEDULES = auto()
    WORKFLOW = auto()


class Observer(Protocol):
    """Who watches one generation. Called on the loop in the midst of the change: it only takes a note, and never raises."""

    def changed(self, part: Part) -> None:
        """That part is different now."""
