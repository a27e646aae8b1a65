"""The messages of one envoy connection: each binary frame is exactly one (ENGINE-040, ENGINE-041).

Not here are the engine's key-value store, but for the one row that mirrors the inspector token, and its remote SQL: nothing is kept there
(ENGINE-167), and nothing unasked comes from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.hosting.engine.protocol import lives, pages, tunnel
from runtime.hosting.engine.protocol.types import DATA, I64, STR, U32, U64, Type, many, mapping, optional, record, union

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROTOCOL_VERSION = 6


# To the engine.


@dataclass(frozen=True, slots=True)
class ActorName:
    """What is said of a kind of actor: a JSON object."""

    metadata: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What this envoy hosts, and a JSON object about itself."""

    names: Mapping[str, ActorName] | None
    metadata: str | None


@dataclass(frozen=True, slots=True)
class Events:
    """Reports about generations."""

    events: Sequence[lives.Event]


@dataclass(frozen=True, slots=True)
class AckCommands:
    """The last command of each generation that was carried out."""

    checkpoints: Sequence[lives.Checkpoint]


@dataclass(frozen=True, slots=True)
class Stopping:
    """This envoy goes: move its actors."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping, with its time."""

    ts: int


@dataclass(frozen=True, slots=True)
class KvPut:
    """Write rows of the engine's key-value store."""

    keys: Sequence[bytes]
    values: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class KvRequest:
    """A request to the engine's key-value store."""

    actor_id: str
    request_id: int
    data: KvPut


@dataclass(frozen=True, slots=True)
class PagesRequest:
    """A read of pages."""

    request_id: int
    data: pages.GetPages


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """A commit of pages."""

    request_id: int
    data: pages.CommitPages


# From the engine.


@dataclass(frozen=True, slots=True)
class Init:
    """The first message of a connection: after how many milliseconds without one this envoy is lost, how long a stop may take, and how
    many bytes one message may carry.
    """

    envoy_lost_threshold: int
    actor_stop_threshold: int
    max_response_payload_size: int


@dataclass(frozen=True, slots=True)
class Commands:
    """Orders about generations."""

    commands: Sequence[lives.Command]


@dataclass(frozen=True, slots=True)
class AckEvents:
    """The last event of each generation that was stored."""

    checkpoints: Sequence[lives.Checkpoint]


@dataclass(frozen=True, slots=True)
class KvFailed:
    """The key-value store did not do it."""

    message: str


@dataclass(frozen=True, slots=True)
class KvWritten:
    """The rows are stored."""


@dataclass(frozen=True, slots=True)
class KvResponse:
    """The answer to a `KvRequest`."""

    request_id: int
    data: KvFailed | KvWritten


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered by a `Pong`; `ts` is the engine's time in milliseconds."""

    ts: int


@dataclass(frozen=True, slots=True)
class PagesResponse:
    """The answer to a `PagesRequest`."""

    request_id: int
    data: pages.PagesFound | pages.Refused


@dataclass(frozen=True, slots=True)
class CommitResponse:
    """The answer to a `CommitRequest`."""

    request_id: int
    data: pages.Committed | pages.Refused


ToRivet = Metadata | Events | AckCommands | Stopping | Pong | KvRequest | tunnel.TunnelMessage | PagesRequest | CommitRequest
ToEnvoy = Init | Commands | AckEvents | KvResponse | tunnel.TunnelMessage | Ping | PagesResponse | CommitResponse

TO_RIVET: Type[ToRivet] = union(
    (0, Metadata, record(Metadata, names=optional(mapping(record(ActorName, metadata=STR))), metadata=optional(STR))),
    (1, Events, record(Events, events=lives.EVENTS)),
    (2, AckCommands, record(AckCommands, checkpoints=lives.CHECKPOINTS)),
    (3, Stopping, record(Stopping)),
    (4, Pong, record(Pong, ts=I64)),
    (5, KvRequest, record(
        KvRequest, actor_id=STR, request_id=U32, data=union((2, KvPut, record(KvPut, keys=many(DATA), values=many(DATA)))))),
    (6, tunnel.TunnelMessage, record(tunnel.TunnelMessage, message_id=tunnel.MESSAGE_ID, kind=tunnel.TO_CLIENT)),
    (7, PagesRequest, record(PagesRequest, request_id=U32, data=pages.GET_PAGES)),
    (8, CommitRequest, record(CommitRequest, request_id=U32, data=pages.COMMIT_PAGES)),
)  # fmt: skip
TO_ENVOY: Type[ToEnvoy] = union(
    (0, Init, record(Init, envoy_lost_threshold=I64, actor_stop_threshold=I64, max_response_payload_size=U64)),
    (1, Commands, record(Commands, commands=lives.COMMANDS)),
    (2, AckEvents, record(AckEvents, checkpoints=lives.CHECKPOINTS)),
    (3, KvResponse, record(
        KvResponse, request_id=U32, data=union((0, KvFailed, record(KvFailed, message=STR)), (3, KvWritten, record(KvWritten))))),
    (4, tunnel.TunnelMessage, record(tunnel.TunnelMessage, message_id=tunnel.MESSAGE_ID, kind=tunnel.FROM_CLIENT)),
    (5, Ping, record(Ping, ts=I64)),
    (6, PagesResponse, record(PagesResponse, request_id=U32, data=pages.PAGES_ANSWER)),
    (7, CommitResponse, record(CommitResponse, request_id=U32, data=pages.COMMIT_ANSWER)),
)  # fmt: skip


def encode(message: ToRivet) -> bytes:
    """The frame of one message to the engine."""
    return TO_RIVET.encode(message)


def decode(frame: bytes) -> ToEnvoy:
    """The message that the engine sent.

    Raises:
        DecodeError: The frame is not exactly one message that this envoy understands.
    """
    return TO_ENVOY.decode(frame)
