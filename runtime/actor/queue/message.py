"""Messages as actor code holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.errors import make_error
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.actor.queue.records import StoredMessage


class Completion(Protocol):
    """Who deletes completed messages."""

    async def complete(self, message: StoredMessage, response: Any) -> None:
        """Delete durably and answer the sender."""

    def stored(self, message_id: int) -> StoredMessage | None:
        """The message if it is still there."""
        ...


class QueueMessage:
    """A received or sent message: `id`, `name`, `body`, `created_at` (ms since the epoch)."""

    __slots__ = ("body", "created_at", "id", "name")

    def __init__(self, stored: StoredMessage) -> None:
        self.id = stored.id
        self.name = stored.name
        self.body: Any = stored.value()
        self.created_at = stored.created_at

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id}, name={self.name!r})"


class CompletableMessage(QueueMessage):
    """A message that stays stored until `complete` (QUEUE-050)."""

    __slots__ = ("_completed", "_queue", "_stored")

    def __init__(self, stored: StoredMessage, queue: Completion) -> None:
        super().__init__(stored)
        self._stored = stored
        self._queue = queue
        self._completed = False

    async def complete(self, response: Any = UNDEFINED) -> None:
        """Delete the message durably and answer its waiting sender, if there is one (QUEUE-051).

        After a failure the message can be completed again (QUEUE-021, QUEUE-057).

        Raises:
            ActorError: queue.already_completed (QUEUE-055); actor.validation_error.
        """
        # One that is stored again was completed in a transaction that was rolled back.
        if self._completed and self._queue.stored(self.id) is None:
            raise make_error("queue.already_completed")
        # Marked before the write, so that a second call meanwhile is refused and does not answer the sender twice.
        self._completed = True
        try:
            await self._queue.complete(self._stored, response)
        except BaseException:
            self._completed = False
            raise

    @property
    def completed(self) -> bool:
        """Whether `complete` succeeded or the message is no longer stored."""
        # Another holder may have completed it by its identity, or the inspector cleared the queue: then it holds up nobody (QUEUE-053).
        return self._queue.stored(self.id) is None
