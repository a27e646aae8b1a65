"""Queue sends from outside (WIRE-330..337). The actor's own `c.queue.send` does not come through here (ACCESS-023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.queue.external_send import send_external

if TYPE_CHECKING:
    from runtime.actor.calls.context import Context
    from runtime.actor.calls.transient_calls import TransientCalls
    from runtime.actor.queue.message_queue import MessageQueue
    from runtime.declaration.definition import ActorDefinition
    from runtime.http import Request
    from runtime.protocol.messages import QueueResult, QueueSend


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

    def __init__(self, owner: SendingOwner, calls: TransientCalls) -> None:
        self._owner = owner
        self._calls = calls

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
