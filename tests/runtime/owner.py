"""Entries and database of one actor, both real, on a storage in memory."""

from __future__ import annotations

from types import SimpleNamespace

import structlog

from runtime.actor.database.actor_database import ActorDatabase
from runtime.actor.database.pool import DatabasePool
from runtime.actor.kv import KeyValue
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.memory import MemoryStorage
from tests.runtime import parts


class Owner(parts.Owner):
    """One generation. `start_again()` is the next one on the same storage."""

    def __init__(self, *, database=None, disk=None, generation=1):
        super().__init__(definition=SimpleNamespace(database=database), disk=disk or MemoryStorage(), failures=[])
        self.log = structlog.get_logger()
        self.identity.generation = generation
        self.storage = GenerationStorage(self.disk, "actor1", generation, DatabasePool(1))
        self.database = ActorDatabase("actor1", self.storage, database, self.log, self.failures.append)
        self.kv = KeyValue(self)

    async def commit(self, ops):
        await self.storage.commit(ops)

    async def start(self):
        await self.disk.open()
        await self.database.migrate()
        return self

    async def start_again(self):
        await self.database.close()
        return await Owner(database=self.definition.database, disk=self.disk, generation=self.identity.generation + 1).start()
