"""A transport that lets the last answer through when it is closed before the client has sent everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio


class _Owner(Protocol):
    @property
    def unread(self) -> bool:
        """Whether bytes that nobody will look at may be on their way."""
        ...

    def linger(self) -> None:
        """End the connection gently."""


class LingeringTransport:
    """What uvicorn's HTTP protocols get for their transport.

    Closing a socket with unread bytes resets the connection, and a reset may overtake the answer before it. So while a body is still
    arriving, `close` only ends the sending half; the owner drops what comes until the client has seen the end.
    """

    __slots__ = ("_ended", "owner", "raw", "write")

    def __init__(self, raw: asyncio.Transport, owner: _Owner) -> None:
        self.raw = raw
        # Bound once: it is what is called for every answer.
        self.write = raw.write
        self.owner: _Owner | None = owner
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._ended or self.raw.is_closing()

    def close(self) -> None:
        """Close, gently if bytes may be on their way."""
        # What was ended is closed by its owner, in time.
        if self._ended or self.raw.is_closing():
            return
        if self.owner is not None and self.owner.unread:
            self.owner.linger()
        else:
            self.raw.close()

    def end(self) -> None:
        """End the sending half."""
        self._ended = True
        if not self.raw.is_closing() and self.raw.can_write_eof():
            self.raw.write_eof()
