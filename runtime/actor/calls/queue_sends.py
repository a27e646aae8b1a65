"""Queue sends from outside: the guard, undeclared names, waiting for the completion (WIRE-330..337, ACCESS-020..024, QUEUE-060..063).

Why this is no method of the queue: the actor's own sends meet neither guard nor declaration (ACCESS-023), and the inspector's meet none
either.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Protocol

from runtime import clock
from runtime.actor.calls.replies import settle
from runtime.actor.queue.waiting import wait_until
from runtime.errors import forbidden, make_error
from runtime.protocol.messages import QueueResult
from runtime.protocol.storable import Unstorable

if TYPE_CHECKING:
    from runtime.actor.calls.admission import Admissions
    from runtime.actor.calls.context import Context
    from runtime.actor.calls.time_limit import LimitedCalls
    from runtime.actor.queue.message_queue import MessageQueue
    from runtime.actor.queue.records import StoredMessage
    from runtime.declaration.definition import ActorDefinition
    from runtime.declaration.functions import UserFunction
    from runtime.declaration.queues import QueueSpec
    from runtime.http import Request
    from runtime.protocol.messages import QueueSend


class SendingOwner(Protocol):
    """What a queue send asks of the actor."""

    @property
    def definition(self) -> ActorDefinition:
        """The declared queues."""
        ...

    @property
    def queue(self) -> MessageQueue:
        """The queue."""
        ...


class QueueSends:
    """The way from a request to the queue of one actor."""

    def __init__(self, owner: SendingOwner, calls: LimitedCalls, admissions: Admissions) -> None:
        self._owner = owner
        self._calls = calls
        self._admit = admissions.admit

    async def send(self, name: str, send: QueueSend, params: Any, request: Request | None) -> QueueResult:
        """A queue send from outside, on a connection of its own, within `action_timeout` (WIRE-330..337)."""
        # Zero is a time to wait, and not the same as none (WIRE-335).
        timeout = None if send.timeout_ms is None else send.timeout_ms / 1000

        async def publish(context: Context) -> QueueResult:
            # An undeclared name is no error here: the send is answered and nothing stored (ACCESS-024).
            declared = self._owner.definition.queues.get(name)
            return await send_external(self._owner.queue, declared, context, name, send.body, wait=send.wait, timeout=timeout)

        result: QueueResult = await self._calls.run("dispatch_queue_send", publish, params, request)
        return result

    async def enqueue(self, name: str, body: Any) -> StoredMessage:
        """A send without connection, guard and declaration, for an inspector (INSP-064); through the inbox like any other (TASK-003).

        Raises:
            ActorError: What `admit` and `store` raise.
        """
        reply: asyncio.Future[StoredMessage] = asyncio.get_running_loop().create_future()
        self._admit("dispatch_queue_send", lambda: settle(store(self._owner.queue, name, body), reply), reply)
        return await reply


async def send_external(
    queue: MessageQueue,
    declared: QueueSpec | None,
    c: object,
    name: str,
    body: Any,
    *,
    wait: bool = False,
    timeout: float | None = None,
) -> QueueResult:
    """Check and store one message of a caller outside the actor.

    Args:
        queue: The actor's queue.
        declared: The declaration of this name, None for an undeclared one: then nothing is stored (ACCESS-024).
        c: A context with the sender's connection and request, for the guard.
        name: The queue name.
        body: The decoded body.
        wait: Whether to wait for the completion.
        timeout: Seconds to wait; None leaves the bound to the caller's action time-out (QUEUE-062).

    Returns:
        `completed`, with the response when there is one, or `timedOut`.

    Raises:
        ActorError: auth.forbidden; and those of `store`.
        TypeError: The guard's answer is not a bool (ACCESS-021).
    """
    if timeout is not None and not timeout >= 0:
        raise make_error("queue.invalid_argument", reason=f"timeout must be non-negative, got {timeout}")
    # Completed at once, also with `wait`: nobody will ever receive it, so no answer could come (ACCESS-024).
    if declared is None:
        return QueueResult("completed")
    if declared.can_publish is not None:
        await _check_guard(declared.can_publish, c, name)
    if not wait:
        await store(queue, name, body)
        return QueueResult("completed")
    # The time counts from here, with the write in it: it is the sender's patience and not the receiver's.
    deadline = None if timeout is None else clock.monotonic() + timeout
    stored = await store(queue, name, body, answer=True)
    answer = queue.answer_of(stored)
    try:
        if not await wait_until(answer, deadline):
            return QueueResult("timedOut")
        return QueueResult("completed", answer.result())
    finally:
        queue.forget_answer(stored)


async def store(queue: MessageQueue, name: str, body: Any, *, answer: bool = False) -> StoredMessage:
    """`MessageQueue.send` for a caller outside the actor, to whom a message that cannot be kept is a mistake in the message.

    Raises:
        ActorError: queue.invalid_payload for what decodes but has no row (QUEUE-010); and those of `MessageQueue.send`.
    """
    try:
        return await queue.send(name, body, answer=answer)
    except Unstorable as error:
        raise make_error("queue.invalid_payload") from error


async def _check_guard(guard: UserFunction, c: object, name: str) -> None:
    answer = guard.function(c)
    if guard.is_async or inspect.isawaitable(answer):
        answer = await answer
    if not isinstance(answer, bool):
        raise TypeError(f"can_publish of queue '{name}' must return a bool, got {answer!r}")
    if not answer:
        raise forbidden()
