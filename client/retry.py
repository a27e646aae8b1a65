"""Which failures are retried, how often and after how long (WIRE section 11.3)."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from client.configuration_error import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.errors import ActorError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays in seconds and numbers of attempts. The defaults are the protocol's.

    Delays that grow are each shortened by a random share of up to `jitter` (WIRE-965): clients that lost the same server do not come
    back all at once; the same `seed` gives the same delays.
    """

    # Named after the two loops of section 11.3: the outer one repeats a call, the inner one looks for the actor.
    outer_delays: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2)
    inner_delay: float = 0.1
    attempts_get_or_create: int = 60
    attempts_get: int = 24
    reconnect_first: float = 0.25
    reconnect_max: float = 30.0
    metadata_first: float = 0.5
    metadata_max: float = 15.0
    destroy_poll: float = 0.025
    destroy_wait: float = 1.0
    jitter: float = 0.5
    seed: int | None = None
    _chance: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` for a share below 0 or above 1."""
        if not 0 <= self.jitter <= 1:
            raise ConfigurationError(f"the jitter is {self.jitter!r}: it is a share from 0 to 1")
        object.__setattr__(self, "_chance", random.Random(self.seed))  # noqa: S311 - keeps apart, hides nothing

    def spread(self, delay: float) -> float:
        """The delay, shortened by chance."""
        return delay * (1 - self.jitter * self._chance.random()) if self.jitter else delay

    def outer(self) -> Iterator[float]:
        """Delays of the outer loop (section 11.3)."""
        return map(self.spread, self.outer_delays)

    def metadata_delays(self) -> Iterator[float]:
        """Delays between lookups, without end (WIRE-902)."""
        return map(self.spread, doubling(self.metadata_first, self.metadata_max))

    def reconnect_delays(self, *, at_once: bool = True) -> Iterator[float]:
        """Immediately, then doubling without end (WIRE-958); `at_once=False` leaves out the immediate attempt."""
        if at_once:
            yield 0.0
        yield from map(self.spread, doubling(self.reconnect_first, self.reconnect_max))


def doubling(first: float, most: float) -> Iterator[float]:
    """`first`, twice that and so on, never over `most`, without end."""
    delay = first
    while True:
        yield delay
        delay = min(delay * 2, most)


class RetryClass(Enum):
    """What the outer loop does with an error."""

    REQUEST = "request"
    RECONNECT = "reconnect"
    NEVER = "never"


_REQUEST = frozenset({
    "actor.restarting", "guard.service_unavailable", "guard.actor_wake_retries_exceeded", "guard.actor_stopped_while_waiting",
    "guard.tunnel_request_aborted", "guard.tunnel_message_timeout", "guard.tunnel_response_closed",
    "guard.gateway_response_start_timeout",
})  # fmt: skip
_RECONNECT = frozenset({"actor.stopped", "ws.going_away"})
_STALE = frozenset({"not_found", "starting", "stopping", "not_configured", "dropped_reply", "destroying"})
# Servers from before the structured errors tell the same by their texts only.
_LEGACY_ERRORS = {
    "actor.internal_error": "Actor is stopping",
    "actor.stopping": "Actor stopping: Cannot accept new connections while actor is stopping",
}
_LEGACY_REQUEST = re.compile(r"Actor [A-Za-z0-9-]+ stopped")
_LEGACY_RECONNECT = frozenset({"WebSocket connection closed during shutdown", "envoy shut down", "envoy shutting down"})


def classify(error: ActorError) -> RetryClass:
    """The class of a structured error in the table of section 11.3."""
    # Whatever its code: a program that uses a database after its actor ended will do so again.
    if "database accessed after actor stopped" in error.message.lower():
        return RetryClass.NEVER
    if error.name in _REQUEST or _LEGACY_ERRORS.get(error.name) == error.message:
        return RetryClass.REQUEST
    # What nobody listed is not retried: a call that ran and then failed would run twice.
    return RetryClass.RECONNECT if error.name in _RECONNECT else RetryClass.NEVER


def classify_text(text: str) -> RetryClass:
    """The class of a failure that is no structured error: the body of a response or the reason of a close."""
    if _LEGACY_REQUEST.fullmatch(text):
        return RetryClass.REQUEST
    return RetryClass.RECONNECT if text in _LEGACY_RECONNECT else RetryClass.NEVER


def is_stale(error: ActorError) -> bool:
    """Whether a cached actor id may be outdated (WIRE-930)."""
    return error.group == "actor" and (error.code in _STALE or error.code.startswith("destroyed_"))


def is_start_failure(error: ActorError) -> bool:
    """Whether the actor could not be started; the reason is on its record (WIRE-932)."""
    return error.name in ("guard.actor_ready_timeout", "guard.actor_runner_failed")


def is_queue_overload(error: ActorError) -> bool:
    """Whether a queue send met a full dispatch inbox (WIRE-931)."""
    metadata = error.metadata if isinstance(error.metadata, dict) else {}
    return (
        error.name == "actor.overloaded"
        and metadata.get("channel") == "dispatch_inbox"
        and metadata.get("operation") == "dispatch_queue_send"
    )
