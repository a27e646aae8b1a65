"""Workflow code that changed while instances of it run: removed entries and version gates (section 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.workflow.errors import HistoryDivergedError
from runtime.workflow.history import path_text

if TYPE_CHECKING:
    from runtime.workflow.scope import Scope


async def mark_removed(scope: Scope, name: str, original_type: str) -> None:
    """See `WorkflowContext.removed` (WF-160, WF-161)."""
    location = (*scope.location, name)
    stored = scope.run.history.entries.get(location)
    if stored is not None:
        if stored.kind not in (original_type, "removed"):
            raise HistoryDivergedError(f"Expected {original_type} or removed at {path_text(location)}, found {stored.kind}")
        # What the removed entry had inside will never be visited again, and must not count as diverged for that.
        scope.run.current.visited.update(entry.location for entry in scope.run.history.below(location))
        return
    await scope.run.mark(location, "removed", {"originalType": original_type})


async def version_at(scope: Scope, name: str, latest: int) -> int:
    """See `WorkflowContext.get_version` (WF-162..165)."""
    location = (*scope.location, name)
    stored = scope.run.history.entries.get(location)
    if stored is not None and stored.kind != "version_check":
        raise HistoryDivergedError(f"Expected version_check at {path_text(location)}, found {stored.kind}")
    if stored is not None:
        return int(stored.data["resolved"])
    # An instance that got past this point before the gate was there has recorded something behind it, not yet visited in this pass.
    visited = scope.run.current.visited
    older = any(entry.location not in visited for entry in scope.run.history.below(scope.location))
    resolved = 1 if older else latest
    await scope.run.mark(location, "version_check", {"resolved": resolved, "latest": latest})
    return resolved
