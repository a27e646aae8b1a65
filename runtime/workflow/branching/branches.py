"""Join and race: branches that run together in one pass (sections 10 and 11)."""

from __future__ import annotations

import asyncio
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.actor.lifecycle.abort import AbortSignal
from runtime.errors import contained
from runtime.workflow.errors import (
    BranchCancelled,
    ControlFlow,
    EntryInProgressError,
    Evicted,
    HistoryDivergedError,
    RollbackCheckpointError,
    RollbackStop,
    Yield,
    describe,
    error_name,
)
from runtime.workflow.history import COMPLETED, FAILED, PENDING, RUNNING, Entry, check_fits, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.workflow.scope import Scope

    S = TypeVar("S", bound=Scope)

OPEN = (PENDING, RUNNING)
_PRIORITY = (Evicted, HistoryDivergedError, EntryInProgressError, RollbackCheckpointError, RollbackStop)
"""Which of several control-flow errors ends the pass (WF-117)."""


async def branches_entry(scope: Scope, name: str, kind: str, branches: list[str]) -> Entry:
    """The entry of a join or race, new or found, with everything below finished branches marked as visited."""
    location = (*scope.location, name)
    entry = scope.run.history.find(location, kind)
    if entry is None:
        if scope.run.current.rollback:
            raise RollbackStop
        entry = scope.run.history.add(location, kind, {"branches": {item: {"status": PENDING} for item in branches}})
        await scope.run.flush()
    for item in branches:
        if item not in entry.data["branches"]:
            raise HistoryDivergedError(f'Expected {kind} branch "{item}" in "{name}"')
    # They are not run again, so nobody else visits what they recorded (WF-114).
    finished = [item for item in branches if entry.data["branches"][item]["status"] not in OPEN]
    for item in finished:
        scope.run.current.visited.update(child.location for child in scope.run.history.below((*location, item)))
    if scope.run.current.rollback and len(finished) < len(branches) and entry.data.get("winner") is None:
        raise RollbackStop
    return entry


async def collect_handlers(scope: S, entry: Entry, branches: Mapping[str, Callable[[S], Any]]) -> None:
    """Replay completed branches, in the order of the code, for the rollback handlers of their steps (WF-131, WF-133)."""
    for item, body in branches.items():
        await body(scope.child((*entry.location, item)))


async def run_branches(
    scope: S, entry: Entry, open_branches: Mapping[str, Callable[[S], Any]], *, race: bool = False
) -> dict[str, BaseException]:
    """Run branches together until each settled or yielded; returns what each that did not complete ended with."""
    signals: dict[str, AbortSignal] = {}
    outcomes: dict[str, BaseException] = {}
    recorded = entry.data["branches"]

    async def run_one(item: str, body: Callable[[S], Any]) -> None:
        inner = scope.child((*entry.location, item), signal=signals.get(item))
        recorded[item] = {"status": RUNNING}
        scope.run.history.touch(entry)
        try:
            value = copied(await body(inner))
            scope.check_visited(inner.location)
            done = {"status": COMPLETED, "output": value}
            # The branches share one entry: the one whose value is too much for it fails, and holds up no flush of the others (WF-141).
            check_fits(entry, {**entry.data, "branches": {**recorded, item: done}})
        # Kept and not raised: a task group would cancel the other branches, which must settle or yield by themselves (WF-110, WF-126).
        except (ControlFlow, *_PRIORITY) as error:
            outcomes[item] = error
        except BaseException as caught:
            outcomes[item] = failure = contained(caught)
            recorded[item] = {"status": FAILED, "error": f"{error_name(failure)}: {describe(failure)['message']}"}
            scope.run.history.touch(entry)
        else:
            # Two may complete in one pass, and the first has won (WF-125).
            if race and entry.data.get("winner") is not None:
                return
            recorded[item] = done
            scope.run.history.touch(entry)
            if race:
                entry.data["winner"] = item
                # Told and not cancelled: what a loser does outside of entries is its own business until it looks.
                for other, signal in signals.items():
                    if other != item:
                        signal.fire()

    unlink = []
    if race:
        for item in open_branches:
            signals[item] = signal = AbortSignal()
            # The generation's signal lives longer than the race: listeners that stayed would grow with every pass.
            unlink.append(scope.abort_signal.add_listener(signal.fire))
    try:
        async with asyncio.TaskGroup() as group:
            for item, body in open_branches.items():
                group.create_task(run_one(item, body))
    finally:
        for remove in unlink:
            remove()
    return outcomes


def raise_control_flow(outcomes: Mapping[str, BaseException]) -> None:
    """Raise what must end the pass whatever the other branches came to (WF-117)."""
    # By kind first and by branch second, so that what ends the pass does not depend on the order of branches.
    for kind in _PRIORITY:
        for outcome in outcomes.values():
            if isinstance(outcome, kind):
                raise outcome
    for outcome in outcomes.values():
        if isinstance(outcome, BranchCancelled):
            raise outcome


def merged(waits: list[Yield]) -> Yield:
    """One wait for all branches that wait (WF-114)."""
    return reduce(Yield.merge, waits)
