"""Queue receives of a workflow: recorded, replayable, completable (section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.errors import make_error
from runtime.workflow.errors import RollbackStop, Yield
from runtime.workflow.history import COMPLETED, Entry, copied, path_text
from runtime.workflow.sleep import deadline_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.workflow.scope import Scope


class WorkflowMessage:
    """One received message: `id`, `name`, `body`, `created_at` (epoch ms); `complete(response)` when received completable."""

    def __init__(self, scope: Scope, entry: Entry, completable: bool) -> None:
        data = entry.data["messageData"]
        self.id = int(data["id"])
        self.name: str = data["name"]
        self.body: Any = copied(data["body"])
        self.created_at: int = data["createdAt"]
        self._scope = scope
        self._entry = entry
        self._completable = completable
        self._done = False

    @property
    def completed(self) -> bool:
        """Whether the message needs no completion any more."""
        return not self._completable or bool(self._entry.data["messageData"]["completed"])

    async def complete(self, response: Any = None) -> None:
        """Remove the message from the queue and answer its sender (WF-098, WF-100, WF-101).

        Raises:
            RuntimeError: This message object was completed before.
            ActorError: queue.complete_not_configured when it was received without `completable`.
        """
        if not self._completable:
            raise make_error("queue.complete_not_configured", name=self.name)
        if self._done:
            raise RuntimeError("Queue message already completed")
        run = self._scope.run
        # Completed in an earlier pass: recorded, and the message is gone from the queue (WF-101).
        if not self.completed:
            # The sender first: after a crash in between the message is completed again, and an unknown id is no error.
            await run.context.queue.complete({"id": self.id, "name": self.name}, response)
            self._entry.data = {**self._entry.data, "messageData": {**self._entry.data["messageData"], "completed": True}}
            run.history.touch(self._entry)
            await run.flush()
        self._done = True


class WorkflowQueue:
    """`ctx.queue` of a workflow. The first argument of each receive is the entry name, not the queue name."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def next(
        self, entry: str, *, names: Sequence[str] = (), timeout: float | None = None, completable: bool = False
    ) -> WorkflowMessage:
        """Wait for one message; raises `TimeoutError` at the deadline (WF-094)."""
        batch = await self.next_batch(entry, names=names, timeout=timeout, completable=completable)
        if not batch:
            raise TimeoutError(
                f'queue.next("{entry}") timed out before receiving a message. Use queue.nextBatch(...) for optional/time-limited reads.'
            )
        return batch[0]

    async def next_batch(
        self, entry: str, *, names: Sequence[str] = (), count: int = 1, timeout: float | None = None, completable: bool = False
    ) -> list[WorkflowMessage]:
        """Wait for 1..count messages; an empty list at the deadline (WF-091, WF-094)."""
        # In the order given: the label in the history names them so.
        wanted = tuple(dict.fromkeys(names))
        scope = self._scope
        async with scope.entering(entry):
            # Both belong to the entry, though a given pass may come by one of them only.
            scope.run.current.visited.update((*scope.location, f"{entry}:{part}") for part in ("count", "deadline"))
            counted = scope.run.history.find((*scope.location, f"{entry}:count"), "message")
            if counted is not None:
                return self._replay(entry, int(counted.data["messageData"]), completable)
            if scope.run.current.rollback:
                raise RollbackStop
            # The workflow's own check: after a wake the queue does not know that its messages were handed out before (WF-102).
            if any(not message.completed for message in scope.run.current.uncompleted):
                raise make_error("queue.previous_message_not_completed")
            return await self._receive(entry, wanted, max(1, count), timeout, completable)

    def _replay(self, entry: str, count: int, completable: bool) -> list[WorkflowMessage]:
        scope = self._scope
        messages = []
        for index in range(count):
            location = (*scope.location, f"{entry}:{index}")
            scope.run.current.visited.add(location)
            stored = scope.run.history.find(location, "message")
            if stored is not None:
                messages.append(WorkflowMessage(scope, stored, completable))
        scope.run.current.uncompleted += messages
        return messages

    async def _receive(
        self, entry: str, names: tuple[str, ...], count: int, timeout: float | None, completable: bool
    ) -> list[WorkflowMessage]:
        scope, history = self._scope, self._scope.run.history
        deadline = None
        if timeout is not None:
            deadline = await deadline_entry(scope, f"{entry}:deadline", clock.now_ms() + max(0, round(timeout * 1000)))
        # Taken before it is recorded: a crash in between loses messages that need no completion, as the specification has it (WF-097).
        queue = scope.run.fresh_queue()
        if count > 1:
            # What is taken and cannot be recorded would be lost; the others stay for the next receive (WF-091, WF-142).
            count = history.fitting(queue.sizes(names, count=count), around=len(path_text((*scope.location, entry))))
        received = await queue.try_next_batch(names, count=count, completable=completable)
        if not received and deadline is None:
            raise Yield(names=names)
        if not received and deadline is not None and clock.now_ms() < deadline.data["deadline"]:
            raise Yield(deadline.data["deadline"], names)
        if deadline is not None:
            deadline.data = {**deadline.data, "state": "interrupted" if received else COMPLETED}
            history.touch(deadline)
        label = "|".join(names) or "*"
        # Recorded for no message, too: that the time was up is an outcome and must replay (WF-094).
        history.add((*scope.location, f"{entry}:count"), "message", {"name": f"{label}:count", "messageData": len(received)})
        messages = []
        for index, message in enumerate(received):
            data = {
                "__rivetWorkflowQueueMessage": 1,
                "id": str(message.id),
                "name": message.name,
                "body": message.body,
                "createdAt": message.created_at,
                "completed": False,
            }
            location = (*scope.location, f"{entry}:{index}")
            scope.run.current.visited.add(location)
            stored = history.add(location, "message", {"name": message.name, "messageData": data})
            messages.append(WorkflowMessage(scope, stored, completable))
        scope.run.current.uncompleted += messages
        await scope.run.flush()
        return messages
