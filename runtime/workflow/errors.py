"""What can end a step, a branch, a pass or a workflow.

Why two trees: failures are ordinary exceptions that user code may catch; control flow (a pass that must wait, or that is cut off by a stop)
derives from `BaseException`, so that `except Exception` in user code cannot swallow it (WF-023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import ActorError, UserError, said_by
from runtime.protocol.payload import text_of
from runtime.protocol.storable import Unstorable, check_storable

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT = 8_192
"""Characters of an error's texts that are kept: what is said of a failure must not be what keeps it from being recorded (WF-182)."""
MAX_FIELDS = 32
"""Own fields of an error that are kept."""

CRITICAL, TIMEOUT, EXHAUSTED, ROLLBACK = "critical", "timeout", "exhausted", "rollback"


def error_name(error: BaseException) -> str:
    """The name an error has in history and events: `Error` for Python's own exceptions, else the class name."""
    if isinstance(error, ActorError):
        return "UserError" if isinstance(error, UserError) else "RivetError"
    # An error without a class of its own has the name that it has at the peer.
    return "Error" if type(error).__module__ == "builtins" else type(error).__name__


def describe(error: BaseException) -> dict[str, Any]:
    """`{name, message, metadata?}` of an error, fit to be stored; metadata holds its scalar own fields (WF-061, WF-185)."""
    if isinstance(error, StoredWorkflowError):
        return error.described()
    described: dict[str, Any] = {
        "name": _kept(error_name(error)),
        "message": _kept(error.message if isinstance(error, ActorError) else said_by(error)),
    }
    own = {_kept(name): _scalar(value) for name, value in vars(error).items() if _is_own(name, value)}
    # Of an `ActorError` the message is a field, and stands above already.
    own.pop("message", None)
    if own:
        described["metadata"] = dict(list(own.items())[:MAX_FIELDS])
    return described


def _is_own(name: object, value: object) -> bool:
    return isinstance(name, str) and name[:1] != "_" and isinstance(value, (str, int, float, bool))


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return _kept(value)
    try:
        check_storable(value)
    # An integer of any length: its digits would be no use to anybody, either.
    except Unstorable as error:
        return str(error)
    return value


def _kept(text: str) -> str:
    return text_of(text[:MAX_TEXT])


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


class StoredWorkflowError(Exception):
    """The error of a workflow that failed in an earlier generation, met again after its rollback (WF-136).

    Attributes:
        name: What the error was called.
        metadata: Its scalar own fields, None without any.
    """

    def __init__(self, stored: Mapping[str, Any]) -> None:
        super().__init__(stored.get("message", ""))
        self.name: str = stored.get("name", "Error")
        self.metadata: Mapping[str, Any] | None = stored.get("metadata")

    def __str__(self) -> str:
        return f"{self.name}: {super().__str__()}"

    def described(self) -> dict[str, Any]:
        """As the first error was described."""
        described: dict[str, Any] = {"name": self.name, "message": super().__str__()}
        return described if self.metadata is None else {**described, "metadata": dict(self.metadata)}


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
