"""HTTP exchange with the ASGI server: reading bodies, sending replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from runtime.replies import Headers, RawHeaders, Reply

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

BODYLESS = frozenset({204, 304})
MOST_DIGITS = 15
HANG_UP = (b"connection", b"close")
"""Said with a refusal of a body: what is left of it would have to be read before the next request."""


CONNECTION = "runtime.connection"
"""Where in the state of a scope a server of ours puts the connection of a request."""


class Connection(Protocol):
    """What our own servers tell beyond ASGI, where a task per request would have to wait for `http.disconnect`."""

    on_loss: Callable[[], object] | None
    """Called once when the client is gone before it was answered."""

    @property
    def lost(self) -> bool:
        """Whether nothing can be sent any more."""
        ...

    def fail(self) -> None:
        """Answer 500, whatever became of the answer."""


def connection_of(scope: Scope) -> Connection | None:
    """The connection of a request; None with a server that does not tell."""
    state = scope.get("state")
    return None if state is None else state.get(CONNECTION)


class BodyTooLarge(Exception):
    """A request body exceeds the limit of its route."""


class ClientGone(Exception):
    """The client left before its request was complete."""


async def read_body(receive: Receive, headers: RawHeaders, limit: int) -> bytes:
    """The whole request body (WIRE-252). A length that is announced and too long is refused before anything is read, or asked for.

    Raises:
        BodyTooLarge: It is longer than `limit` bytes.
        ClientGone: The client disconnected first.
    """
    if announces_more(headers, limit):
        raise BodyTooLarge
    # Most bodies come in one message, and those are neither collected nor joined.
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientGone
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body"):
            # Looked at while it arrives: a body without end must not be collected first and refused then.
            if size > limit:
                raise BodyTooLarge
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if len(body) > limit:
        raise BodyTooLarge
    return bytes(body)


def announces_more(headers: RawHeaders, limit: int) -> bool:
    """Whether `content-length` says that the body is longer than `limit` bytes."""
    length = headers.get(b"content-length")
    # Lengths that no limit has are no numbers worth reading: those of thousands of digits cannot be.
    return length is not None and (len(length) > MOST_DIGITS or (length.isdigit() and int(length) > limit))


class Unsendable(Exception):
    """The server refuses to send the head of a reply."""


async def send_reply(send: Send, reply: Reply, extra: Headers = ()) -> None:
    """Send a reply with `extra` headers in one piece (WIRE-253).

    Raises:
        Unsendable: Nothing was sent.
    """
    headers = [*reply.headers, *extra]
    # A length would announce a body that these must not have.
    if reply.status not in BODYLESS:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    except Exception as error:
        raise Unsendable from error
    await send({"type": "http.response.body", "body": reply.body if reply.status not in BODYLESS else b""})
