"""What an actor may ask of its host: to be put to sleep, to be destroyed (SLEEP-020..023, DESTROY-002, DESTROY-003).

An intent is a wish, the stop is an order of the host that comes later: only the host knows whether the actor is being moved or destroyed
already, and one order at a time is what makes a stop simple. Until the order comes the actor works on as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.errors import make_error

if TYPE_CHECKING:
    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.ports import ActorIdentity, StopReason
    from runtime.actor.state.actor_state import ActorState

_DESTROYED = (LifecycleState.DESTROY_GRACE, LifecycleState.DESTROYING, LifecycleState.TERMINATED)


class IntentHost(Protocol):
    """The host, as an intent sees it. Both methods return at once and never raise."""

    def request_sleep(self, actor_id: str, generation: int) -> None:
        """Order a stop for sleep later."""

    def request_destroy(self, actor_id: str, generation: int) -> None:
        """Order a stop for destruction later."""


class IntentOwner(Protocol):
    """What an intent asks of its actor.

    Attributes:
        sleep_requested: Whether sleep was asked for; set here.
        destroy_requested: Whether destruction was asked for; set here.
    """

    sleep_requested: bool
    destroy_requested: bool

    @property
    def state_name(self) -> LifecycleState:
        """Where the generation is in its life."""
        ...

    @property
    def stop_reason(self) -> StopReason | None:
        """Why it stops, None as long as it does not."""
        ...

    @property
    def identity(self) -> ActorIdentity:
        """Who asks."""
        ...

    @property
    def host(self) -> IntentHost:
        """Who is asked."""
        ...

    @property
    def state(self) -> ActorState:
        """Flushed before, so that its hook still runs in a living actor."""
        ...

    @property
    def work(self) -> WorkTracker:
        """Sending an intent is work of a kind of its own (METRIC-021)."""
        ...


def request_sleep(owner: IntentOwner) -> None:
    """Ask for sleep; a repetition does nothing (SLEEP-021).

    Raises:
        ActorError: actor.stopping during a destroy and after grace (SLEEP-022, SLEEP-023).
    """
    if owner.state_name in (*_DESTROYED, LifecycleState.SLEEP_FINALIZE):
        raise make_error("actor.stopping")
    if owner.sleep_requested or owner.destroy_requested or owner.stop_reason is not None:
        return
    owner.state.flush_quietly()
    owner.sleep_requested = True
    with owner.work.region(WorkKind.SLEEP_FINALIZE):
        owner.host.request_sleep(owner.identity.actor_id, owner.identity.generation)


def request_destroy(owner: IntentOwner) -> None:
    """Ask for destruction, also after a sleep request and in sleep grace (DESTROY-005).

    Raises:
        ActorError: actor.stopping the second time (DESTROY-003).
    """
    if owner.destroy_requested or owner.state_name in _DESTROYED:
        raise make_error("actor.stopping")
    owner.state.flush_quietly()
    # From here on newcomers are refused (TASK-023), although the order to stop is yet to come.
    owner.destroy_requested = True
    with owner.work.region(WorkKind.DESTROY_REQUEST):
        owner.host.request_destroy(owner.identity.actor_id, owner.identity.generation)
