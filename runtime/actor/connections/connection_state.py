"""The state of one connection (CONN-051..056)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.actor.state.tracking import track
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actor.state.tracking import Tracker


class ConnStateTracker:
    """Tracks the state of one connection; its own changes never reach `on_state_change` (CONN-055, CONN-056)."""

    __slots__ = ("_actor_state", "_changed")

    def __init__(self, actor_state: Tracker, changed: Callable[[], None]) -> None:
        self._actor_state = actor_state
        self._changed = changed

    def before_change(self) -> None:
        """Refuse writes inside `on_state_change`."""
        # The actor's state knows whether that hook runs, and it refuses with the error of its own writes.
        self._actor_state.before_change()

    def changed(self) -> None:
        """Save with the next batch."""
        self._changed()


def track_state(value: Any, actor_state: Tracker, changed: Callable[[], None], *, initial: bool) -> Any:
    """Wrap connection state so that its mutations are refused in `on_state_change` and otherwise saved (CONN-052..055).

    Args:
        value: The new state; `UNDEFINED` stays so (CONN-015).
        actor_state: Whose reentrancy rule applies.
        changed: Called with each later mutation.
        initial: Whether this is the state of the setup, which counts as no mutation (CONN-053).

    Raises:
        ActorError: `actor.state_mutation_reentrant`.
        TypeError: The value cannot be stored (CONN-054).
    """
    if value is UNDEFINED:
        return value
    tracker = ConnStateTracker(actor_state, changed)
    if not initial:
        tracker.before_change()
    return track(value, tracker)
