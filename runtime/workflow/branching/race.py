"""Race: the first branch that completes wins, the others are cut off and forgotten (section 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from runtime.workflow.branching.branches import OPEN, branches_entry, collect_handlers, merged, raise_control_flow, run_branches
from runtime.workflow.errors import RaceError, Yield
from runtime.workflow.history import copied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.workflow.scope import Scope

    S = TypeVar("S", bound=Scope)


async def run_race(scope: S, name: str, contenders: Mapping[str, Callable[[S], Any]]) -> tuple[str, Any]:
    """Run every branch that may still win and settle the race (WF-120..126)."""
    entry = await branches_entry(scope, name, "race", list(contenders))
    recorded = entry.data["branches"]
    # Settled in an earlier pass: no branch is opened again, except for its rollback handlers.
    if entry.data.get("winner") is not None:
        winner = entry.data["winner"]
        scope.run.current.visited.update(item.location for item in scope.run.history.below(entry.location))
        if scope.run.current.rollback:
            await collect_handlers(scope, entry, {winner: contenders[winner]})
        return winner, copied(recorded[winner].get("output"))
    open_branches = {item: body for item, body in contenders.items() if recorded[item]["status"] in OPEN}
    outcomes = await run_branches(scope, entry, open_branches, race=True)
    winner = entry.data.get("winner")
    if winner is not None:
        losers = [item for item in scope.run.history.below(entry.location) if item.location[len(entry.location)] != winner]
        for item in contenders:
            if item != winner and recorded[item]["status"] in OPEN:
                # Those that yielded; nothing will ever resume them. Who failed before keeps its error.
                recorded[item] = {"status": "cancelled"}
        scope.run.history.touch(entry)
        # Entries of a branch that no code comes by any more would count as diverged in the next pass (WF-124).
        scope.run.history.delete(losers)
        await scope.run.flush()
        return winner, copied(recorded[winner].get("output"))
    raise_control_flow(outcomes)
    waits = [outcome for outcome in outcomes.values() if isinstance(outcome, Yield)]
    await scope.run.flush()
    if waits:
        raise merged(waits)
    raise RaceError(name, [(item, _error(outcomes.get(item), recorded[item])) for item in contenders])


def _error(outcome: BaseException | None, recorded: dict[str, Any]) -> BaseException:
    return outcome if outcome is not None else Exception(recorded.get("error"))
