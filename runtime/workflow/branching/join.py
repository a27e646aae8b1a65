"""Join: every branch runs, and the join fails when one of them failed for good (section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from runtime.workflow.branching.branches import OPEN, branches_entry, collect_handlers, merged, raise_control_flow, run_branches
from runtime.workflow.errors import JoinError, Yield
from runtime.workflow.history import COMPLETED, FAILED, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.workflow.scope import Scope

    S = TypeVar("S", bound=Scope)


async def run_join(scope: S, name: str, branches: Mapping[str, Callable[[S], Any]]) -> dict[str, Any]:
    """Run every unfinished branch and settle the join (WF-110..117)."""
    entry = await branches_entry(scope, name, "join", list(branches))
    recorded = entry.data["branches"]
    if scope.run.current.rollback and all(recorded[item]["status"] == COMPLETED for item in branches):
        await collect_handlers(scope, entry, branches)
    open_branches = {item: body for item, body in branches.items() if recorded[item]["status"] in OPEN}
    outcomes = await run_branches(scope, entry, open_branches)
    raise_control_flow(outcomes)
    waits = [outcome for outcome in outcomes.values() if isinstance(outcome, Yield)]
    if waits:
        # What finished branches came to is durable before the pass waits, or a crash would run them again.
        await scope.run.flush()
        raise merged(waits)
    # Of a branch that failed in an earlier pass only the text of its error is left.
    failed = {item: outcomes.get(item) or Exception(recorded[item]["error"]) for item in branches if recorded[item]["status"] == FAILED}
    # The replay of a settled join has nothing to write (WF-147).
    if open_branches:
        await scope.run.flush()
    if failed:
        raise JoinError(name, {item: error for item, error in failed.items() if isinstance(error, BaseException)})
    return {item: copied(recorded[item].get("output")) for item in branches}
