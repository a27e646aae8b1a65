"""What callers are told whom a generation does not let in (TASK-022..025, SLEEP-072).

The error decides what the caller's gateway does: *starting* and *stopping* are tried again with the next generation, *destroying* ends
the call for good. So a generation that goes to sleep must never say *destroying*, also not when it is long over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.ports import StopKind, StopReason
from runtime.errors import make_refusal
from runtime.logs import Allowance, LimitedLog

if TYPE_CHECKING:
    from runtime.errors import ActorError

ACCEPTING = (LifecycleState.STARTED, LifecycleState.SLEEP_GRACE)
"""The states in which work is let in, unless destruction was requested."""

# Shared by all actors: a stampede on many actors is one event of the process, and is logged as such.
_REJECTIONS = Allowance()
_PARKED = Allowance()


class RefusingOwner(Protocol):
    """What refusals depend on."""

    @property
    def log(self) -> Any:
        """Where they are noted."""
        ...

    @property
    def state_name(self) -> LifecycleState:
        """Where the generation is in its life."""
        ...

    @property
    def destroy_requested(self) -> bool:
        """Whether the actor asked for its own end."""
        ...

    @property
    def stop_reason(self) -> StopReason | None:
        """Why it stops, None as long as it does not."""
        ...


class Refusals:
    """Says why not, and notes it, rate-limited."""

    def __init__(self, owner: RefusingOwner) -> None:
        self._owner = owner
        self._rejections = LimitedLog(owner.log, "work sent to stopping actor instance", _REJECTIONS)
        self._parked = LimitedLog(owner.log, "actor dispatch may be parked behind the current instance", _PARKED)

    def error(self) -> ActorError:
        """For who comes while nothing is accepted: actor.starting, actor.stopping or actor.destroying (TASK-022)."""
        state = self._owner.state_name
        if self._owner.destroy_requested and state is not LifecycleState.TERMINATED:
            self._rejections.report(state=str(state))
            return make_refusal("actor.destroying")
        if state is LifecycleState.LOADING:
            self._parked.report(state=str(state))
            return make_refusal("actor.starting")
        self._rejections.report(state=str(state))
        if state in (LifecycleState.SLEEP_FINALIZE, LifecycleState.DESTROY_GRACE):
            return make_refusal("actor.stopping")
        # A generation that went to sleep is over, its actor is not: the caller may try the next one.
        reason = self._owner.stop_reason
        return make_refusal("actor.stopping" if reason is not None and reason.kind is StopKind.SLEEP else "actor.destroying")

    def of_admitted(self) -> str:
        """The name of the error for who was let in and not served."""
        reason = self._owner.stop_reason
        return "actor.destroying" if reason is not None and reason.kind is StopKind.DESTROY else "actor.stopping"
