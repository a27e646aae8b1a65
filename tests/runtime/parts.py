"""The little that a part of an actor asks of it, for tests that build one part."""

from __future__ import annotations

import asyncio
import functools
import inspect
from types import SimpleNamespace

import pytest

from harness.session.virtual_loop import VirtualLoop
from runtime.actor.lifecycle.tracked_work import WorkTracker
from runtime.declaration.options import Options
from runtime.errors import ActorError
from runtime.metrics.registry import ActorMetrics


class StorageFailure(Exception):
    pass


class Log:
    """Keeps what it is told: (level, text, fields)."""

    def __init__(self):
        self.records = []

    def __getattr__(self, level):
        return lambda event, **fields: self.records.append((level, event, fields))


class Owner(SimpleNamespace):
    """An actor of which there is nothing but what every part needs, and what the test gives it besides."""

    def __init__(self, **more):
        self.log, self.options, self.metrics = Log(), Options(), ActorMetrics()
        self.identity = SimpleNamespace(actor_id="actor1", generation=1)
        self.told, self.signals, self.failing = [], 0, 0
        self.work = WorkTracker(SimpleNamespace(changed=self._signal), self.metrics, self.log)
        self.batches, self.held, self.joining = [], None, None
        super().__init__(**more)

    def _signal(self):
        self.signals += 1

    def changed(self, part):
        self.told.append(part)

    def context(self):
        return "context"

    async def commit(self, ops):
        if self.held is not None:
            await self.held.wait()
        if self.failing:
            self.failing -= 1
            raise StorageFailure("no space left")
        self.batches.append(list(ops))

    async def commit_collected(self, collect):
        if ops := collect():
            await self.commit(ops)

    def joinable(self):
        return self.joining

    @property
    def rows(self):
        """What would be stored now, by (table, key)."""
        stored = {}
        for op in (op for batch in self.batches for op in batch):
            stored.pop((op.table, op.key), None)
            if hasattr(op, "value"):
                stored[op.table, op.key] = op.value
        return stored

    def loaded(self):
        """The same as `ActorStorage.load` gives it."""
        tables = {}
        for (table, key), value in sorted(self.rows.items()):
            tables.setdefault(table, []).append((key, value))
        return tables


def virtual(body):
    """Run an `async def` test on a loop whose clock jumps."""

    @functools.wraps(body)
    def test(*args, **kwargs):
        return run_virtual(body(*args, **kwargs))

    test.__signature__ = inspect.signature(body)
    return test


def run_virtual(coroutine):
    """The result of the coroutine on a loop whose clock jumps."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


async def failing(awaitable):
    """The name of the error that the awaitable ends with."""
    with pytest.raises(ActorError) as caught:
        await awaitable
    return caught.value.name


async def settle():
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)
