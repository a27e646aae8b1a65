"""A queue that has generations, on rows in memory."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from runtime.actor.lifecycle.abort import AbortSignal
from runtime.actor.queue.message_queue import MessageQueue
from runtime.actor.queue.user_api import QueueApi
from runtime.declaration.options import Options
from runtime.declaration.queues import QueueSpec
from tests.runtime.parts import Owner


class Generation(Owner):
    """`start_again()` is the next generation on the same rows; `c()` the queue of a fresh context."""

    def __init__(self, *, options=None, queues=None, batches=()):
        self.queues = queues or {}
        definition = SimpleNamespace(queues={name: QueueSpec.of(queue) for name, queue in self.queues.items()})
        super().__init__(options=options or Options(), definition=definition, batches=list(batches))
        self.abort = AbortSignal()
        self.queue = MessageQueue(self)
        self.queue.load(self.loaded())

    def c(self):
        return QueueApi(self.queue, self.abort)

    async def start_again(self):
        await self.queue.drain()
        return Generation(options=self.options, queues=self.queues, batches=self.batches)


async def send(owner, *names):
    """Send at once, all of them."""
    return await asyncio.gather(*(owner.c().send(name) for name in names))
