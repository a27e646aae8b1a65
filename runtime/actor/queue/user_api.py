"""`c.queue`: sending and receiving for one invocation.

Why one object per context and not one per actor: what a context holds uncompleted belongs to it alone (QUEUE-053), and it is forgotten
with the invocation; the message itself stays stored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, overload

from runtime import clock
from runtime.actor.queue.message import CompletableMessage, QueueMessage
from runtime.actor.queue.message_queue import ANY
from runtime.actor.queue.waiting import abort_wait, wait_until
from runtime.errors import ActorError, make_error
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.queue.message_queue import MessageQueue


class QueueApi:
    """The queue as one context sees it.

        message = await c.queue.next(["jobs"], timeout=5.0)               # None after 5 seconds
        async for message in c.queue.iter(["jobs"], completable=True):    # for ever; ends when the actor stops
            await message.complete({"done": message.body["id"]})

    `names` empty or None means all names. `timeout` is in seconds: None waits for ever, 0 does not wait. Waits end with `actor.aborted`
    when the actor stops or `signal` fires. A context that holds an uncompleted completable message may not receive again (QUEUE-053):
    each object of this class is one context.
    """

    def __init__(self, queue: MessageQueue, abort: AbortSignal) -> None:
        self._queue = queue
        self._abort = abort
        self._held: list[CompletableMessage] = []

    async def send(self, name: str, body: Any = None) -> QueueMessage:
        """Store a message for this actor itself; returns when it is durable (QUEUE-003). In a transaction: `c.db.transaction` (DB-029).

        Raises:
            ActorError: queue.full, queue.message_too_large, actor.validation_error.
        """
        return QueueMessage(await self._queue.send(name, body))

    async def enqueue_and_wait(
        self, name: str, body: Any = None, *, timeout: float | None = None, signal: AbortSignal | None = None
    ) -> Any:
        """Send and wait for the completion; returns its response, `UNDEFINED` without one (QUEUE-044, QUEUE-064).

        The wait goes on while the actor stops; only `signal`, the timeout or the end of the caller end it.

        Raises:
            ActorError: queue.timed_out; actor.aborted when `signal` fires; and those of `send`.
            RuntimeError: Called within a transaction of the database, which would wait for its own commit (DB-029).
        """
        deadline = _deadline(timeout)
        if signal is not None and signal.aborted:
            raise make_error("actor.aborted")
        stored = await self._queue.send(name, body, answer=True)
        # The actor's own abort is no listener: a sender may wait for the completion while it stops (QUEUE-044).
        answer = self._queue.answer_of(stored)
        remove = signal.add_listener(lambda: abort_wait(answer)) if signal else None
        try:
            if not await wait_until(answer, deadline):
                raise _timed_out(timeout)
            return answer.result()
        finally:
            self._queue.forget_answer(stored)
            if remove is not None:
                remove()

    @overload
    async def next(
        self,
        names: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
        signal: AbortSignal | None = None,
        completable: Literal[True],
    ) -> CompletableMessage | None: ...
    @overload
    async def next(
        self,
        names: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
        signal: AbortSignal | None = None,
        completable: bool = False,
    ) -> QueueMessage | None: ...
    async def next(
        self,
        names: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
        signal: AbortSignal | None = None,
        completable: bool = False,
    ) -> QueueMessage | None:
        """Wait for one message; None when the timeout passes (QUEUE-032)."""
        batch = await self.next_batch(names, timeout=timeout, signal=signal, completable=completable)
        return batch[0] if batch else None

    async def next_batch(
        self,
        names: Iterable[str] | None = None,
        *,
        count: int = 1,
        timeout: float | None = None,
        signal: AbortSignal | None = None,
        completable: bool = False,
    ) -> list[Any]:
        """Wait until one message is there and return 1..count of them; an empty list when the timeout passes (QUEUE-031).

        Raises:
            ActorError: actor.aborted; queue.previous_message_not_completed; queue.invalid_argument for a negative timeout.
        """
        self._check_held()
        # The arguments are read before the first await, so that wrong ones fail even when a message is there.
        return await self._receive(_names(names), _count(count), _deadline(timeout), signal, completable)

    async def try_next(self, names: Iterable[str] | None = None, *, completable: bool = False) -> QueueMessage | None:
        """One message that is already there, or None."""
        return await self.next(names, timeout=0, completable=completable)

    async def try_next_batch(self, names: Iterable[str] | None = None, *, count: int = 1, completable: bool = False) -> list[Any]:
        """Up to `count` messages that are already there."""
        return await self.next_batch(names, count=count, timeout=0, completable=completable)

    def sizes(self, names: Iterable[str] | None = None, *, count: int = 1) -> list[int]:
        """Bytes of the encoded bodies of up to `count` messages that are already there, in the order in which they would be received."""
        return [len(message.body) for message in self._queue.find(_names(names), _count(count))]

    async def iter(
        self, names: Iterable[str] | None = None, *, signal: AbortSignal | None = None, completable: bool = False
    ) -> AsyncIterator[Any]:
        """Messages one by one, for ever; ends quietly when the actor stops or `signal` fires (QUEUE-042)."""
        wanted = _names(names)
        while True:
            try:
                message = await self.next(wanted, signal=signal, completable=completable)
            except ActorError as error:
                if error.name == "actor.aborted":
                    return
                raise
            yield message

    async def wait_for_names(
        self, names: Iterable[str], *, timeout: float | None = None, signal: AbortSignal | None = None, completable: bool = False
    ) -> Any:
        """As `next`, but the timeout raises `queue.timed_out` (QUEUE-033)."""
        batch = await self._receive(_names(names), 1, _deadline(timeout), signal, completable)
        if not batch:
            raise _timed_out(timeout)
        return batch[0]

    async def wait_for_names_available(
        self, names: Iterable[str], *, timeout: float | None = None, signal: AbortSignal | None = None
    ) -> None:
        """Wait until a message of one of these names is there, without receiving it; the timeout raises `queue.timed_out`."""
        wanted, deadline = _names(names), _deadline(timeout)
        while not self._queue.find(wanted, 1):
            if not await self._wait(wanted, deadline, signal):
                raise _timed_out(timeout)

    async def complete(self, message: QueueMessage | Mapping[str, Any], response: Any = UNDEFINED) -> None:
        """Complete by identity `{"id", "name"}`, whoever received the message (QUEUE-058). An unknown id is no error.

        Raises:
            ActorError: queue.message_identity_mismatch when the id belongs to a message of another name.
        """
        identity = message if isinstance(message, dict) else {"id": message.id, "name": message.name}  # type: ignore[union-attr]
        stored = self._queue.stored(int(identity["id"]))
        if stored is None:
            return
        if stored.name != identity["name"]:
            raise make_error("queue.message_identity_mismatch", id=stored.id, actual=stored.name, expected=identity["name"])
        await self._queue.complete(stored, response)

    def _check_held(self) -> None:
        self._held = [message for message in self._held if not message.completed]
        if self._held:
            raise make_error("queue.previous_message_not_completed")

    async def _receive(
        self, names: frozenset[str], count: int, deadline: float | None, signal: AbortSignal | None, completable: bool
    ) -> list[Any]:
        # Looked for anew after each wake-up: several receivers may have been woken by one message.
        while not (found := self._queue.find(names, count)):
            if not await self._wait(names, deadline, signal):
                return []
        if not completable:
            # Found and taken in one turn of the loop, or two receivers would be given the same message (QUEUE-035).
            await self._queue.take(found)
            self._queue.delivered(len(found))
            return [QueueMessage(message) for message in found]
        messages = [CompletableMessage(message, self._queue) for message in found]
        # Held by this context only; the queue itself knows of no receiver (QUEUE-052).
        self._held += messages
        self._queue.delivered(len(found))
        return messages

    async def _wait(self, names: frozenset[str], deadline: float | None, signal: AbortSignal | None) -> bool:
        if deadline is not None and deadline <= clock.monotonic():
            return False
        return await self._queue.wait(names, deadline, (self._abort,) if signal is None else (self._abort, signal))


def _names(names: Iterable[str] | None) -> frozenset[str]:
    if isinstance(names, str):
        raise make_error("queue.invalid_argument", reason="names must be a list of names, not one text")
    return ANY if names is None else frozenset(names)


def _count(count: int) -> int:
    return max(1, int(count))


def _deadline(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    # Written this way round for NaN, which is neither.
    if not timeout >= 0:
        raise make_error("queue.invalid_argument", reason=f"timeout must be non-negative, got {timeout}")
    return None if math.isinf(timeout) else clock.monotonic() + timeout


def _timed_out(timeout: float | None) -> ActorError:
    return make_error("queue.timed_out", timeout_ms=clock.milliseconds(timeout or 0.0))
