"""Limits of an actor's database that no fixture reaches (section 8.2)."""

import asyncio

import pytest

from runtime.actor.database.ended_generation import DATABASE_CLOSED, DatabaseClosedError
from runtime.actor.database.provider import raw_database
from tests.runtime.actor.support import Actor, Options, World, action, caught, virtual


@virtual
async def test_ten_gibibytes_per_actor():
    """DB-320: the database refuses to grow beyond that."""

    class Plain(Actor):
        database = raw_database()

        @action
        async def pages(self, c):
            [[size]] = [list(row.values()) for row in await c.db.execute("PRAGMA page_size")]
            [[most]] = [list(row.values()) for row in await c.db.execute("PRAGMA max_page_count")]
            return size * most

    async with World(Plain) as world:
        await world.start()
        assert await world.call("pages") == 10 * 1024**3


@virtual
async def test_a_migration_has_five_minutes():
    """DB-325: its transaction expires and the start fails, where the limit of the hooks is longer; a shorter one is kept to."""
    naps = [301, 1]

    async def nap(db):
        await asyncio.sleep(naps.pop(0))
        await db.execute("CREATE TABLE t (a)")

    class Slow(Actor):
        options = Options(on_migrate_timeout=1000)
        database = raw_database(nap)

    async with World(Slow) as world:
        began = asyncio.get_running_loop().time()
        with caught("sqlite.transaction_expired") as failure:
            await world.start()
        assert asyncio.get_running_loop().time() - began < 303
        assert "expired after 300000 ms" in failure.error.message
        await world.start()
        assert await world.task.context().db.execute("SELECT count(*) AS n FROM t") == [{"n": 0}]


@virtual
async def test_a_provider_shares_the_limit_of_the_hook():
    """DB-205: provider and hook together have on_migrate_timeout."""

    class Slow(Actor):
        options = Options(on_migrate_timeout=2)
        database = raw_database(lambda db: asyncio.sleep(1.5))

        async def on_migrate(self, c, is_new):
            await asyncio.sleep(1)

    async with World(Slow) as world:
        with caught("actor.callback_timed_out") as failure:
            await world.start()
        assert failure.error.message == "callback `onMigrate` timed out after 2000 ms"
        assert failure.error.metadata == {"callback_name": "onMigrate", "duration_ms": 2000}


@virtual
async def test_a_handle_of_an_ended_generation():
    """DB-307, DB-308: kept handle and old context fail with the plain text, also while the next generation is awake."""

    class Plain(Actor):
        database = raw_database(lambda db: db.execute("CREATE TABLE IF NOT EXISTS t (a)"))

    text = (
        "Database is closed. This usually means a background timer (setInterval, setTimeout) or a stray promise is still running after "
        "the actor stopped. Use c.abortSignal to clean up timers before the actor shuts down."
    )
    async with World(Plain) as world:
        await world.start()
        context = world.task.context()
        handle = context.db
        await world.restart()
        for stale in (lambda: handle.execute("INSERT INTO t VALUES (1)"), lambda: context.db.execute("INSERT INTO t VALUES (1)")):
            with pytest.raises(DatabaseClosedError) as failure:
                await stale()
            assert str(failure.value) == text == DATABASE_CLOSED
            assert "c.abort_signal" in failure.value.__notes__[0]
        assert await world.task.context().db.execute("SELECT * FROM t") == []
