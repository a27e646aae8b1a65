"""The client's end of a connection: what an actor needs of a client WebSocket, whoever owns it.

Why a Protocol: a client socket outlives the generations it talks to, so its owner is the gateway and never the actor. In this process
that is `runtime.gateway.client_socket`; where another process keeps and numbers the messages, a thin relay offers the same members.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from runtime.protocol.subprotocols import entry_value

if TYPE_CHECKING:
    from runtime.errors import ActorError
    from runtime.http import Request

STOPPED_REASON = "actor.stopped"
"""With which clients are closed, by 1000, whose generation is over; they connect again on it."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A resolved WebSocket upgrade: what the gateway routing found out before it hands the socket over.

    Attributes:
        actor_id: The addressed actor, already resolved from a query if there was one.
        request: Method GET, `http://127.0.0.1` + gateway-stripped path and query, all upgrade headers (WIRE-508, RAWWS-002).
        protocols: The sub-protocol entries the client offered, in order, whitespace removed.
        ray_id: The ray id of the 101 response; appended to gateway close reasons (WIRE-262).
        skip_ready_wait: Whether the upgrade may reach a stopping generation (WIRE-230).
        headers: Extra headers of the 101 response (ray id, CORS).
    """

    actor_id: str
    request: Request
    protocols: tuple[str, ...]
    ray_id: str
    skip_ready_wait: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def protocol_value(self, prefix: str) -> str | None:
        """The rest of the first sub-protocol entry that starts with `prefix`."""
        return entry_value(self.protocols, prefix)


class SocketState(StrEnum):
    """Where a client socket is in its life (HIB section 3.3)."""

    # Before ACTIVE and in HIBERNATING nobody takes the messages; only HIBERNATING wakes an actor for them (HIB-021).
    OPENING = "opening"
    ACTIVE = "active"
    HIBERNATING = "hibernating"
    CLOSED = "closed"


class SocketSink(Protocol):
    """The actor's end of an active socket. Both methods are called on the loop and must not raise or block."""

    def on_message(self, index: int, data: str | bytes) -> None:
        """One client message with its wrapping 16-bit index."""

    def on_close(self, code: int, reason: str) -> None:
        """The client is gone; called at most once, and never after the sink closed the socket itself."""


class ActorSocket(Protocol):
    """One client WebSocket as the actor that it addresses sees it. No method raises or blocks."""

    @property
    def request(self) -> Request:
        """The request of the upgrade."""
        ...

    @property
    def upgrade(self) -> Upgrade:
        """The whole upgrade; after a wake it is read only after `restored`."""
        ...

    @property
    def gateway_id(self) -> bytes:
        """Four bytes that name the gateway which holds the socket."""
        ...

    @property
    def request_id(self) -> bytes:
        """Four bytes, unique among the sockets of that gateway."""
        ...

    @property
    def key(self) -> tuple[bytes, bytes]:
        """What a persisted connection record is matched by: gateway id and request id."""
        ...

    @property
    def closed(self) -> bool:
        """Whether either side closed it."""
        ...

    # Who keeps a socket for a generation in another process knows only its ids: request and sub-protocols come from the stored record.
    def restored(self, request: Request) -> None:
        """This socket belongs to a stored connection, whose upgrade was `request`; called before `upgrade` is read (HIB-051)."""

    def attach(self, sink: SocketSink, *, hibernatable: bool, watermark: int = 0) -> None:
        """Make the socket active: release what `watermark` covers, hand over the rest in order (HIB-037)."""

    def send(self, data: str | bytes) -> None:
        """Send one message to the client; nothing happens once closed."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close towards the client, behind everything sent before. The sink is not told: it asked for it."""

    def fail(self, error: ActorError) -> None:
        """Close with 1011 and `group.code#ray`; an attached sink is told (WIRE-262)."""

    # Called for a client that has a lot under way: it is then not read, so that what it sends next waits with it and not here.
    def hold(self) -> None:
        """Read no further until `resume`."""

    def resume(self) -> None:
        """Read on; nothing happens unless held."""

    def acknowledge(self, index: int) -> None:
        """Release every kept message up to `index` (wrapping, cumulative, HIB-035)."""

    def hibernate(self) -> None:
        """Detach from a generation whose final save is about to begin; what arrives from now on is for the next one."""

    def rest(self) -> None:
        """The generation is over: messages that it did not acknowledge wake the actor again at once (HIB-021)."""

    def pending_indexes(self) -> list[int]:
        """Received and not yet acknowledged indexes, oldest first (HIB-040)."""
        ...


def byte_size(data: str | bytes) -> int:
    """The payload size of a frame; text counts in UTF-8."""
    # Most text is ASCII, and `isascii` only reads a flag; encoding would copy the frame to learn its length.
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
