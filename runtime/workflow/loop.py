"""Durable loops: stored iteration and state, pruning of old iterations (section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.protocol.values import UNDEFINED
from runtime.workflow.errors import RollbackStop
from runtime.workflow.history import COMPLETED, RUNNING, Entry, copied

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.workflow.scope import Scope


@dataclass(frozen=True, slots=True)
class Continue:
    """Loop on, with this state (WF-070)."""

    state: Any = None


@dataclass(frozen=True, slots=True)
class Break:
    """End the loop with this value (WF-070, WF-075)."""

    value: Any = None


async def run_loop(scope: Scope, name: str, body: Callable[..., Any], state: Any, prune_interval: int, size: int) -> Any:
    """One call of `loop`: continue at the stored iteration until the body breaks."""
    history, location = scope.run.history, (*scope.location, name)
    entry = history.find(location, "loop")
    if entry is None:
        if scope.run.current.rollback:
            raise RollbackStop
        entry = history.add(location, "loop", {"state": copied(state), "iteration": 0}, with_meta=True)
        assert entry.meta is not None
        entry.meta.status = RUNNING
    assert entry.meta is not None
    # Entries of finished iterations belong to the past: a pass starts at the stored iteration and visits nothing before it (WF-073).
    scope.run.current.visited.update(
        item.location for item in history.below(location) if _iteration(item, location) < entry.data["iteration"]
    )
    if entry.meta.status == COMPLETED:
        scope.run.current.visited.update(item.location for item in history.below(location))
        return copied(entry.data.get("output"))
    while True:
        iteration = entry.data["iteration"]
        inner = scope.child((*location, iteration))
        # The body gets a copy: when the pass ends in the middle, the next one begins the iteration with the stored state (WF-073).
        result = await (body(inner) if state is UNDEFINED else body(inner, copied(entry.data["state"])))
        scope.check_visited(inner.location)
        if scope.run.current.rollback:
            # A rollback replay never moves the loop (WF-133); the iteration after this one was never recorded.
            raise RollbackStop
        if isinstance(result, Break):
            return await _break(scope, entry, result, size)
        if not isinstance(result, Continue):
            if state is not UNDEFINED:
                raise TypeError(
                    f'Loop "{name}" returned undefined for a stateful iteration. Return Loop.continue(state) or Loop.break(value).'
                )
            result = Continue(entry.data["state"])
        # Not flushed: the entries of the iteration are durable, so a crash here repeats an iteration that finds everything done.
        history.replace(entry, state=copied(result.state), iteration=iteration + 1)
        if (iteration + 1) % prune_interval == 0:
            await _prune(scope, entry, iteration + 1 - size)
        # A body without an entry of its own would spin through the whole grace period.
        scope.run.check_evicted()


async def _break(scope: Scope, entry: Entry, result: Break, size: int) -> Any:
    assert entry.meta is not None
    scope.run.history.replace(entry, output=copied(result.value))
    entry.meta.status, entry.meta.completed_at = COMPLETED, clock.now_ms()
    await _prune(scope, entry, entry.data["iteration"] + 1 - size)
    # As a later pass will give it, so that code cannot tell the passes apart.
    return copied(entry.data["output"])


async def _prune(scope: Scope, entry: Entry, oldest: int) -> None:
    """Forget the iterations before `oldest`, and flush (WF-076, WF-077)."""
    history = scope.run.history
    history.delete(item for item in history.below(entry.location) if _iteration(item, entry.location) < oldest)
    await scope.run.flush()


def _iteration(entry: Entry, location: tuple[str | int, ...]) -> int:
    number = entry.location[len(location)]
    return number if isinstance(number, int) else -1
