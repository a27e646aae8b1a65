"""The durable queue of one actor.

All messages are in memory while the actor is awake; storage is written before anybody is told. Why no lease
on completable messages: a message stays where it is until it is completed, so redelivery after a sleep, a
crash or an abandoned handler needs no bookkeeping (QUEUE-052); what a context already holds is kept by its
`QueueApi`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.actor.lifecycle.work import WorkKind
from runtime.actor.observer import Part
from runtime.actor.queue.records import (
    META_TABLE,
    TABLE,
    StoredMessage,
    encode_body,
    load_messages,
    load_next_id,
    put_next_id,
)
from runtime.declaration.schema import validate
from runtime.errors import make_error
from runtime.protocol.payload import blob, load_value
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence

    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.lifecycle.task import ActorTask

Names = frozenset[str]
ANY: Names = frozenset()


class MessageQueue:
    """One per generation; `load` before the startup hooks, `drain` at the end of the stop path."""

    def __init__(self, task: ActorTask) -> None:
        self._task = task
        self._messages: dict[int, StoredMessage] = {}
        self._next_id = 1
        self._durable_next_id = 1
        self._sending = 0
        self._receivers: dict[asyncio.Future[None], Names] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._writes: set[asyncio.Task[Any]] = set()
        self._reported_depth = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def messages(self) -> Sequence[StoredMessage]:
        """Stored messages in order of id, for the inspector."""
        return tuple(self._messages.values())

    def load(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> None:
        """Take over what `Storage.load` gave (QUEUE-008, DB-025)."""
        self._messages = load_messages(list(rows.get(TABLE, ())))
        self._next_id = self._durable_next_id = load_next_id(list(rows.get(META_TABLE, ())), self._messages)
        self._depth_changed()

    async def send(self, name: str, body: Any, *, answer: bool = False) -> StoredMessage:
        """Store a message and wake receivers; returns when it is durable (QUEUE-003).

        `answer` registers the sender for the completion before the message becomes visible (QUEUE-061); fetch
        it with `answer_of`. A cancelled caller does not take the message back.

        Raises:
            ActorError: queue.message_too_large, queue.full, actor.validation_error
                (QUEUE-010..014, QUEUE-020).
        """
        declared = self._task.definition.queues.get(name)
        if declared is not None and declared.schema is not None:
            body = validate(declared.schema, body, f"Invalid queue `{name}` message")
        message = StoredMessage(self._next_id, name, encode_body(body), clock.now_ms())
        options = self._task.options
        if message.size > options.max_queue_message_size:
            raise make_error("queue.message_too_large", size=message.size, limit=options.max_queue_message_size)
        if len(self._messages) + self._sending >= options.max_queue_size:
            raise make_error("queue.full", limit=options.max_queue_size)
        self._next_id += 1
        self._sending += 1
        if answer:
            self._answers[message.id] = asyncio.get_running_loop().create_future()
        await self._write(self._store(message))
        return message

    def answer_of(self, message: StoredMessage) -> asyncio.Future[Any]:
        """The completion response of a message sent with `answer=True`; `UNDEFINED` when completed without
        one.
        """
        return self._answers[message.id]

    def forget_answer(self, message: StoredMessage) -> None:
        """The sender gave up waiting; the message stays queued (QUEUE-062)."""
        self._answers.pop(message.id, None)

    def find(self, names: Names, count: int) -> list[StoredMessage]:
        """Up to `count` stored messages of these names in order of id (QUEUE-004, QUEUE-034)."""
        found: list[StoredMessage] = []
        for message in self._messages.values():
            if not names or message.name in names:
                found.append(message)
                if len(found) >= count:
                    break
        return found

    async def take(self, messages: Sequence[StoredMessage]) -> None:
        """Remove messages for a plain receiver: invisible at once, durable on return (QUEUE-035).

        A receiver that is cancelled meanwhile has not got them, so they are stored again.
        """
        removal = self._start_write(self._remove(self._hide(messages)))
        try:
            await asyncio.shield(removal)
        except asyncio.CancelledError:
            if not removal.cancelled():
                self._start_write(self._restore(removal, messages))
            raise

    def delivered(self, count: int) -> None:
        """Count messages handed to a receiver; a redelivery counts again (QUEUE-080)."""
        self._task.metrics.queue_messages_received(count)

    async def wait(self, names: Names, deadline: float | None, signals: Iterable[AbortSignal]) -> bool:
        """Wait until a matching message may be there; False at the deadline (clock seconds).

        Raises:
            ActorError: actor.aborted when a signal is or becomes aborted (QUEUE-040, QUEUE-041).
        """
        signals = list(signals)
        if any(signal.aborted for signal in signals):
            raise make_error("actor.aborted")
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._receivers[wake] = names
        removers = [signal.add_listener(lambda: abort_wait(wake)) for signal in signals]
        try:
            with self._task.work.region(WorkKind.QUEUE_WAIT):
                return await wait_until(wake, deadline)
        finally:
            del self._receivers[wake]
            for remove in removers:
                remove()

    async def complete(self, message: StoredMessage, response: Any) -> None:
        """Delete a message durably, then answer its sender; a message that is gone is no error (QUEUE-051,
        QUEUE-057).

        Raises:
            ActorError: actor.validation_error when the response does not fit the completion
                schema (QUEUE-021).
        """
        declared = self._task.definition.queues.get(message.name)
        if declared is not None and declared.completion is not None:
            response = validate(declared.completion, response, f"Invalid queue `{message.name}` completion response")
        copy = UNDEFINED if response is UNDEFINED else load_value(blob(response))
        if message.id in self._messages:
            await self._write(self._remove_and_answer(self._hide([message]), copy))

    def stored(self, message_id: int) -> StoredMessage | None:
        """The message with that id, None when it was received plainly, completed, or never existed."""
        return self._messages.get(message_id)

    async def clear(self) -> None:
        """Remove every message; senders waiting for an answer fail (QUEUE-066). Ids go on (QUEUE-002)."""
        removed = self._hide(self.messages)
        await self._write(self._remove(removed))
        for message in removed:
            waiting = self._answers.pop(message.id, None)
            if waiting is not None and not waiting.done():
                waiting.set_exception(make_error("queue.completion_waiter_dropped"))

    async def drain(self) -> None:
        """End of the generation: wait for writes whose callers were cancelled, and leave the depth metric."""
        while self._writes:
            await asyncio.wait(set(self._writes))
        self._report_depth(0)

    async def _store(self, message: StoredMessage) -> None:
        try:
            await self._task.commit([message.put(), put_next_id(message.id + 1)])
        except BaseException:
            self._answers.pop(message.id, None)
            raise
        else:
            self._durable_next_id = max(self._durable_next_id, message.id + 1)
            self._put_back([message])
            self._task.metrics.queue_messages_sent(1)
        finally:
            self._sending -= 1
            if not self._sending:
                # Nothing is in flight: ids of failed writes were never seen by anybody (QUEUE-003).
                self._next_id = self._durable_next_id

    def _hide(self, messages: Sequence[StoredMessage]) -> Sequence[StoredMessage]:
        for message in messages:
            self._messages.pop(message.id, None)
        self._depth_changed()
        return messages

    async def _remove(self, messages: Sequence[StoredMessage]) -> None:
        try:
            await self._task.commit([message.delete() for message in messages])
        except BaseException:
            self._put_back(messages)
            raise

    async def _remove_and_answer(self, messages: Sequence[StoredMessage], response: Any) -> None:
        await self._remove(messages)
        for message in messages:
            waiting = self._answers.pop(message.id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(response)

    async def _restore(self, removal: asyncio.Task[Any], messages: Sequence[StoredMessage]) -> None:
        await asyncio.wait([removal])
        if removal.cancelled() or removal.exception() is not None:
            return
        await self._task.commit([message.put() for message in messages])
        self._put_back(messages)

    def _put_back(self, messages: Iterable[StoredMessage]) -> None:
        """Make messages visible, in order of id, and wake whoever waits for one of them (QUEUE-037)."""
        added = list(messages)
        in_order = not self._messages or not added or added[0].id > next(reversed(self._messages))
        self._messages.update((message.id, message) for message in added)
        if not in_order:
            self._messages = dict(sorted(self._messages.items()))
        self._depth_changed()
        arrived = {message.name for message in added}
        for wake, names in self._receivers.items():
            if not wake.done() and (not names or not names.isdisjoint(arrived)):
                wake.set_result(None)

    async def _write(self, coroutine: Coroutine[Any, Any, None]) -> None:
        await asyncio.shield(self._start_write(coroutine))

    def _start_write(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=f"queue write of {self._task.identity.actor_id}")
        self._writes.add(task)
        task.add_done_callback(self._written)
        return task

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writes.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._task.log.debug("queue write failed", error=str(task.exception()))

    def _depth_changed(self) -> None:
        self._task.changed(Part.QUEUE)
        self._report_depth(len(self._messages))

    def _report_depth(self, depth: int) -> None:
        self._task.metrics.queue_changed(depth - self._reported_depth)
        self._reported_depth = depth


async def wait_until(future: asyncio.Future[Any], deadline: float | None) -> bool:
    """Wait for a future this caller owns; False when the clock reached the deadline first."""
    timer = None
    if deadline is not None:
        timer = clock.call_later(deadline - clock.monotonic(), _time_out, future)
    try:
        await future
    except TimeoutError:
        return False
    finally:
        if timer is not None:
            timer.cancel()
    return True


def _time_out(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


def abort_wait(future: asyncio.Future[Any]) -> None:
    """End a wait with `actor.aborted`."""
    if not future.done():
        future.set_exception(make_error("actor.aborted"))
