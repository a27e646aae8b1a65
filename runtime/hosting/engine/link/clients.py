"""Which requests of clients are open, and how one is ended that there is no room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.hosting.engine.protocol.tunnel import (
    Abort,
    Chunk,
    ClientClose,
    MessageId,
    RequestStart,
    ResponseStart,
    SocketAck,
    SocketClose,
    SocketMessage,
    SocketOpen,
    SocketOpened,
    TunnelMessage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.hosting.engine.protocol.lives import ParkedRequest

Key = tuple[bytes, bytes]
NO_ROOM = "envoy.backlog_full"
TOO_LONG = "message.outgoing_too_long"
UNWRITABLE = "core.internal_error"
_SOCKET_MESSAGES = (SocketOpen, SocketMessage, ClientClose, SocketOpened, SocketAck, SocketClose)
_INDEXES = 2**16
_FAILED = 1011
REMEMBERED = 10_000
"""Requests that were given up and may still be spoken of."""


class Client:
    """One request of a client.

    Attributes:
        key: Gateway and request.
        actor_id: Whose it is, if that is known.
        socket: Whether it is a WebSocket.
        plain: A WebSocket whose messages the gateway does not keep: closing it loses no more than the client knows to be lost.
        begun: Whether some of its answer was given to the socket.
    """

    __slots__ = ("actor_id", "begun", "key", "next_index", "plain", "socket")

    def __init__(self, key: Key, actor_id: str = "", *, socket: bool = False) -> None:
        self.key = key
        self.actor_id = actor_id
        self.socket = socket
        self.plain = False
        self.begun = False
        self.next_index = 0

    def end_for_gateway(self, reason: str) -> TunnelMessage:
        """What ends it towards the client."""
        message_id = MessageId(*self.key, self.next_index)
        if self.socket:
            return TunnelMessage(message_id, SocketClose(_FAILED, reason))
        if self.begun:
            return TunnelMessage(message_id, Abort())
        # No `Abort`: the gateway would ask again, seven times, for what will not fit then, either.
        status = 503 if reason == NO_ROOM else 500
        return TunnelMessage(message_id, ResponseStart(status, {"x-rivet-error": reason, "content-type": "text/plain"}, reason.encode()))

    def end_for_actor(self, reason: str) -> TunnelMessage:
        """What the actor hears: the client is gone."""
        message_id = MessageId(*self.key, 0)
        return TunnelMessage(message_id, ClientClose(_FAILED, reason) if self.socket else Abort())


class Clients:
    """Follows the open requests by what passes.

    They are known here, and not only in the tunnel, because what is to be left out when there is no room, and what a lost generation left
    behind, is decided where the messages wait: on the thread of the link, while the loop of the host may be blocked.
    """

    def __init__(self) -> None:
        self._open: dict[Key, Client] = {}
        self._of_actor: dict[str, set[Key]] = {}
        self._given_up: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, message: TunnelMessage) -> Client:
        """Whose message it is."""
        key = message.message_id.key
        client = self._open.get(key)
        return Client(key, socket=isinstance(message.kind, _SOCKET_MESSAGES)) if client is None else client

    def is_given_up(self, key: Key) -> bool:
        """Whether it was ended here, and what else is said of it goes nowhere."""
        return key in self._given_up

    def arrives(self, message: TunnelMessage) -> None:
        """Note a message from a client."""
        kind, key = message.kind, message.message_id.key
        if isinstance(kind, (RequestStart, SocketOpen)):
            # The gateway sends a request again under its number (ENGINE-102).
            self._given_up.pop(key, None)
            self._add(Client(key, kind.actor_id, socket=isinstance(kind, SocketOpen)))
        elif isinstance(kind, (Abort, ClientClose)):
            self._remove(key)

    def parked(self, actor_id: str, requests: Iterable[ParkedRequest]) -> None:
        """WebSockets that a generation takes over."""
        for request in requests:
            key = request.gateway_id, request.request_id
            self._given_up.pop(key, None)
            self._add(Client(key, actor_id, socket=True))

    def leaves(self, message: TunnelMessage, client: Client) -> None:
        """Note a message to a client."""
        kind = message.kind
        client.next_index = (message.message_id.index + 1) % _INDEXES
        if isinstance(kind, SocketOpened):
            client.plain = not kind.can_hibernate
        elif _is_end(kind):
            self._remove(client.key)

    def give_up(self, client: Client) -> None:
        """End one: what else comes of it is dropped, from both sides."""
        self._remove(client.key)
        self._given_up[client.key] = None
        if len(self._given_up) > REMEMBERED:
            del self._given_up[next(iter(self._given_up))]

    def forget(self, actor_id: str) -> None:
        """A generation of the actor is over: so are its requests."""
        for key in self._of_actor.pop(actor_id, ()):
            del self._open[key]

    def _add(self, client: Client) -> None:
        # A request that is sent again may go to another actor by then.
        self._remove(client.key)
        self._open[client.key] = client
        self._of_actor.setdefault(client.actor_id, set()).add(client.key)

    def _remove(self, key: Key) -> None:
        client = self._open.pop(key, None)
        if client is None:
            return
        keys = self._of_actor[client.actor_id]
        keys.discard(key)
        if not keys:
            del self._of_actor[client.actor_id]


def payload(message: TunnelMessage) -> int:
    """The bytes of a message that the engine limits (ENGINE-124)."""
    kind = message.kind
    if isinstance(kind, (RequestStart, ResponseStart)):
        return len(kind.body or b"")
    if isinstance(kind, Chunk):
        return len(kind.body)
    return len(kind.data) if isinstance(kind, SocketMessage) else 0


def _is_end(kind: object) -> bool:
    match kind:
        case ResponseStart():
            return not kind.stream
        case Chunk():
            return kind.finish
        case SocketClose():
            return not kind.hibernate
    return isinstance(kind, Abort)
