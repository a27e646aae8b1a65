"""Requests of clients and what answers them, as they travel through the engine (ENGINE section 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.hosting.engine.protocol.types import BOOL, DATA, ID, STR, U16, mapping, optional, record, union

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MessageId:
    """Which request of which gateway a message belongs to, and its number there (16 bits, wrapping)."""

    gateway_id: bytes
    request_id: bytes
    index: int

    @property
    def key(self) -> tuple[bytes, bytes]:
        """The request, whatever the number."""
        return self.gateway_id, self.request_id


# From the engine.


@dataclass(frozen=True, slots=True)
class RequestStart:
    """An HTTP request; with `stream` its body follows in chunks (ENGINE-110)."""

    actor_id: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    stream: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """More of a body; `finish` with the last. The same in both directions."""

    body: bytes
    finish: bool


@dataclass(frozen=True, slots=True)
class Abort:
    """The client gave up (from the engine), or the request is to be sent to the next generation (to the engine)."""


@dataclass(frozen=True, slots=True)
class SocketOpen:
    """A WebSocket of a client."""

    actor_id: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SocketMessage:
    """One message, text as UTF-8. The same in both directions."""

    data: bytes
    binary: bool


@dataclass(frozen=True, slots=True)
class ClientClose:
    """The client closed, or was lost."""

    code: int | None
    reason: str | None


# To the engine.


@dataclass(frozen=True, slots=True)
class ResponseStart:
    """The answer to a request; with `stream` its body follows in chunks."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class SocketOpened:
    """The WebSocket is taken."""

    can_hibernate: bool


@dataclass(frozen=True, slots=True)
class SocketAck:
    """Messages of a hibernatable WebSocket up to this number need not be sent again."""

    index: int


@dataclass(frozen=True, slots=True)
class SocketClose:
    """Close towards the client; with `hibernate` the gateway keeps it for the next generation."""

    code: int | None
    reason: str | None
    hibernate: bool = False


FromClient = RequestStart | Chunk | Abort | SocketOpen | SocketMessage | ClientClose
ToClient = ResponseStart | Chunk | Abort | SocketOpened | SocketMessage | SocketAck | SocketClose


@dataclass(frozen=True, slots=True)
class TunnelMessage:
    """One message of one request."""

    message_id: MessageId
    kind: FromClient | ToClient


MESSAGE_ID = record(MessageId, gateway_id=ID, request_id=ID, index=U16)
_CHUNK = record(Chunk, body=DATA, finish=BOOL)
_MESSAGE = record(SocketMessage, data=DATA, binary=BOOL)
_HEADERS = mapping(STR)
FROM_CLIENT = union(
    (0, RequestStart, record(
        RequestStart, actor_id=STR, method=STR, path=STR, headers=_HEADERS, body=optional(DATA), stream=BOOL)),
    (1, Chunk, _CHUNK),
    (2, Abort, record(Abort)),
    (3, SocketOpen, record(SocketOpen, actor_id=STR, path=STR, headers=_HEADERS)),
    (4, SocketMessage, _MESSAGE),
    (5, ClientClose, record(ClientClose, code=optional(U16), reason=optional(STR))),
)  # fmt: skip
TO_CLIENT = union(
    (0, ResponseStart, record(ResponseStart, status=U16, headers=_HEADERS, body=optional(DATA), stream=BOOL)),
    (1, Chunk, _CHUNK),
    (2, Abort, record(Abort)),
    (3, SocketOpened, record(SocketOpened, can_hibernate=BOOL)),
    (4, SocketMessage, _MESSAGE),
    (5, SocketAck, record(SocketAck, index=U16)),
    (6, SocketClose, record(SocketClose, code=optional(U16), reason=optional(STR), hibernate=BOOL)),
)
