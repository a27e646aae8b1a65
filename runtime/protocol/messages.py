"""The messages of the connection protocol and of HTTP bodies, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.protocol.values import UNDEFINED


# Plain values without methods: the same message has three encodings in two directions, and none of them is more its own than another.
@dataclass(frozen=True, slots=True)
class ActorSpecifier:
    """The actor an error comes from; `key` is the serialized key, empty for the empty one."""

    actor_id: str
    generation: int
    key: str | None = None


@dataclass(frozen=True, slots=True)
class WireError:
    """A structured error as it travels."""

    group: str
    code: str
    message: str
    metadata: Any = UNDEFINED
    actor: ActorSpecifier | None = None


@dataclass(frozen=True, slots=True)
class Init:
    """First frame of a connection."""

    actor_id: str
    connection_id: str


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """An error of one action, or of the connection when `action_id` is None."""

    error: WireError
    action_id: int | None


@dataclass(frozen=True, slots=True)
class ActionResponse:
    """The result of one action."""

    id: int
    output: Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event with its positional arguments."""

    name: str
    args: list[Any]


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """One action call."""

    id: int
    name: str
    args: list[Any]


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """Subscribe to or unsubscribe from an event."""

    event_name: str
    subscribe: bool


@dataclass(frozen=True, slots=True)
class QueueSend:
    """Body of a queue send; `timeout_ms` in milliseconds, None when not given."""

    body: Any
    wait: bool = False
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class QueueResult:
    """Answer to a queue send; `status` is `completed` or `timedOut`."""

    status: str
    # Not None: a completion of null is a response (WIRE-335).
    response: Any = UNDEFINED


ToClient = Init | ErrorFrame | ActionResponse | Event
ToServer = ActionRequest | SubscriptionRequest
