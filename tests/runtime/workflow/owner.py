"""The least that a workflow can live on: an owner whose storage is a list of batches."""

from types import SimpleNamespace

import structlog

from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.lifecycle.states import LifecycleState
from runtime.workflow.context import WorkflowContext
from runtime.workflow.workflow_run import WorkflowRun


class FakeOwner:
    """`WorkflowOwner` and `RunContext` in one. `batches` are the saved and committed batches; `refuse` is raised by the next of them."""

    actor_id, name, key, state, workflow = "actor1", "fake", (), None, None

    def __init__(self, *, rows=(), queue=None):
        self.log, self.abort, self.state_name = structlog.get_logger(), AbortSignal(), LifecycleState.STARTED
        self.batches, self.changes, self.wakes, self.kept, self.refuse = [], [], [], [], None
        self.definition = SimpleNamespace(has_state=False)
        self.storage, self.saver, self.run = SimpleNamespace(scan=self._scan), self, self
        self.rows, self.queue, self.changed, self.wait_until = rows, queue, self.changes.append, self.kept.append

    async def _scan(self, table):
        return self.rows

    async def save_now(self, extra=tuple):
        await self.commit(extra())

    async def commit(self, ops):
        error, self.refuse = self.refuse, None
        if error is not None:
            raise error
        # A flush of deletions alone brings nothing along.
        if ops:
            self.batches.append(list(ops))

    async def set_wake_at(self, epoch_ms):
        self.wakes.append(epoch_ms)

    def context(self):
        return self


def run_of(owner=None, on_error=None):
    """A workflow of a new generation."""
    owner = owner or FakeOwner()
    return WorkflowRun(owner, owner, on_error)


def scope_of(run=None):
    """A root scope."""
    return WorkflowContext(run or run_of())


def keys(batch):
    """First letters of the rows of a batch."""
    return "".join(sorted({op.key[:1].decode() for op in batch}))
