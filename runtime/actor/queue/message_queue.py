"""The durable queue of one actor.

All messages are in memory while the actor is awake; storage is written before anybody is told. Why no lease on completable messages: a
message stays where it is until it is completed, so redelivery after a sleep, a crash or an abandoned handler needs no bookkeeping
(QUEUE-052); what a context already holds is kept by its `QueueApi`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from runtime import clock
from runtime.actor.joining import JoinedRows
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.observer import Part
from runtime.actor.queue.records import META_TABLE, TABLE, StoredMessage, encode_body, load_messages, load_next_id, put_next_id
from runtime.actor.queue.waiting import abort_wait, end_wait, wait_until
from runtime.actor.writes import Writes
from runtime.errors import make_error
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import reading
from runtime.protocol.payload import blob, load_value
from runtime.protocol.storable import check_storable
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runtime.actor.joining import Join
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.declaration.definition import ActorDefinition
    from runtime.declaration.options import Options
    from runtime.metrics.registry import ActorMetrics
    from runtime.storage.base import Op

Names = frozenset[str]
ANY: Names = frozenset()
RESTORE_RETRIES = (0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts to store a message again that its receiver did not take; then it goes with the next write."""


class QueueOwner(Protocol):
    """What the queue asks of its actor."""

    @property
    def definition(self) -> ActorDefinition:
        """The declared queues."""
        ...

    @property
    def options(self) -> Options:
        """How many messages, how long each."""
        ...

    @property
    def log(self) -> Any:
        """Where failed writes are noted."""
        ...

    @property
    def metrics(self) -> ActorMetrics:
        """Where messages are counted."""
        ...

    @property
    def work(self) -> WorkTracker:
        """A receiver that waits is work, of the kind that lets the actor sleep."""
        ...

    async def commit(self, ops: Sequence[Op]) -> None:
        """Write one durable batch."""

    def joinable(self) -> Join | None:
        """The transaction that the caller has to be part of (DB-029)."""
        ...

    def changed(self, part: Part) -> None:
        """Tell whoever watches."""


class MessageQueue:
    """One per generation; `load` before the startup hooks, `drain` at the end of the stop path."""

    def __init__(self, owner: QueueOwner) -> None:
        self._owner = owner
        self._messages: dict[int, StoredMessage] = {}
        self._next_id = 1
        self._durable_next_id = 1
        self._sending = 0
        self._receivers: dict[asyncio.Future[None], Names] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._owed: dict[int, StoredMessage] = {}
        self._writes = Writes(owner.log, "queue")
        self._reported_depth = 0
        self._over = False

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def messages(self) -> Sequence[StoredMessage]:
        """Stored messages in order of id, for the inspector."""
        return tuple(self._messages.values())

    def load(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> None:
        """Take over what `Storage.load` gave (QUEUE-008, DB-025)."""
        with reading("the queue"):
            self._messages = load_messages(list(rows.get(TABLE, ())))
            self._next_id = self._durable_next_id = load_next_id(list(rows.get(META_TABLE, ())), self._messages)
        self._depth_changed()

    async def send(self, name: str, body: Any, *, answer: bool = False) -> StoredMessage:
        """Store a message and wake receivers; returns when it is durable (QUEUE-003), or at once from within a transaction (DB-029).

        `answer` registers the sender for the completion before the message becomes visible (QUEUE-061); fetch it with `answer_of`. A
        cancelled caller does not take the message back.

        Raises:
            ActorError: queue.message_too_large, queue.full, actor.validation_error (QUEUE-010..014, QUEUE-020).
            Unstorable: Name or body cannot be kept.
            RuntimeError: `answer` within a transaction, which would wait for its own commit.
        """
        join = self._owner.joinable()
        if join is not None and answer:
            raise RuntimeError("enqueue_and_wait() inside a transaction would wait for its commit: use send() there, or wait behind it")
        check_storable(name)
        declared = self._owner.definition.queues.get(name)
        if declared is not None and declared.body is not None:
            body = declared.body.check(body, f"Invalid queue `{name}` message")
        # Checked before an id is taken: a refused message leaves no gap (QUEUE-003).
        message = StoredMessage(self._next_id, name, encode_body(body), clock.now_ms())
        options = self._owner.options
        if message.size > options.max_queue_message_size:
            raise make_error("queue.message_too_large", size=message.size, limit=options.max_queue_message_size)
        # Messages on their way to storage take their room already, or a burst of sends would pass the limit together.
        if len(self._messages) + self._sending >= options.max_queue_size:
            raise make_error("queue.full", limit=options.max_queue_size)
        if join is not None:
            join(JoinedRows(_rows(message), partial(self._sent, message), self._unsent))
        self._next_id += 1
        self._sending += 1
        if join is not None:
            return message
        if answer:
            # Now and not after the write: a receiver may complete the message in the turn in which it becomes visible (QUEUE-061).
            self._answers[message.id] = asyncio.get_running_loop().create_future()
        await self._writes.finish(self._store(message))
        return message

    def answer_of(self, message: StoredMessage) -> asyncio.Future[Any]:
        """The completion response of a message sent with `answer=True`; `UNDEFINED` when completed without one."""
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

        A receiver that is cancelled meanwhile has not got them, so they are stored again. From within a transaction it returns at once:
        they are gone with its commit, and back with its rollback (DB-029).
        """
        join = self._owner.joinable()
        if join is not None:
            self._join_removal(join, messages, lambda: None)
            return
        # Hidden before the first await: no other receiver may be given the same message while the removal is written.
        removal = self._writes.start(self._remove(self._hide(messages)))
        try:
            await asyncio.shield(removal)
        except asyncio.CancelledError:
            # Stored anew by a write of its own, since nobody is left who could wait: the receiver is gone.
            if not removal.cancelled():
                self._writes.start(self._restore(removal, messages))
            raise

    def delivered(self, count: int) -> None:
        """Count messages handed to a receiver; a redelivery counts again (QUEUE-080)."""
        self._owner.metrics.queue_messages_received(count)

    async def wait(self, names: Names, deadline: float | None, signals: Iterable[AbortSignal]) -> bool:
        """Wait until a matching message may be there; False at the deadline (clock seconds).

        Raises:
            ActorError: actor.aborted when a signal is or becomes aborted (QUEUE-040, QUEUE-041).
        """
        signals = list(signals)
        if any(signal.aborted for signal in signals):
            raise make_error("actor.aborted")
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        join = self._owner.joinable()
        if join is not None:
            # A message from outside comes behind the transaction: a wait for one ends with it at the latest, and finds out why.
            end = partial(end_wait, wake)
            join(JoinedRows((), end, end))
        self._receivers[wake] = names
        removers = [signal.add_listener(lambda: abort_wait(wake)) for signal in signals]
        try:
            with self._owner.work.region(WorkKind.QUEUE_WAIT):
                return await wait_until(wake, deadline)
        finally:
            del self._receivers[wake]
            for remove in removers:
                remove()

    async def complete(self, message: StoredMessage, response: Any) -> None:
        """Delete a message durably, then answer its sender; a message that is gone is no error (QUEUE-051, QUEUE-057).

        Raises:
            ActorError: actor.validation_error when the response does not fit the completion schema (QUEUE-021).
            Unstorable: The response cannot be sent; the message stays.
        """
        declared = self._owner.definition.queues.get(message.name)
        if declared is not None and declared.completion is not None:
            response = declared.completion.check(response, f"Invalid queue `{message.name}` completion response")
        check_storable(response)
        # The sender gets what a caller over the wire would get, and nothing that this actor can still change.
        copy = UNDEFINED if response is UNDEFINED else load_value(blob(response), limits=STORED)
        if message.id not in self._messages:
            return
        join = self._owner.joinable()
        if join is not None:
            self._join_removal(join, [message], lambda: self._answer([message], copy))
        else:
            await self._writes.finish(self._remove_and_answer(self._hide([message]), copy))

    def stored(self, message_id: int) -> StoredMessage | None:
        """The message with that id, None when it was received plainly, completed, or never existed."""
        return self._messages.get(message_id)

    async def clear(self) -> None:
        """Remove every message; senders waiting for an answer fail (QUEUE-066). Ids go on (QUEUE-002)."""
        # Not answered before the rows are gone: a failing write brings the messages back, and their senders go on waiting.
        removed = self._hide(self.messages)
        await self._writes.finish(self._remove(removed))
        for message in removed:
            waiting = self._answers.pop(message.id, None)
            if waiting is not None and not waiting.done():
                waiting.set_exception(make_error("queue.completion_waiter_dropped"))

    async def drain(self) -> None:
        """End of the generation: wait for writes whose callers were cancelled, and leave the depth metric."""
        await self._writes.drain()
        if self._owed:
            await self._commit([])
        self._over = True
        # The figure is a sum over all actors of the name, and this one no longer counts (METRIC-024).
        self._report_depth(0)

    async def _store(self, message: StoredMessage) -> None:
        try:
            await self._commit(_rows(message))
        except BaseException:
            self._answers.pop(message.id, None)
            self._unsent()
            raise
        self._sent(message)

    def _sent(self, message: StoredMessage) -> None:
        self._durable_next_id = max(self._durable_next_id, message.id + 1)
        self._put_back([message])
        self._owner.metrics.queue_messages_sent(1)
        self._unsent()

    def _unsent(self) -> None:
        self._sending -= 1
        if not self._sending:
            # Nothing is in flight: ids of failed writes were never seen by anybody (QUEUE-003).
            self._next_id = self._durable_next_id

    def _hide(self, messages: Sequence[StoredMessage]) -> Sequence[StoredMessage]:
        for message in messages:
            self._messages.pop(message.id, None)
        self._depth_changed()
        return messages

    def _join_removal(self, join: Join, messages: Sequence[StoredMessage], then: Callable[[], None]) -> None:
        def removed() -> None:
            self._removed(messages)
            then()

        join(JoinedRows([message.delete() for message in messages], removed, partial(self._put_back, messages)))
        self._hide(messages)

    async def _remove(self, messages: Sequence[StoredMessage]) -> None:
        try:
            await self._commit([message.delete() for message in messages])
        except BaseException:
            self._put_back(messages)
            raise
        self._removed(messages)

    def _removed(self, messages: Sequence[StoredMessage]) -> None:
        for message in messages:
            self._owed.pop(message.id, None)

    async def _remove_and_answer(self, messages: Sequence[StoredMessage], response: Any) -> None:
        await self._remove(messages)
        self._answer(messages, response)

    def _answer(self, messages: Sequence[StoredMessage], response: Any) -> None:
        for message in messages:
            waiting = self._answers.pop(message.id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(response)

    async def _restore(self, removal: asyncio.Task[Any], messages: Sequence[StoredMessage]) -> None:
        await asyncio.wait([removal])
        if removal.cancelled() or removal.exception() is not None:
            return
        self._put_back(messages)
        self._owed.update((message.id, message) for message in messages)
        for delay in RESTORE_RETRIES:
            try:
                await self._commit([])
            except Exception as error:
                # Its sender was told that it is stored, so it must become so again, be it with the next write.
                self._owner.log.error("queue message not stored again yet", error=repr(error))
                await clock.sleep(delay)
            else:
                return

    async def _commit(self, ops: Sequence[Op]) -> None:
        """Write `ops` behind the rows of restored messages that an earlier write could not store."""
        late = {number: message for number, message in self._owed.items() if number in self._messages}
        for number in late:
            del self._owed[number]
        rows = [*(message.put() for message in late.values()), *ops]
        try:
            if rows:
                await self._owner.commit(rows)
        except BaseException:
            self._owed |= late
            raise

    def _put_back(self, messages: Iterable[StoredMessage]) -> None:
        """Make messages visible, in order of id, and wake whoever waits for one of them (QUEUE-037)."""
        added = list(messages)
        # Writes may end in another order than they began, and a restored message is older than what came since.
        in_order = not self._messages or not added or added[0].id > next(reversed(self._messages))
        self._messages.update((message.id, message) for message in added)
        if not in_order:
            self._messages = dict(sorted(self._messages.items()))
        self._depth_changed()
        arrived = {message.name for message in added}
        # All that match and not one (QUEUE-037): the first may just be giving up, and the message would lie there with others waiting.
        for wake, names in self._receivers.items():
            if not wake.done() and (not names or not names.isdisjoint(arrived)):
                wake.set_result(None)

    def _depth_changed(self) -> None:
        self._owner.changed(Part.QUEUE)
        # A transaction whose commit was under way at the end still comes here.
        if not self._over:
            self._report_depth(len(self._messages))

    def _report_depth(self, depth: int) -> None:
        self._owner.metrics.queue_changed(depth - self._reported_depth)
        self._reported_depth = depth


def _rows(message: StoredMessage) -> list[Op]:
    return [message.put(), put_next_id(message.id + 1)]
