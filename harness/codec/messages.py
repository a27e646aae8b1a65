"""What the messages say, as frozen values, and how they are made from the fields of the wire (`schema.py`) and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client import UNDEFINED
from harness.codec.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUSES = ("completed", "timedOut")


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


def error_made(found: Mapping[str, Any]) -> WireError:
    """An error of its fields."""
    actor = found.get("actor")
    specifier = None if actor is None else ActorSpecifier(actor["actorId"], actor["generation"], actor.get("key"))
    return WireError(found["group"], found["code"], found["message"], found.get("metadata", UNDEFINED), specifier)


def made(member: str, found: Mapping[str, Any]) -> ToClient | ToServer:
    """A message of a connection."""
    match member:
        case "Init":
            return Init(found["actorId"], found["connectionId"])
        case "Error":
            return ErrorFrame(error_made(found), found.get("actionId"))
        case "ActionResponse":
            return ActionResponse(found["id"], found["output"])
        case "Event":
            if not isinstance(found["args"], list):  # WIRE-420
                raise SchemaError("the arguments of an event are no list")
            return Event(found["name"], found["args"])
        case "ActionRequest":
            return ActionRequest(found["id"], found["name"], arguments(found))
        case _:
            return SubscriptionRequest(found["eventName"], found["subscribe"])


def arguments(found: Mapping[str, Any]) -> list[Any]:
    """The arguments of a request: a list is the list, nothing none, anything else one argument (WIRE-316)."""
    args = found.get("args")
    if isinstance(args, list):
        return args
    return [] if args in (None, UNDEFINED) else [args]


def queue_result(found: Mapping[str, Any]) -> QueueResult:
    """The outcome of a queue send."""
    if found["status"] not in STATUSES:
        raise SchemaError(f"the status of a queue send is one of {', '.join(STATUSES)}, not {found['status']!r}")
    return QueueResult(found["status"], found.get("response", UNDEFINED))


def fields_of(message: ToServer) -> tuple[str, dict[str, Any]]:
    """The struct of a message of a client, and its fields."""
    if isinstance(message, ActionRequest):
        return "ActionRequest", {"id": message.id, "name": message.name, "args": message.args}
    return "SubscriptionRequest", {"eventName": message.event_name, "subscribe": message.subscribe}
