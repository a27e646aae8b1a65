"""The messages of connections and HTTP bodies (WIRE section 7.1), as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from client import UNDEFINED


@dataclass(frozen=True, slots=True)
class ActorSpecifier:
    """The actor an error comes from; `key` is the serialized key."""

    actor_id: str
    generation: int
    key: str | None = None


@dataclass(frozen=True, slots=True)
class WireError:
    """A structured error; `metadata` is `UNDEFINED` when there is none."""

    group: str
    code: str
    message: str
    metadata: Any = UNDEFINED
    actor: ActorSpecifier | None = None


@dataclass(frozen=True, slots=True)
class Init:
    """The connection is accepted."""

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
    """One event with its arguments."""

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
    """Subscribe to an event, or stop."""

    event_name: str
    subscribe: bool


@dataclass(frozen=True, slots=True)
class QueueSend:
    """A queue message; `timeout_ms` in milliseconds, None when not given."""

    body: Any
    wait: bool = False
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class QueueResult:
    """The answer to a queue send; `response` is `UNDEFINED` when there is none."""

    status: str
    response: Any = UNDEFINED


ToClient = Init | ErrorFrame | ActionResponse | Event
ToServer = ActionRequest | SubscriptionRequest
