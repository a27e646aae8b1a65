"""Failures as values: `try_step` and `try_` (section 6).

Both look at `WorkflowFailure` alone. Defects and control flow pass through, whatever the caller wants to catch: a workflow that went on
after its code no longer fits its history would record nonsense (WF-063).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.workflow.errors import JoinError, RaceError, RollbackError, WorkflowFailure, describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from runtime.workflow.scope import Scope

    S = TypeVar("S", bound=Scope)

STEP_KINDS = ("critical", "timeout", "exhausted")
"""Kinds of a step's final failure that `try_step` returns unless told otherwise (WF-060)."""
BLOCK_SOURCES = ("step", "join", "race")
"""Sources of a block's failure that `try_` returns unless told otherwise (WF-065)."""


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of `try_step` and `try_`: `value` when `ok`, else `failure` (WF-060, WF-065)."""

    ok: bool
    value: Any = None
    failure: dict[str, Any] | None = None


async def try_step(step: Awaitable[Any], catch: Sequence[str]) -> Result:
    """Await a step; its final failure of a kind in `catch` is returned (WF-060..064)."""
    try:
        return Result(True, await step)
    except WorkflowFailure as error:
        if error.failure is None or error.failure.kind not in catch:
            raise
        return Result(False, failure=error.failure.to_wire())


async def try_block(scope: S, name: str, body: Callable[[S], Any], catch: Sequence[str]) -> Result:
    """Run `body` in a scope of its own and return failures whose source is in `catch` (WF-065..069)."""
    inner = scope.child((*scope.location, name))
    try:
        value = await body(inner)
    except WorkflowFailure as error:
        failure = _block_failure(name, error)
        # A step that raised `RollbackError` is a failed step as well, but only "rollback" may catch it (WF-067).
        source = "rollback" if isinstance(error, RollbackError) else failure["source"] if failure else None
        if failure is None or source not in catch:
            raise
        return Result(False, failure=failure)
    # Only after success: a block that failed midway has rightly not come to the entries behind.
    inner.check_visited(inner.location)
    return Result(True, value)


def _block_failure(block: str, error: WorkflowFailure) -> dict[str, Any] | None:
    if error.failure is not None:
        step = error.failure.to_wire()
        return {"source": "step", "name": error.failure.step_name, "error": step["error"], "step": step}
    if isinstance(error, (JoinError, RaceError)):
        source = "join" if isinstance(error, JoinError) else "race"
        return {"source": source, "name": error.entry_name, "error": describe(error)}
    if isinstance(error, RollbackError):
        return {"source": "block", "name": block, "error": describe(error)}
    return None
