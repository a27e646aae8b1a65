"""The part of an actor task that queue, key-value entries and database see, with real parts and a storage that can fail."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import structlog

from harness.session.virtual_loop import VirtualLoop
from runtime.actor.database.actor_database import ActorDatabase
from runtime.actor.kv import KeyValue
from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.lifecycle.activity import Activity
from runtime.actor.lifecycle.work import WorkTracker
from runtime.actor.queue.message_queue import MessageQueue
from runtime.actor.queue.user_api import QueueApi
from runtime.declaration.options import Options
from runtime.declaration.queues import QueueSpec
from runtime.errors import ActorError
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.metrics.registry import ActorMetrics
from runtime.storage.memory import MemoryStorage


class StorageFailure(Exception):
    pass


class Owner:
    """One generation of one actor. `start_again()` is its next generation on the same storage."""

    def __init__(self, *, options=None, queues=None, database=None, disk=None, generation=1):
        self.disk = disk or MemoryStorage()
        self.storage = GenerationStorage(self.disk, "actor1", generation)
        self.identity = SimpleNamespace(actor_id="actor1", generation=generation)
        self.queues = queues or {}
        self.definition = SimpleNamespace(queues={name: QueueSpec.of(queue) for name, queue in self.queues.items()}, database=database)
        self.options = options or Options()
        self.log = structlog.get_logger()
        self.metrics = ActorMetrics()
        self.abort = AbortSignal()
        self.evaluations = 0
        self.activity = Activity(self._evaluate)
        self.work = WorkTracker(self.activity, self.metrics, self.log)
        self.failures = []
        self.fail_next_commits = 0
        self.hold_commits = None
        self.queue = MessageQueue(self)
        self.database = ActorDatabase("actor1", self.storage, database, self.log, self.fail)
        self.kv = KeyValue(self)

    def _evaluate(self):
        self.evaluations += 1

    def changed(self, part):
        """Nobody watches."""

    def fail(self, error):
        self.failures.append(error)

    async def commit(self, ops):
        if self.hold_commits is not None:
            await self.hold_commits.wait()
        if self.fail_next_commits:
            self.fail_next_commits -= 1
            raise StorageFailure("no space left")
        await self.storage.commit(ops)

    def context(self):
        """A fresh invocation's view of the queue."""
        return QueueApi(self.queue, self.abort)

    async def start(self):
        await self.disk.open()
        self.queue.load(await self.storage.load())
        await self.database.migrate()
        return self

    async def start_again(self):
        await self.queue.drain()
        await self.database.close()
        following = Owner(
            options=self.options,
            queues=self.queues,
            database=self.definition.database,
            disk=self.disk,
            generation=self.identity.generation + 1,
        )
        return await following.start()


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
