"""Admission: work from outside goes through the dispatch inbox before it reaches user code (TASK-003, TASK-005, TASK-022).

Why an inbox between a request and its action, when both run on one loop: the inbox bounds how much may wait, gives lifecycle commands
their precedence over calls (TASK-010), and is the one place to fail whatever a stop finds still waiting (SLEEP-072).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from runtime.errors import ActorError, make_error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from runtime.actor.hook_timeouts import Children
    from runtime.actor.lifecycle.inbox import Inbox


class AdmittingOwner(Protocol):
    """What admission asks of the actor."""

    @property
    def debug(self) -> bool:
        """Whether records of level debug are wanted."""
        ...

    @property
    def log(self) -> Any:
        """Where they go."""
        ...

    @property
    def work(self) -> Children:
        """Whose children the admitted work becomes."""
        ...

    @property
    def dispatch_inbox(self) -> Inbox[Any]:
        """Where admitted work waits for its turn."""
        ...

    def accepting(self) -> None:
        """Return if new work is accepted now; raises actor.starting, actor.stopping or actor.destroying."""


class Admission:
    """One item of the dispatch inbox: starts its work, or fails its caller."""

    __slots__ = ("_children", "_make", "_reply")

    def __init__(self, children: Children, make: Callable[[], Coroutine[Any, Any, Any]], reply: asyncio.Future[Any] | None) -> None:
        self._children = children
        # A coroutine made here and never started would warn that nobody awaited it.
        self._make = make
        self._reply = reply

    def start(self) -> None:
        """Hand the work to user code."""
        child = self._children.adopt(self._make())
        if self._reply is not None:
            child.add_done_callback(self._lost)

    def fail(self, error: ActorError) -> None:
        """The task ended before the work could start."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    def _lost(self, child: asyncio.Task[Any]) -> None:
        # A child cancelled before its first step settles nothing itself, and its caller must not wait for ever (SLEEP-052).
        reply = self._reply
        assert reply is not None
        if not reply.done():
            reply.set_exception(make_error("actor.dropped_reply"))


class Admissions:
    """The door to the dispatch inbox of one actor."""

    def __init__(self, owner: AdmittingOwner) -> None:
        self._owner = owner

    def admit(self, operation: str, make: Callable[[], Coroutine[Any, Any, Any]], reply: asyncio.Future[Any] | None = None) -> None:
        """Put work into the dispatch inbox; it runs as a child of the actor once the task gets to it.

        Args:
            operation: What it is, in the error and the log.
            make: Makes the work, when its turn has come.
            reply: What fails when the work never runs or gives no answer.

        Raises:
            ActorError: actor.overloaded; what `accepting` raises (TASK-003, TASK-022).
        """
        owner = self._owner
        if owner.debug:
            self._admit_and_tell(operation, make, reply)
            return
        owner.accepting()
        owner.dispatch_inbox.try_send(operation, lambda: Admission(owner.work, make, reply))

    async def admit_due(self, operation: str, make: Callable[[], Coroutine[Any, Any, Any]], reply: asyncio.Future[Any]) -> None:
        """`admit` for work that was accepted long ago: it is not asked whether new work is, and waits for room instead of being refused.

        Raises:
            ActorError: What the inbox was closed with: the generation is over.
        """
        inbox = self._owner.dispatch_inbox
        # It is emptied in each turn of the loop, so there is no event to wait for but the next turn.
        while len(inbox) >= inbox.capacity:  # noqa: ASYNC110
            await asyncio.sleep(0)
        inbox.try_send(operation, lambda: Admission(self._owner.work, make, reply))

    # The same once more, with records of it: the common case must not pay for building them.
    def _admit_and_tell(self, operation: str, make: Callable[[], Coroutine[Any, Any, Any]], reply: asyncio.Future[Any] | None) -> None:
        owner, outcome = self._owner, "rejected_lifecycle"
        owner.log.debug("actor dispatch command received", command=operation)
        try:
            owner.accepting()
            outcome = "enqueue_failed"
            owner.dispatch_inbox.try_send(operation, lambda: Admission(owner.work, make, reply))
            outcome = "enqueued"
        finally:
            owner.log.debug("actor dispatch command handled", command=operation, outcome=outcome)
