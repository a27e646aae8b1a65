"""Join and race: branches that run together in one pass (sections 10 and 11)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.actor.lifecycle.abort import AbortSignal
from runtime.workflow.errors import (
    BranchCancelled,
    ControlFlow,
    EntryInProgressError,
    Evicted,
    HistoryDivergedError,
    JoinError,
    RaceError,
    RollbackCheckpointError,
    RollbackStop,
    Yield,
    describe,
    error_name,
)
from runtime.workflow.history import COMPLETED, FAILED, PENDING, RUNNING, Entry, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.workflow.context import WorkflowContext

_OPEN = (PENDING, RUNNING)
_PRIORITY = (Evicted, HistoryDivergedError, EntryInProgressError, RollbackCheckpointError, RollbackStop)
"""Which of several control-flow errors ends the pass (WF-117)."""


async def run_join(scope: WorkflowContext, name: str, branches: Mapping[str, Callable[[WorkflowContext], Any]]) -> dict[str, Any]:
    """Run every unfinished branch and settle the join (WF-110..117)."""
    entry = await _entry(scope, name, "join", list(branches))
    recorded = entry.data["branches"]
    if scope.run.current.rollback and all(recorded[item]["status"] == COMPLETED for item in branches):
        await _collect_handlers(scope, entry, branches)
    open_branches = {item: body for item, body in branches.items() if recorded[item]["status"] in _OPEN}
    outcomes = await _run_branches(scope, entry, open_branches)
    _raise_control_flow(outcomes)
    waits = [outcome for outcome in outcomes.values() if isinstance(outcome, Yield)]
    if waits:
        await scope.run.flush()
        raise _merged(waits)
    failed = {item: outcomes.get(item) or Exception(recorded[item]["error"]) for item in branches if recorded[item]["status"] == FAILED}
    if open_branches:
        await scope.run.flush()
    if failed:
        raise JoinError(name, {item: error for item, error in failed.items() if isinstance(error, BaseException)})
    return {item: copied(recorded[item].get("output")) for item in branches}


async def run_race(scope: WorkflowContext, name: str, contenders: Mapping[str, Callable[[WorkflowContext], Any]]) -> tuple[str, Any]:
    """Run every branch that may still win and settle the race (WF-120..126)."""
    entry = await _entry(scope, name, "race", list(contenders))
    recorded = entry.data["branches"]
    if entry.data.get("winner") is not None:
        winner = entry.data["winner"]
        scope.run.current.visited.update(item.location for item in scope.run.history.below(entry.location))
        if scope.run.current.rollback:
            await _collect_handlers(scope, entry, {winner: contenders[winner]})
        return winner, copied(recorded[winner].get("output"))
    open_branches = {item: body for item, body in contenders.items() if recorded[item]["status"] in _OPEN}
    outcomes = await _run_branches(scope, entry, open_branches, race=True)
    winner = entry.data.get("winner")
    if winner is not None:
        losers = [item for item in scope.run.history.below(entry.location) if item.location[len(entry.location)] != winner]
        for item in contenders:
            if item != winner and recorded[item]["status"] in _OPEN:
                recorded[item] = {"status": "cancelled"}
        scope.run.history.touch(entry)
        scope.run.history.delete(losers)
        await scope.run.flush()
        return winner, copied(recorded[winner].get("output"))
    _raise_control_flow(outcomes)
    waits = [outcome for outcome in outcomes.values() if isinstance(outcome, Yield)]
    await scope.run.flush()
    if waits:
        raise _merged(waits)
    raise RaceError(name, [(item, _error(outcomes.get(item), recorded[item])) for item in contenders])


async def _entry(scope: WorkflowContext, name: str, kind: str, branches: list[str]) -> Entry:
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
    finished = [item for item in branches if entry.data["branches"][item]["status"] not in _OPEN]
    for item in finished:
        scope.run.current.visited.update(child.location for child in scope.run.history.below((*location, item)))
    if scope.run.current.rollback and len(finished) < len(branches) and entry.data.get("winner") is None:
        raise RollbackStop
    return entry


async def _collect_handlers(scope: WorkflowContext, entry: Entry, branches: Mapping[str, Callable[[WorkflowContext], Any]]) -> None:
    """Replay completed branches, in the order of the code, for the rollback handlers of their steps (WF-131, WF-133)."""
    for item, body in branches.items():
        await body(scope.child((*entry.location, item)))


async def _run_branches(
    scope: WorkflowContext, entry: Entry, open_branches: Mapping[str, Callable[[WorkflowContext], Any]], *, race: bool = False
) -> dict[str, BaseException]:
    """Run branches together until each settled or yielded; returns what each that did not complete ended with."""
    signals: dict[str, AbortSignal] = {}
    outcomes: dict[str, BaseException] = {}
    recorded = entry.data["branches"]

    async def run_one(item: str, body: Callable[[WorkflowContext], Any]) -> None:
        inner = scope.child((*entry.location, item), signal=signals.get(item))
        recorded[item] = {"status": RUNNING}
        scope.run.history.touch(entry)
        try:
            value = copied(await body(inner))
            scope.check_visited(inner.location)
        except asyncio.CancelledError:
            raise
        except (ControlFlow, *_PRIORITY) as error:
            outcomes[item] = error
        except Exception as error:
            outcomes[item] = error
            recorded[item] = {"status": FAILED, "error": f"{error_name(error)}: {describe(error)['message']}"}
            scope.run.history.touch(entry)
        else:
            if race and entry.data.get("winner") is not None:
                return
            recorded[item] = {"status": COMPLETED, "output": value}
            scope.run.history.touch(entry)
            if race:
                entry.data["winner"] = item
                for other, signal in signals.items():
                    if other != item:
                        signal.fire()

    unlink = []
    if race:
        for item in open_branches:
            signals[item] = signal = AbortSignal()
            unlink.append(scope.abort_signal.add_listener(signal.fire))
    try:
        async with asyncio.TaskGroup() as group:
            for item, body in open_branches.items():
                group.create_task(run_one(item, body))
    finally:
        for remove in unlink:
            remove()
    return outcomes


def _raise_control_flow(outcomes: Mapping[str, BaseException]) -> None:
    for kind in _PRIORITY:
        for outcome in outcomes.values():
            if isinstance(outcome, kind):
                raise outcome
    for outcome in outcomes.values():
        if isinstance(outcome, BranchCancelled):
            raise outcome


def _merged(waits: list[Yield]) -> Yield:
    merged = waits[0]
    for wait in waits[1:]:
        merged = merged.merge(wait)
    return merged


def _error(outcome: BaseException | None, recorded: dict[str, Any]) -> BaseException:
    return outcome if outcome is not None else Exception(recorded.get("error"))
