"""Raw WebSockets: what `on_web_socket(c, socket)` gets.

    def on_web_socket(self, c, socket):
        @socket.on("message")
        async def echo(event):
            socket.send(event.data)

        socket.on("close", lambda event: c.log.info("gone", code=event.code))

Listeners are plain or async functions of one event, any number per kind, called in the order of registration; the properties
`on_message`, `on_close` and `on_error` hold one more each, called last. Messages that arrive before the handler has ended or has
registered a message listener wait for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.raw.close_ack import CloseAck

EventKind = Literal["message", "close", "error"]
AnyListener = TypeVar("AnyListener", bound="Callable[[Any], Any]")
# Codes that say how a connection ended without a close frame, or that RFC 6455 keeps for later: no frame may carry them.
_RESERVED_CODES = frozenset({1004, 1005, 1006, 1015})


class ReadyState(IntEnum):
    """The states of a socket, numbered like in browsers (RAWWS-006, RAWWS-040)."""

    # No CONNECTING (0) and no CLOSING (2): the handler gets an open socket, and a close is over for it at once (RAWWS-051).
    OPEN = 1
    CLOSED = 3


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """One client message: `str` for a text frame, `bytes` for a binary one; `index` is its `rivetMessageIndex` (RAWWS-039)."""

    data: str | bytes
    index: int
    type: ClassVar[str] = "message"


@dataclass(frozen=True, slots=True)
class CloseEvent:
    """The socket is closed."""

    code: int
    reason: str
    type: ClassVar[str] = "close"

    @property
    def was_clean(self) -> bool:
        """Whether the code is 1000 (RAWWS-040)."""
        return self.code == 1000


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """The transport broke; a close event follows."""

    message: str
    type: ClassVar[str] = "error"


class SocketEnd(Protocol):
    """What a socket of user code stands on: the actor's end of the client's socket."""

    @property
    def closed(self) -> bool:
        """Whether either side closed it."""
        ...

    def listener_added(self) -> None:
        """There is a message listener now."""

    def send(self, data: str | bytes) -> None:
        """Queue one message to the client."""

    def close(self, code: int, reason: str) -> None:
        """Close on behalf of user code."""

    async def wait_closed(self) -> CloseAck:
        """The acknowledgement of the close cycle."""
        ...


class RawSocket:
    """One raw WebSocket in one generation. A hibernatable one gets a new object after each wake, with the same `conn`.

    Attributes:
        conn: The connection of the socket.
        protocol: Always empty; what the client offered is in the request header (RAWWS-004).
        on_message, on_close, on_error: One listener each, called after the registered ones (RAWWS-023).
    """

    protocol: ClassVar[str] = ""

    def __init__(self, end: SocketEnd, conn: Conn) -> None:
        self.conn = conn
        self._end = end
        self._listeners: dict[str, list[Callable[[Any], Any]]] = {"message": [], "close": [], "error": []}
        self._on_message: Callable[[MessageEvent], Any] | None = None
        self.on_close: Callable[[CloseEvent], Any] | None = None
        self.on_error: Callable[[ErrorEvent], Any] | None = None

    @property
    def ready_state(self) -> ReadyState:
        """`OPEN` until either side closes, then `CLOSED`."""
        return ReadyState.CLOSED if self._end.closed else ReadyState.OPEN

    @property
    def on_message(self) -> Callable[[MessageEvent], Any] | None:
        """The message listener that is called last."""
        return self._on_message

    # A property unlike its two siblings: setting it releases held messages (RAWWS-005).
    @on_message.setter
    def on_message(self, listener: Callable[[MessageEvent], Any] | None) -> None:
        self._on_message = listener
        if listener is not None:
            self._end.listener_added()

    @overload
    def on(self, kind: EventKind, listener: None = None) -> Callable[[AnyListener], AnyListener]: ...
    @overload
    def on(self, kind: EventKind, listener: AnyListener) -> AnyListener: ...
    def on(self, kind: EventKind, listener: Any = None) -> Any:
        """Add a listener, as a call or as a decorator; returns the listener.

        Raises:
            ValueError: `kind` is none of `message`, `close`, `error`.
        """
        if kind not in self._listeners:
            raise ValueError(f"a socket has no {kind!r} event: use message, close or error")
        if listener is None:
            return lambda function: self.on(kind, function)
        self._listeners[kind].append(listener)
        if kind == "message":
            self._end.listener_added()
        return listener

    def off(self, kind: EventKind, listener: Callable[[Any], Any]) -> None:
        """Remove a listener; an event that is being delivered still reaches it. Unknown listeners are ignored."""
        if listener in self._listeners.get(kind, ()):
            self._listeners[kind].remove(listener)

    def listeners(self, kind: EventKind) -> tuple[Callable[[Any], Any], ...]:
        """Who would be called now, in order."""
        # A copy: a listener that is removed during a delivery is still called for that event (RAWWS-023).
        last = {"message": self._on_message, "close": self.on_close, "error": self.on_error}[kind]
        return (*self._listeners[kind], last) if last is not None else tuple(self._listeners[kind])

    def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Queue one message to the client, text or binary; logged and dropped after a close (RAWWS-027).

        Raises:
            TypeError: `data` is neither text nor bytes.
        """
        # A copy of what the caller may change before the transport gets to it.
        if isinstance(data, (bytearray, memoryview)):
            data = bytes(data)
        if not isinstance(data, (str, bytes)):
            raise TypeError(f"a socket sends str or bytes, not {type(data).__name__}")
        self._end.send(data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket; the client sees exactly `code` and `reason`. A second call does nothing (RAWWS-028).

        Raises:
            ValueError: The code may not be sent, or the reason is longer than 123 bytes.
        """
        if not 1000 <= code <= 4999 or code in _RESERVED_CODES:
            raise ValueError(f"{code} is not a close code that may be sent")
        # A control frame carries 125 bytes, two of which are the code. Cut, the client would not see exactly this reason (RAWWS-028).
        if len(reason.encode()) > 123:
            raise ValueError("a close reason has at most 123 bytes")
        self._end.close(code, reason)

    async def closed(self) -> CloseAck:
        """Wait until the close cycle of this socket has ended: close listeners and `on_disconnect` are done (RAWWS-062).

        Awaiting it inside `on_web_socket` or a listener makes the cycle wait for itself at the end of the actor; await it elsewhere.
        """
        return await self._end.wait_closed()
