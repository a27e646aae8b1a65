"""One workflow of one live generation: what all its contexts share.

`WorkflowRun` owns the history and its flushes, the pass in progress, and the tasks of step bodies. Contexts (`context.py`) order the
work; `passes.py` runs pass after pass.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.observer import Part
from runtime.errors import contained, raise_contained, said_by
from runtime.protocol.storable import Unstorable
from runtime.workflow.errors import ControlFlow, Evicted, RollbackStop
from runtime.workflow.history import TABLE, Entry, FlushTooLargeError, History, Location, copied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.storage.base import Op
    from runtime.workflow.history import Changes
    from runtime.workflow.ports import Messages, RunContext, WorkflowOwner

# From here on the actor itself saves nothing more: rows that came later would show work whose state is lost (WF-145).
_OVER = (LifecycleState.SLEEP_FINALIZE, LifecycleState.DESTROYING, LifecycleState.TERMINATED)


@dataclass(slots=True)
class Pass:
    """One execution of the workflow function. `rollback` passes execute nothing new and collect handlers (WF-133)."""

    rollback: bool = False
    visited: set[Location] = field(default_factory=set)
    handlers: list[tuple[Entry, Callable[..., Any]]] = field(default_factory=list)
    uncompleted: list[Any] = field(default_factory=list)


class Flush:
    """What one flush takes out of a history, when it is told to."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._taken: Changes | None = None
        self.deletions: list[Op] = []

    def take(self) -> list[Op]:
        """The writes of this moment."""
        writes, self.deletions, self._taken = self._history.take_changes()
        return writes

    def give_back(self) -> None:
        """They were not written, as far as is known (WF-143)."""
        if self._taken is not None:
            self._history.restore(self._taken)

    def give_back_deletions(self) -> None:
        """The writes are durable, what follows them is not (WF-144)."""
        if self._taken is not None:
            self._history.restore_deletions(self._taken)


class WorkflowRun:
    """The workflow of one generation. Not for user code."""

    def __init__(self, owner: WorkflowOwner, context: RunContext, on_error: Callable[..., Any] | None) -> None:
        self._owner = owner
        self.context = context
        self.history = History()
        self.current = Pass()
        self._on_error = on_error
        self._flushing = asyncio.Lock()
        self._bodies: set[asyncio.Task[Any]] = set()

    async def load(self) -> None:
        """Read the history from storage."""
        rows = await self._owner.storage.scan(TABLE)
        self.history = History.load(rows)

    def publish(self) -> None:
        """Let inspectors find this workflow: from now on its history in memory is newer than the stored one (WF-221)."""
        self._owner.workflow = self
        # Also told to who watches: behind a replay it is another history, and the first flush of the new run may be far.
        self._owner.changed(Part.WORKFLOW)

    @property
    def abort(self) -> AbortSignal:
        """Fires when grace begins."""
        return self._owner.abort

    @property
    def has_state(self) -> bool:
        """Whether the actor has state."""
        return self._owner.definition.has_state

    @property
    def stopping(self) -> bool:
        """Whether the generation is stopping."""
        return self.abort.aborted

    def fresh_queue(self) -> Messages:
        """The queue as a new invocation sees it.

        Not the run handler's own view: that one refuses a second receive while a completable message is open, and a workflow that was
        replayed gets its open messages back from the history, not from the queue.
        """
        return self._owner.context().queue

    def check_evicted(self) -> None:
        """End the pass when the generation is stopping (WF-025)."""
        if self.stopping:
            raise Evicted

    async def flush(self) -> None:
        """Write everything that changed, with the actor's state, in one batch (WF-140).

        A failed flush leaves everything unsaved for the next one (WF-143). Deletions follow in a batch of their own (WF-144).

        Raises:
            Evicted: Grace is over: what late code has to say must not be recorded (WF-145).
        """
        if self._owner.state_name in _OVER:
            raise Evicted
        # Branches flush together. Inside the lock, because what a caller wants durable may be under way with the flush before.
        async with self._flushing:
            if not self.history.is_dirty:
                return
            flush = Flush(self.history)
            try:
                # Through the saver, which takes them at the moment at which it takes the state (WF-140): the end of a step that another
                # branch came to meanwhile must not miss in the batch that has what the step did to the state.
                await self._owner.saver.save_now(flush.take)
            except BaseException:
                # Also for a cancelled caller: whether the batch went through is unknown, and writing it twice does no harm.
                flush.give_back()
                raise
            if flush.deletions:
                try:
                    await self._owner.commit(flush.deletions)
                except BaseException as error:
                    # They go with the next flush, not lost for this generation. What the caller wants durable is: for it nothing failed.
                    flush.give_back_deletions()
                    if not isinstance(error, Exception):
                        raise
                    self._owner.log.warning("workflow rows could not be deleted yet", error=repr(error))
        self._owner.changed(Part.WORKFLOW)

    async def mark(self, location: Location, kind: str, data: dict[str, Any]) -> None:
        """Record, when first reached, an entry that has no outcome of its own."""
        if self.history.find(location, kind) is not None:
            return
        if self.current.rollback:
            raise RollbackStop
        self.history.add(location, kind, data)
        await self.flush()

    async def record(self) -> None:
        """Flush what becomes of a failed workflow, without entries that have no place in it."""
        try:
            await self.flush()
        except (FlushTooLargeError, Unstorable):
            # That it failed is small and always fits; the entry that did not fit would stand in the way for ever (WF-182).
            self.history.give_up()
            await self.flush()

    def start_body(self, body: Awaitable[Any]) -> asyncio.Task[Any]:
        """Run a step body as a task that outlives a time-out of its attempt (WF-047) but not the generation."""

        async def invoke() -> Any:
            try:
                return await body
            except ControlFlow:
                raise
            except BaseException as error:
                raise_contained(error)

        child = asyncio.get_running_loop().create_task(invoke())
        self._bodies.add(child)
        child.add_done_callback(self._bodies.discard)
        return child

    async def close(self) -> None:
        """Step bodies that still run, after a time-out: cancelled in a stopping generation (WF-193), else left to it (WF-047)."""
        bodies = list(self._bodies)
        # The workflow has ended but its actor goes on: the bodies are work of the actor now, which its grace waits for.
        if not self.stopping:
            for body in bodies:
                self.context.wait_until(body)
            return
        for body in bodies:
            body.cancel()
        await asyncio.gather(*bodies, return_exceptions=True)

    async def report(self, event: dict[str, Any]) -> None:
        """Call the error hook; what it raises is logged and ignored (WF-170, WF-173)."""
        if self._on_error is None:
            return
        try:
            # A copy: parts of the event are recorded, and a hook may do to it what it likes (WF-022).
            result = self._on_error(self.context, copied(event))
            if hasattr(result, "__await__"):
                await result
        except BaseException as error:
            self._owner.log.warning("workflow error hook failed", error=said_by(contained(error)))
