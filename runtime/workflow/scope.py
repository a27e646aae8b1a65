"""What durable operations see of the workflow context that called them.

`WorkflowContext` offers the operations and each of them opens nested contexts: with the class itself on both sides every operation would
import the others. Here is the half that operations need, and `Self` says that user code gets the same kind of context in every scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.workflow.history import Location
    from runtime.workflow.workflow_run import WorkflowRun


class Scope(Protocol):
    """A place in the workflow's code: the root, an iteration, a branch or a block."""

    @property
    def run(self) -> WorkflowRun:
        """The workflow of this generation."""
        ...

    @property
    def location(self) -> Location:
        """Names from the root to this scope."""
        ...

    @property
    def abort_signal(self) -> AbortSignal:
        """Fires when the generation is stopping and, in a race branch, when the branch has lost."""
        ...

    @property
    def has_checkpoint(self) -> bool:
        """Whether steps with a rollback are allowed from here on (WF-130)."""
        ...

    def child(self, location: Location, *, signal: AbortSignal | None = None) -> Self:
        """The context of a nested scope."""
        ...

    def entering(self, name: str, *more: str) -> AbstractAsyncContextManager[None]:
        """Claim a name for one entry and hold the scope until it settled (WF-024)."""
        ...

    def check_visited(self, scope: Location) -> None:
        """Every stored entry below a finished scope was visited in this pass (WF-034)."""
        ...
