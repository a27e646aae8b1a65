"""The seams inside the host: what its parts ask of the link to the engine, and what the link tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtime.errors import ActorError
    from runtime.hosting.engine.protocol.lives import Inner, Reason, Start
    from runtime.hosting.engine.protocol.messages import Init
    from runtime.hosting.engine.protocol.pages import CommitPages, Committed, GetPages, PagesFound, Refused
    from runtime.hosting.engine.protocol.tunnel import TunnelMessage

Life = tuple[str, int]
"""A generation: actor id and number."""


class LinkLostError(ConnectionError):
    """The connection went before the answer came: what was asked may have been done, or not."""


class TryAgainError(Exception):
    """Raised by the `Reach` of this host: the generation is on its way out, or the actor lived here lately. The gateway shall look again.

    Attributes:
        refusal: What a generation says that no other follows, for those whom nobody sends again: its actor is being destroyed.
    """

    def __init__(self, refusal: ActorError | None = None) -> None:
        super().__init__("another generation may answer")
        self.refusal = refusal


class RefusedError(Exception):
    """The engine did not do what was asked."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"{refused.group}.{refused.code}: {refused.message}")
        self.refused = refused


class PageLink(Protocol):
    """The pages of actors' databases at the engine. Called on threads of databases; each call blocks until it is answered."""

    def get_pages(self, wanted: GetPages) -> PagesFound:
        """Read pages. A broken connection is waited for and the read asked again, for at most 30 seconds.

        Raises:
            RefusedError: The engine has no such database, or the generation or the head is another.
            LinkLostError: There was no answer in time, or the generation was ordered to stop as lost.
        """
        ...

    def commit_pages(self, commit: CommitPages) -> Committed:
        """Write pages in one transaction. Never sent twice by the link.

        Raises:
            RefusedError: The engine did not do it.
            LinkLostError: It may have been done: ask for the head.
        """
        ...


class Link(Protocol):
    """The connection to the engine as parts of the host use it, on the loop of the host. None of the plain methods blocks or raises."""

    @property
    def limits(self) -> Init:
        """What the engine said last of its limits; its defaults before it said anything."""
        ...

    def event(self, life: Life, inner: Inner) -> None:
        """Report something of a generation; sent again after every init until the engine has stored it (ENGINE-093)."""

    def tunnel(self, message: TunnelMessage) -> None:
        """Send a message of a request; waits for a new connection where there is none, within bounds."""

    def stopping(self) -> None:
        """Ask the engine to move all actors of this process elsewhere (ENGINE-200)."""

    async def put(self, actor_id: str, key: bytes, value: bytes) -> None:
        """Write a row of the engine's key-value store: the mirror of the inspector token, nothing else (WIRE-111).

        Raises:
            LinkLostError: There was no answer in time.
            RefusedError: The engine did not do it.
        """


class LinkListener(Protocol):
    """Who hears from the link. Called on the loop of the host, one after another, in the order in which the engine said it."""

    def start(self, life: Life, start: Start) -> None:
        """Start a generation (ENGINE-080)."""

    def stop(self, life: Life, reason: Reason) -> None:
        """Stop a generation (ENGINE-083); for `LOST` its requests to the engine have failed already."""

    def tunnel(self, message: TunnelMessage) -> None:
        """A message of a client's request."""

    def lost(self) -> None:
        """There was no connection for so long that the engine gave all generations of this process away (ENGINE-059)."""

    def evicted(self, reason: str) -> None:
        """Another process took this envoy's key: nothing of this one counts any more, and the link does not come back (ENGINE-052)."""
