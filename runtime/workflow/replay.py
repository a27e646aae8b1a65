"""Replay from a step and the history as inspectors see it (sections 17 and 19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import make_error
from runtime.workflow.history import RUNNING, Entry, History

if TYPE_CHECKING:
    from collections.abc import Iterable


def rewind(history: History, entry_id: str | None) -> None:
    """Delete a step and everything recorded after it; without a target the whole history (WF-210..213).

    Entries recorded before the target stay, whatever their kind.

    Raises:
        ValueError: The id is unknown or is not a step's (WF-214).
        ActorError: actor.workflow_in_flight when the workflow or a remaining entry is running (WF-215, WF-216).
    """
    if history.outcome.state in ("pending", "running"):
        raise make_error("actor.workflow_in_flight")
    if entry_id is None:
        history.clear()
    else:
        target = next((entry for entry in history.entries.values() if entry.id == entry_id), None)
        if target is None:
            raise ValueError(f"Workflow step not found: {entry_id}")
        if target.kind != "step":
            raise ValueError("Workflow replay target must be a step")
        loop = _innermost_loop(history, target)
        # A loop keeps its present state only and cannot go back to an iteration, so it begins anew (WF-212).
        first = target if loop is None else loop
        doomed = [entry for entry in history.entries.values() if entry.order >= first.order or _inside(entry, loop)]
        # What stays must be at rest: a body that still runs would record into a history that is another by then.
        if any(entry.meta is not None and entry.meta.status == RUNNING for entry in _without(history, doomed)):
            raise make_error("actor.workflow_in_flight")
        history.delete(doomed)
    # Neither running nor at its end: the next run of the handler takes it up.
    history.set_outcome("sleeping")


def _innermost_loop(history: History, target: Entry) -> Entry | None:
    for size in range(len(target.location) - 1, 0, -1):
        if isinstance(target.location[size], int):
            loop = history.entries.get(target.location[:size])
            if loop is not None:
                return loop
    return None


def _inside(entry: Entry, loop: Entry | None) -> bool:
    return loop is not None and entry.location[: len(loop.location)] == loop.location


def _without(history: History, doomed: Iterable[Entry]) -> list[Entry]:
    gone = {entry.id for entry in doomed}
    return [entry for entry in history.entries.values() if entry.id not in gone]
