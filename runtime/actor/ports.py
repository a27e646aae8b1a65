"""The seams around one live actor: what it asks of its host, and how the host identifies it.

A host is the only thing that differs between "one process" and "a cluster"; `ActorTask` knows it by `HostPort` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from runtime.protocol.keys import serialize_key
from runtime.protocol.messages import ActorSpecifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client import Client
    from runtime.actor.connections.raw.close_ack import CloseLedger
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.metrics.registry import Metrics


class StopReason(StrEnum):
    """Why the control plane orders a generation to stop (STOP-001)."""

    SLEEP_INTENT = "sleep_intent"
    GOING_AWAY = "going_away"
    LOST = "lost"
    STOP_INTENT = "stop_intent"
    DESTROY = "destroy"

    @property
    def kind(self) -> StopKind:
        """The local kind of the stop: which cleanup hook runs."""
        # Only two reasons are final; `LOST` and `GOING_AWAY` are other hosts' turn, so the actor must be left able to go on.
        return StopKind.DESTROY if self in (StopReason.STOP_INTENT, StopReason.DESTROY) else StopKind.SLEEP


class StopKind(StrEnum):
    """Which cleanup hook a stop runs."""

    SLEEP = "sleep"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True)
class ActorIdentity:
    """Who a generation is. `input` is the decoded creation input or `UNDEFINED`."""

    actor_id: str
    name: str
    key: tuple[str, ...] | None
    namespace: str
    generation: int
    input: Any
    region: str = "default"

    @property
    def specifier(self) -> ActorSpecifier:
        """The `actor` member of errors and responses (WIRE-163)."""
        return ActorSpecifier(self.actor_id, self.generation, serialize_key(self.key) if self.key else "")


class HostSettings(Protocol):
    """What of a host's options an actor reads. Sizes are bytes, durations seconds."""

    @property
    def max_incoming_message_size(self) -> int:
        """Longest message a client may send (WIRE-980)."""
        ...

    @property
    def max_outgoing_message_size(self) -> int:
        """Longest message a client may be sent (WIRE-980)."""
        ...

    @property
    def grace_period_override(self) -> float | None:
        """Upper bound of every actor's graceful window, None without one (SLEEP-061)."""
        ...

    @property
    def fixed_inspector_token(self) -> str | None:
        """The one token of all actors, None when each has its own (INSP-017)."""
        ...

    @property
    def answers_probes(self) -> bool:
        """Whether hibernating raw sockets answer the acknowledgement probe of tests (WIRE-632)."""
        ...


# Intents return nothing and never fail: an actor that asks from within a hook could do nothing about a refusal.
class HostPort(Protocol):
    """What one actor asks of its host. The sync methods are fire-and-forget intents and never raise or block."""

    @property
    def options(self) -> HostSettings:
        """What the host decides for its actors."""
        ...

    @property
    def metrics(self) -> Metrics:
        """The figures of this process."""
        ...

    @property
    def close_acks(self) -> CloseLedger:
        """Where close acknowledgements of this host's actors go (RAWWS-062)."""
        ...

    def request_sleep(self, actor_id: str, generation: int) -> None:
        """Sleep intent: order a stop with SLEEP_INTENT later (SLEEP-020)."""

    def request_destroy(self, actor_id: str, generation: int) -> None:
        """Stop intent: order a stop with STOP_INTENT later (DESTROY-002)."""

    async def set_alarm(self, actor_id: str, generation: int, at_ms: int | None) -> None:
        """Replace the one alarm of the actor, durably; None clears it, an older generation changes nothing (TASK-240)."""

    def client(self, actor_id: str) -> Client:
        """A shared client to this host's gateway in the namespace and pool of the actor, for actor-to-actor calls."""
        ...

    def open_sockets(self, actor_id: str) -> Sequence[ActorSocket]:
        """Client sockets of the actor that are hibernating at this host (HIB-051)."""
        ...
