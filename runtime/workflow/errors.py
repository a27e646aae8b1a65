"""What can end a step, a branch, a pass or a workflow.

Why two trees: failures are ordinary exceptions that user code may catch; control flow (a pass that must wait, or that is cut off by a stop)
derives from `BaseException`, so that `except Exception` in user code cannot swallow it (WF-023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.errors import ActorError, UserError

CRITICAL, TIMEOUT, EXHAUSTED, ROLLBACK = "critical", "timeout", "exhausted", "rollback"


def error_name(error: BaseException) -> str:
    """The name an error has in history and events: `Error` for Python's own exceptions, else the class name."""
    if isinstance(error, ActorError):
        return "UserError" if isinstance(error, UserError) else "RivetError"
    # An error without a class of its own has the name that it has at the peer.
    return "Error" if type(error).__module__ == "builtins" else type(error).__name__


def describe(error: BaseException) -> dict[str, Any]:
    """`{name, message, metadata?}` of an error; metadata holds its scalar own fields (WF-061, WF-185)."""
    message = error.message if isinstance(error, ActorError) else str(error)
    described: dict[str, Any] = {"name": error_name(error), "message": message}
    own = {name: value for name, value in vars(error).items() if isinstance(value, (str, int, float, bool)) and name[:1] != "_"}
    # Of an `ActorError` the message is a field, and stands above already.
    own.pop("message", None)
    if own:
        described["metadata"] = own
    return described


@dataclass(frozen=True, slots=True)
class StepFailure:
    """Why a step failed for good (WF-061). `kind` is `critical`, `timeout`, `exhausted` or `rollback`."""

    kind: str
    step_name: str
    attempts: int
    error: dict[str, Any]

    def to_wire(self) -> dict[str, Any]:
        """The object workflow code sees."""
        return {"kind": self.kind, "stepName": self.step_name, "attempts": self.attempts, "error": self.error}


class WorkflowFailure(Exception):
    """Base of the failures that set a workflow to `failed` and end its run handler normally (WF-181)."""

    failure: StepFailure | None = None


class CriticalError(WorkflowFailure):
    """Raised by a step body: do not retry (WF-049)."""


class RollbackError(WorkflowFailure):
    """Raised by a step body or a try block: do not retry, roll back (WF-049, WF-066)."""


class StepTimeoutError(WorkflowFailure):
    """One attempt took longer than the step's time-out (WF-047)."""


class StepExhaustedError(WorkflowFailure):
    """A step used up its retries (WF-046)."""


class JoinError(WorkflowFailure):
    """Some branches of a join failed (WF-113). `errors` maps branch name to error, `entry_name` is the join's name."""

    def __init__(self, entry_name: str, errors: dict[str, BaseException]) -> None:
        super().__init__(f"Join failed: {', '.join(errors)}")
        self.entry_name, self.errors = entry_name, errors


class RaceError(WorkflowFailure):
    """Every branch of a race failed (WF-122). `errors` lists `(name, error)`."""

    def __init__(self, entry_name: str, errors: list[tuple[str, BaseException]]) -> None:
        super().__init__("All branches failed")
        self.entry_name, self.errors = entry_name, errors


class WorkflowDefect(Exception):
    """Base of the failures that fail the run handler and that `try_step` and `try_` never catch (WF-036, WF-063, WF-182)."""


class HistoryDivergedError(WorkflowDefect):
    """The code does not fit the recorded history (WF-031..035)."""


class EntryInProgressError(WorkflowDefect):
    """A second entry was started before the previous one settled (WF-024)."""

    def __init__(self) -> None:
        super().__init__(
            "Cannot start a new workflow entry while another is in progress. Did you forget to await the previous step/loop/sleep?"
        )


class RollbackCheckpointError(WorkflowDefect):
    """A step with a rollback has no checkpoint before it (WF-130)."""

    def __init__(self) -> None:
        super().__init__("Rollback requires a checkpoint before any rollback step")


class ControlFlow(BaseException):
    """Ends the pass; never an outcome of the workflow."""


class Yield(ControlFlow):
    """The pass must wait: until `deadline_ms` (epoch milliseconds), for a message of `names` (empty tuple: any), or both."""

    def __init__(self, deadline_ms: int | None = None, names: tuple[str, ...] | None = None) -> None:
        super().__init__("Workflow waits")
        self.deadline_ms, self.names = deadline_ms, names

    def merge(self, other: Yield) -> Yield:
        """The earliest deadline and the union of names of two waits (WF-114)."""
        deadlines = [item.deadline_ms for item in (self, other) if item.deadline_ms is not None]
        waits = [item.names for item in (self, other) if item.names is not None]
        # An empty tuple means any message, and takes in whatever the others name.
        names = None if not waits else () if () in waits else tuple(dict.fromkeys(name for wait in waits for name in wait))
        return Yield(min(deadlines, default=None), names)


class Evicted(ControlFlow):
    """The generation is stopping (WF-025)."""


class BranchCancelled(ControlFlow):
    """The branch has lost its race (WF-124)."""


class RollbackStop(ControlFlow):
    """A rollback replay reached the frontier (WF-133)."""
