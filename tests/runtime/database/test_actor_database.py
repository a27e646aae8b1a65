"""The database of one generation from its opening to its end."""

import asyncio

import pytest
import structlog

from runtime.actor.database.actor_database import ActorDatabase
from runtime.actor.database.ended_generation import DatabaseClosedError
from runtime.actor.database.pool import DatabasePool
from runtime.actor.database.provider import raw_database
from runtime.errors import ActorError
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.memory import MemoryStorage


async def generation(provider=None, disk=None):
    disk = disk or MemoryStorage()
    await disk.open()
    return ActorDatabase("actor1", GenerationStorage(disk, "actor1", 1, DatabasePool(1)), provider, structlog.get_logger(), print)


async def test_without_a_provider_only_inspectors_have_a_client():
    database = await generation()
    await database.migrate()
    with pytest.raises(ActorError) as refused:
        database.client  # noqa: B018 - the look-up raises
    assert refused.value.name == "actor.database_not_configured"
    assert await (await database.inspector_client()).execute("SELECT 1 AS n") == [{"n": 1}]
    await database.close()


async def test_a_failed_migration_closes_the_database():
    database = await generation(raw_database(lambda db: db.execute("NO SQL")))
    with pytest.raises(ActorError):
        await database.migrate()
    with pytest.raises(DatabaseClosedError):
        await database.inspector_client()


async def test_entries_wait_behind_a_transaction_and_stop_with_the_fence():
    database = await generation(raw_database())
    await database.migrate()
    await database.gate()
    inside, go = asyncio.Event(), asyncio.Event()

    async def work(tx):
        inside.set()
        await go.wait()

    transaction = asyncio.create_task(database.client.transaction(work))
    await inside.wait()
    waiting = asyncio.create_task(database.gate())
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    await asyncio.gather(transaction, waiting)
    database.fence()
    with pytest.raises(ActorError, match="closed"):
        await database.gate()
    await database.close()
