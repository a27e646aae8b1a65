"""Orders about generations and what is reported of them (ENGINE sections 4.3, 6 and 7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from runtime.hosting.engine.protocol.types import DATA, I64, ID, STR, U32, enumeration, many, optional, record, union

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The place of a command, or of an event, among those of its generation (ENGINE-070)."""

    actor_id: str
    generation: int
    index: int

    @property
    def life(self) -> tuple[str, int]:
        """The generation: `(actor_id, generation)`."""
        return self.actor_id, self.generation


class Reason(Enum):
    """Why a generation is to stop, in the order of the wire (ENGINE-082)."""

    SLEEP_INTENT = "sleep_intent"
    STOP_INTENT = "stop_intent"
    DESTROY = "destroy"
    GOING_AWAY = "going_away"
    LOST = "lost"


class StopCode(Enum):
    """How a generation ended, in the order of the wire."""

    OK = "ok"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ParkedRequest:
    """A WebSocket that a gateway keeps for the generation that starts."""

    gateway_id: bytes
    request_id: bytes


@dataclass(frozen=True, slots=True)
class ActorConfig:
    """What an actor was created as; `create_ts` is when it was placed, in milliseconds."""

    name: str
    key: str | None
    create_ts: int
    input: bytes | None


@dataclass(frozen=True, slots=True)
class PreloadedRow:
    """A row of the engine's key-value store."""

    key: bytes
    value: bytes
    version: bytes
    update_ts: int


@dataclass(frozen=True, slots=True)
class PreloadedRows:
    """Rows that a serverless start brings along. This runtime keeps nothing there."""

    rows: Sequence[PreloadedRow]
    keys: Sequence[bytes]
    prefixes: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Start:
    """Start a generation."""

    config: ActorConfig
    parked: Sequence[ParkedRequest]
    preloaded: PreloadedRows | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a generation."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Command:
    """One order."""

    checkpoint: Checkpoint
    inner: Start | Stop


@dataclass(frozen=True, slots=True)
class SleepIntent:
    """The generation wants to be told to sleep."""


@dataclass(frozen=True, slots=True)
class StopIntent:
    """The generation wants to be destroyed."""


@dataclass(frozen=True, slots=True)
class Running:
    """The generation takes requests."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The generation is over; `message` says why when it failed."""

    code: StopCode
    message: str | None = None


@dataclass(frozen=True, slots=True)
class IntentEvent:
    """What a generation wants."""

    intent: SleepIntent | StopIntent


@dataclass(frozen=True, slots=True)
class StateEvent:
    """What became of a generation."""

    state: Running | Stopped


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """When the actor is to be woken, in milliseconds; None for never."""

    at_ms: int | None


Inner = IntentEvent | StateEvent | AlarmEvent


@dataclass(frozen=True, slots=True)
class Event:
    """One report."""

    checkpoint: Checkpoint
    inner: Inner


CHECKPOINT = record(Checkpoint, actor_id=STR, generation=U32, index=I64)
_CONFIG = record(ActorConfig, name=STR, key=optional(STR), create_ts=I64, input=optional(DATA))
_PARKED = record(ParkedRequest, gateway_id=ID, request_id=ID)

_ROW = record(PreloadedRow, key=DATA, value=DATA, version=DATA, update_ts=I64)
_ROWS = record(PreloadedRows, rows=many(_ROW), keys=many(DATA), prefixes=many(DATA))
_COMMAND = union(
    (0, Start, record(Start, config=_CONFIG, parked=many(_PARKED), preloaded=optional(_ROWS))),
    (1, Stop, record(Stop, reason=enumeration(Reason))),
)
_INTENT = union((0, SleepIntent, record(SleepIntent)), (1, StopIntent, record(StopIntent)))
_STATE = union(
    (0, Running, record(Running)),
    (1, Stopped, record(Stopped, code=enumeration(StopCode), message=optional(STR))),
)
_EVENT = union(
    (0, IntentEvent, record(IntentEvent, intent=_INTENT)),
    (1, StateEvent, record(StateEvent, state=_STATE)),
    (2, AlarmEvent, record(AlarmEvent, at_ms=optional(I64))),
)
COMMANDS = many(record(Command, checkpoint=CHECKPOINT, inner=_COMMAND))
EVENTS = many(record(Event, checkpoint=CHECKPOINT, inner=_EVENT))
CHECKPOINTS = many(CHECKPOINT)
