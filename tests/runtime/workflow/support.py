"""One scripted workflow on the real runtime, SQLite storage and virtual time. Its code may differ from generation to generation."""

import asyncio

from structlog.testing import capture_logs

from runtime.declaration.options import Options
from runtime.storage.base import Put
from runtime.storage.sqlite import SQLiteStorage
from runtime.workflow import workflow
from runtime.workflow.history import TABLE, History, path_text
from tests.runtime.actor.support import Actor, World, action, virtual

__all__ = ["Flow", "virtual"]


class BreakableStorage(SQLiteStorage):
    """Refuses the commits that `refuse(ops)` says; `commits` are the accepted batches."""

    def __init__(self, directory):
        super().__init__(directory)
        self.refuse = lambda ops: False
        self.commits = []

    async def commit(self, scope, ops):
        ops = list(ops)
        if self.refuse(ops):
            raise OSError("disk full")
        self.commits.append(ops)
        await super().commit(scope, ops)


class Flow(World):
    """A workflow actor and its host.

    Attributes:
        initial: The actor's initial state.
        body: The code of the workflow; bodies append to `log` what they do.
        events: What the error hook got.
        records: The log records of the runtime.
    """

    def __init__(self, directory):
        flow = self
        self.initial = {"n": 0, "log": []}

        class Scripted(Actor):
            name = "scripted"
            options = Options(sleep_timeout=1.0, sleep_grace_period=2.0)
            state = self.initial
            vars = {}

            @workflow
            async def run(self, ctx):
                return await flow.body(ctx)

            @run.on_error
            def failed(self, c, event):
                flow.events.append(event)
                if flow.hook is not None:
                    flow.hook(c, event)

            @action
            def read(self, c):
                return {"n": c.state.n, "log": list(c.state.log)}

            @action
            async def send(self, c, name, body=None):
                await c.queue.send(name, body)

        super().__init__(Scripted)
        self.storage = BreakableStorage(directory)
        self.body = None
        self.hook = None
        self.log = []
        self.events = []
        self._capture = capture_logs()

    async def __aenter__(self):
        self.records = self._capture.__enter__()
        return await super().__aenter__()

    async def __aexit__(self, *error):
        try:
            await super().__aexit__(*error)
        finally:
            await self.storage.close()
            self._capture.__exit__(*error)

    async def begin(self, body=None):
        """Start a generation, with new code if given; a live one is stopped first."""
        if self._stopping is not None:
            await self.asleep()
        elif self.task is not None:
            await self.stop()
        self.body = body or self.body
        self.records.clear()
        return await self.start()

    async def finish(self, body=None):
        """A generation until its run handler has ended."""
        await self.begin(body)
        await self.ended()
        return (await self.stored()).outcome

    async def ended(self):
        """The run handler of the live generation has ended."""
        await self.until(lambda: self.task is None or not self.task.run.active)

    async def until(self, condition, within=120.0):
        """Wait on virtual time; what it waits for may also be a coroutine function."""
        async with asyncio.timeout(within):
            while True:
                found = condition()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.005)

    async def lose(self):
        """End the generation so that nothing it still writes is stored."""
        self.storage.refuse = lambda ops: True
        await self.stop()
        self.storage.refuse = lambda ops: False
        self.stop_error = None

    async def stored(self):
        """The history in storage."""
        return History.load(await self.storage.scan(self.actor_id, TABLE))

    async def state(self):
        """The stored workflow state."""
        return (await self.stored()).outcome.state

    async def paths(self, kind=None):
        """Paths of the stored entries in order of their creation."""
        entries = sorted((await self.stored()).entries.values(), key=lambda entry: entry.order)
        return [path_text(entry.location) for entry in entries if kind in (None, entry.kind)]

    async def entry(self, path):
        """A stored entry by its path, None when there is none."""
        return next((entry for entry in (await self.stored()).entries.values() if path_text(entry.location) == path), None)

    async def queued(self):
        """Rows of the messages in storage."""
        return await self.storage.scan(self.actor_id, "queue")

    def workflow_commits(self):
        """The batches that hold rows of the workflow."""
        return [ops for ops in self.storage.commits if any(op.table == TABLE for op in ops)]

    def note(self, text, value=None):
        """A step body that notes that it ran and returns a value."""

        def body(step):
            self.log.append(text)
            return value

        return body

    def run_failures(self):
        """The messages of run handlers that failed."""
        return [record["error"] for record in self.records if record["event"] == "run handler failed"]

    def warnings(self):
        """Texts of the warnings."""
        return [record["event"] for record in self.records if record["log_level"] == "warning"]


def is_workflow_write(ops):
    """Whether a batch writes workflow rows."""
    return any(isinstance(op, Put) and op.table == TABLE for op in ops)


def failing(error, log=None, text="fail"):
    """A step body that raises."""

    def body(step):
        if log is not None:
            log.append(text)
        raise error

    return body
