"""Bounded inboxes: producers try, and are told at once when there is no room (TASK-001..006)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from runtime.errors import ActorError, make_error, make_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


_EMPTY: deque[Any] = deque()
"""What every box begins with: an empty one takes 760 bytes, an actor has three, and most actors that are awake use none of them."""


class Inbox(Generic[T]):
    """A bounded first-in-first-out box with one consumer.

    Attributes:
        channel: The name overloads carry: `lifecycle_inbox`, `dispatch_inbox`, `lifecycle_event_inbox`.
        capacity: Items it holds at most.
    """

    __slots__ = ("_closed", "_items", "_on_item", "_on_overload", "capacity", "channel")

    def __init__(self, channel: str, capacity: int, on_item: Callable[[], None], on_overload: Callable[[str, str, int], None]) -> None:
        self.channel = channel
        self.capacity = capacity
        self._items: deque[T] = _EMPTY
        self._on_item = on_item
        self._on_overload = on_overload
        # A name and no error: an error that is raised twice would carry the traceback of the first caller.
        self._closed: str | None = None

    def __len__(self) -> int:
        return len(self._items)

    def check(self, operation: str) -> None:
        """Raise what `try_send` would raise, without sending.

        Raises:
            ActorError: actor.overloaded, or the error the box was closed with.
        """
        if self._closed is not None:
            raise make_refusal(self._closed)
        if len(self._items) >= self.capacity:
            raise self._overloaded(operation)

    def try_send(self, operation: str, make: Callable[[], T]) -> None:
        """Build an item and put it in; the item is not built when there is no room (TASK-002).

        Raises:
            ActorError: actor.overloaded, or the error the box was closed with (TASK-003, TASK-007).
        """
        self.check(operation)
        # Made here, so that a refusal costs nothing but itself: overload is when nobody has time for it.
        item = make()
        if self._items is _EMPTY:
            self._items = deque()
        self._items.append(item)
        self._on_item()

    def take(self) -> T | None:
        """The oldest item, None when empty."""
        return self._items.popleft() if self._items else None

    def close(self, error: str) -> list[T]:
        """Refuse further items with this error of the catalogue; returns what was left."""
        self._closed = error
        left, self._items = list(self._items), _EMPTY
        return left

    def _overloaded(self, operation: str) -> ActorError:
        self._on_overload(self.channel, operation, self.capacity)
        return make_error("actor.overloaded", channel=self.channel, operation=operation, capacity=self.capacity)
