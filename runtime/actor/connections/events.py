"""Events from the actor to its connections: subscriptions, validation, encoding once per encoding.

Why subscribers are kept by event and not only by connection: a broadcast is the hot path and must not look at connections that do not
listen; ending a connection walks its own few names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.connections.sockets import byte_size
from runtime.protocol.connection_frames import encode_to_client
from runtime.protocol.messages import Event
from runtime.protocol.storable import check_storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.declaration.events import EventSpec
    from runtime.protocol.encodings import Encoding


class EventLink(Protocol):
    """The way to one client, as far as events are concerned."""

    @property
    def encoding(self) -> Encoding | None:
        """The encoding of events; None when the kind carries none."""
        ...

    def send_events(self, frames: EventFrames) -> None:
        """Queue one event; never raises."""


class Subscriber(Protocol):
    """A connection, as far as events are concerned."""

    @property
    def id(self) -> str:
        """Unique among the connections of the actor."""
        ...

    @property
    def link(self) -> EventLink | None:
        """The way to the client; None where there is none."""
        ...

    @property
    def removed(self) -> bool:
        """Whether the connection has ended."""
        ...

    @property
    def subscriptions(self) -> set[str]:
        """The events that it subscribed to; kept here, written with its record (EVENT-017)."""
        ...


class EventFrames:
    """The frames of one event, made on first use per encoding.

    Args:
        name: The event.
        args: Its payload, already validated.
        limit: The largest frame in bytes that may be sent.
    """

    __slots__ = ("_frames", "_limit", "_message")

    def __init__(self, name: str, args: list[Any], limit: int) -> None:
        self._message = Event(name, args)
        self._limit = limit
        self._frames: dict[Encoding, str | bytes | None] = {}

    def encode(self, encoding: Encoding) -> str | bytes | None:
        """The frame, or None when it is over the limit.

        Raises:
            ValueError: The payload has a value that cannot be encoded.
        """
        if encoding in self._frames:
            return self._frames[encoding]
        frame = encode_to_client(self._message, encoding)
        # Being too long is remembered as well: it holds for every receiver of that encoding.
        allowed = self._frames[encoding] = frame if byte_size(frame) <= self._limit else None
        return allowed


class EventHub:
    """Who is subscribed to what, and the way to them. Implements EVENT-001..012, EVENT-020, EVENT-021."""

    def __init__(self, declared: Mapping[str, EventSpec], limit: int) -> None:
        self._declared = declared
        self._limit = limit
        self._subscribers: dict[str, dict[str, Subscriber]] = {}

    def subscribe(self, conn: Subscriber, name: str) -> bool:
        """Add a subscription; False when it existed."""
        if name in conn.subscriptions:
            return False
        conn.subscriptions.add(name)
        self._subscribers.setdefault(name, {})[conn.id] = conn
        return True

    def unsubscribe(self, conn: Subscriber, name: str) -> bool:
        """Remove a subscription; False when there was none (WIRE-524)."""
        if name not in conn.subscriptions:
            return False
        conn.subscriptions.discard(name)
        subscribers = self._subscribers[name]
        del subscribers[conn.id]
        # Names are the clients' to choose: empty entries would stay for ever.
        if not subscribers:
            del self._subscribers[name]
        return True

    def clear(self, conn: Subscriber) -> None:
        """Remove every subscription of a connection that ended (EVENT-016)."""
        for name in tuple(conn.subscriptions):
            self.unsubscribe(conn, name)

    def broadcast(self, name: str, args: Sequence[Any]) -> None:
        """Send to every subscribed connection.

        Raises:
            ActorError: `actor.validation_error` when the declared schema refuses the payload.
            Unstorable: The payload cannot be sent; nobody got anything.
        """
        args = self._validated(name, args)
        subscribers = self._subscribers.get(name)
        if subscribers:
            # A copy: a frame over the limit ends its connection, which then leaves this very dict.
            self._deliver(name, args, tuple(subscribers.values()))

    def send(self, conn: Subscriber, name: str, args: Sequence[Any]) -> None:
        """Send to one connection, subscribed or not; raises like `broadcast`."""
        self._deliver(name, self._validated(name, args), (conn,))

    def _deliver(self, name: str, args: Sequence[Any], conns: Sequence[Subscriber]) -> None:
        frames = EventFrames(name, list(args), self._limit)
        links = [conn.link for conn in conns if conn.link is not None and not conn.removed]
        # A payload that cannot be encoded has to fail before anybody got it.
        for link in links:
            if link.encoding is not None:
                frames.encode(link.encoding)
        for link in links:
            link.send_events(frames)

    def _validated(self, name: str, args: Sequence[Any]) -> Sequence[Any]:
        event = self._declared.get(name)
        if event is None or event.payload is None:
            return _sendable(name, args)
        # A schema describes the payload of a client: one value, as most events have, is not wrapped in a list for it (EVENT-020).
        single = len(args) <= 1
        payload = (args[0] if args else None) if single else list(args)
        value = event.payload.check(payload, f"Invalid event `{name}` payload")
        if not single:
            return _sendable(name, list(value))
        return _sendable(name, [value] if args else [])


def _sendable(name: str, args: Sequence[Any]) -> Sequence[Any]:
    """`args`, looked at whether anybody listens or not: what cannot be sent must not depend on who is there."""
    check_storable(name)
    for arg in args:
        check_storable(arg)
    return args
