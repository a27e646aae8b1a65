"""What waits to be written to the socket."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from runtime.hosting.engine.link.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.hosting.engine.link.clients import Client

OVERHEAD = 256
"""Bytes that are counted for a message besides its own: empty ones take memory, too."""


class Letter:
    """A frame, of a client's request when it is one; `kept`: for the next connection if this one does not last."""

    __slots__ = ("client", "frame", "kept")

    def __init__(self, frame: bytes, client: Client | None = None, *, kept: bool = False) -> None:
        self.frame = frame
        self.client = client
        self.kept = kept or client is not None

    @property
    def size(self) -> int:
        """What it takes of the room."""
        return len(self.frame) + OVERHEAD


class Outbox:
    """Messages in the order in which they were given, and before them those that cannot wait.

    Only messages of clients outlive a connection here: events are kept in the history and requests by who asked.
    """

    def __init__(self) -> None:
        self._first: deque[bytes] = deque()
        self._queue: deque[Letter | Request] = deque()
        self.size = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._queue)

    @property
    def urgent(self) -> bool:
        """Whether something cannot wait."""
        return bool(self._first)

    def put_first(self, frame: bytes) -> None:
        """A frame that goes before everything but its like: pongs, events after an init."""
        self._first.append(frame)

    def put(self, item: Letter | Request) -> None:
        """A message that waits for its turn."""
        if isinstance(item, Letter):
            self.size += item.size
        self._queue.append(item)

    def pop(self, *, everything: bool) -> bytes | Letter | Request | None:
        """What is to be written next; without `everything` only what cannot wait."""
        if self._first:
            return self._first.popleft()
        if not everything or not self._queue:
            return None
        item = self._queue.popleft()
        if isinstance(item, Letter):
            self.size -= item.size
        return item

    def disconnected(self) -> None:
        """Keep messages of clients for the next connection; nothing else."""
        self._first.clear()
        self._keep(lambda item: isinstance(item, Letter) and item.kept)

    def drop_actor(self, actor_id: str) -> None:
        """Drop what the requests of an actor left: its generation was given up."""
        self._keep(lambda item: isinstance(item, Request) or item.client is None or item.client.actor_id != actor_id)

    def drop_client(self, client: Client) -> None:
        """Drop the messages of one request."""
        self._keep(lambda item: isinstance(item, Request) or item.client is None or item.client.key != client.key)

    def clear(self) -> None:
        """Drop everything."""
        self._first.clear()
        self._keep(lambda _: False)

    def least_missed(self) -> Client | None:
        """Whose messages to leave out when there is no room: the plain WebSocket that waits longest; without one, any request."""
        other = None
        for item in self._queue:
            if isinstance(item, Letter) and item.client is not None:
                if item.client.plain:
                    return item.client
                other = other or item.client
        return other

    def _keep(self, wanted: Callable[[Letter | Request], bool]) -> None:
        self._queue = deque(item for item in self._queue if wanted(item))
        self.size = sum(item.size for item in self._queue if isinstance(item, Letter))
