"""Suite actor-db-lifecycle: provider calls, migrations, hook order, sleep, destroy, failed starts."""

from __future__ import annotations

import pytest

from harness import requirement, suite, timing, untimed

pytestmark = [suite("actor-db-lifecycle"), timing]


async def counted(conform, actor_id):
    """How often the provider created a client and migrated for an actor."""
    return await conform.get_or_create("dbLifecycleObserver", ["observer"]).action("getCounts", actor_id)


@requirement("DB-100")
@untimed
async def test_provider_called_once(conform):
    """One generation makes one client and one migration."""
    actor = conform.get_or_create("dbLifecycle")
    actor_id = await actor.action("getActorId")
    await actor.action("insertValue", "a")
    await actor.action("insertValue", "b")
    assert await counted(conform, actor_id) == {"create": 1, "migrate": 1}
    assert await actor.action("getCount") == 2


@requirement("DB-100", "DB-200", "DB-208")
@pytest.mark.parametrize("cycles", [1, 3])
async def test_provider_called_per_generation(conform, boundary, cycles):
    """Each wake makes a client and migrates again; rows are intact."""
    actor = conform.get_or_create("dbLifecycle")
    actor_id = await actor.action("getActorId")
    for cycle in range(cycles):
        actor = conform.get_or_create("dbLifecycle")
        await actor.action("insertValue", f"row-{cycle}")
        await boundary.sleep(actor)
    assert await conform.get_or_create("dbLifecycle").action("getCount") == cycles
    assert await counted(conform, actor_id) == {"create": cycles + 1, "migrate": cycles + 1}


@requirement("DB-007", "DB-311")
async def test_destroyed_database_is_gone(conform, boundary):
    """The recreated actor migrates an empty database."""
    actor = conform.get_or_create("dbLifecycle")
    await actor.action("insertValue", "old")
    old = await boundary.destroy(actor, action="triggerDestroy")
    actor = conform.get_or_create("dbLifecycle")
    new = await actor.action("getActorId")
    assert new != old
    assert await actor.action("getCount") == 0
    assert await counted(conform, new) == {"create": 1, "migrate": 1}


@requirement("DB-001", "DB-100")
@untimed
async def test_actors_do_not_share_a_client(conform):
    """Two keys have a client each."""
    ids = [await conform.get_or_create("dbLifecycle", conform.unique_key()).action("getActorId") for _ in range(2)]
    assert ids[0] != ids[1]
    assert [await counted(conform, actor_id) for actor_id in ids] == [{"create": 1, "migrate": 1}] * 2


@requirement("DB-204", "DB-314")
async def test_failing_migration_fails_the_start(conform, expect_error, clock):
    """The caller gets a structured error, not a hang, and again the next time."""
    for _ in range(2):
        started = clock.monotonic()
        async with expect_error("guard", "actor_wake_retries_exceeded"):
            await conform.get_or_create("dbLifecycleFailing").action("ping")
        clock.took(started, conform.limit(30))


@requirement("DB-210", "DB-213")
@untimed
async def test_schema_version(conform):
    """Both migrations ran, and the version is stored."""
    actor = conform.get_or_create("dbPragmaMigrationActor")
    assert await actor.action("getSchemaVersion") == 2
    assert await actor.action("getColumns") == ["id", "name", "status"]


@requirement("DB-213")
@untimed
async def test_migrated_default(conform):
    """The second migration's column has its default."""
    actor = conform.get_or_create("dbPragmaMigrationActor")
    assert await actor.action("insertItem", "one") == {"id": 1}
    assert await actor.action("insertItemWithStatus", "two", "done") == {"id": 2}
    assert await actor.action("getItems") == [
        {"id": 1, "name": "one", "status": "active"},
        {"id": 2, "name": "two", "status": "done"},
    ]


@requirement("DB-208", "DB-213")
async def test_migrations_run_once(conform, boundary):
    """A wake runs no migration again."""
    actor = conform.get_or_create("dbPragmaMigrationActor")
    await actor.action("insertItem", "kept")
    await boundary.sleep(actor)
    actor = conform.get_or_create("dbPragmaMigrationActor")
    assert await actor.action("getSchemaVersion") == 2
    assert [item["name"] for item in await actor.action("getItems")] == ["kept"]


@requirement("DB-200", "DB-201", "DB-206", "START-012")
@pytest.mark.parametrize(
    "name", ["dbInitOrderCreateStateActor", "dbInitOrderOnCreateActor", "dbInitOrderCreateVarsActor"], ids=["state", "create", "vars"]
)
@untimed
async def test_hooks_see_the_migrated_database(conform, name):
    """The table of the migration is there, empty, before the hook."""
    assert await conform.get_or_create(name).action("getInitialCount") == 0


@requirement("DB-207")
async def test_on_wake_writes(conform, boundary):
    """Each start writes one row in onWake."""
    actor = conform.get_or_create("dbInitOrderOnWakeActor")
    assert await actor.action("getWakeCount") == 1
    await boundary.sleep(actor)
    assert await conform.get_or_create("dbInitOrderOnWakeActor").action("getWakeCount") == 2


@requirement("DB-207", "DB-301")
async def test_on_sleep_reads_and_writes(conform, boundary, eventually):
    """onSleep sees the rows and its own row is kept."""
    actor = conform.get_or_create("dbInitOrderOnSleepActor")
    actor_id = await actor.action("getActorId")
    await actor.action("insert", "one")
    await actor.action("insert", "two")
    await boundary.sleep(actor)
    observer = conform.get_or_create("dbInitOrderObserver", ["observer"])
    # An actor may be listed as asleep as soon as it wants to sleep, with its hook still at work.
    count = await eventually(
        lambda: observer.action("getOnSleepCount", actor_id), until=lambda count: count != -1, timeout=5, what="a count taken by onSleep"
    )
    assert count == 2
    assert await conform.get_or_create("dbInitOrderOnSleepActor").action("getSleepEventCount") == 1


@requirement("DB-207", "DB-311")
async def test_on_destroy_reads(conform, boundary, eventually):
    """onDestroy runs with the database open."""
    actor = conform.get_or_create("dbInitOrderOnDestroyActor")
    actor_id = await actor.action("getActorId")
    await actor.action("insert", "one")
    await boundary.destroy(actor, action="triggerDestroy")
    observer = conform.get_or_create("dbInitOrderObserver", ["observer"])
    count = await eventually(
        lambda: observer.action("getOnDestroyCount", actor_id), until=lambda count: count != -1, timeout=5, what="what onDestroy counted"
    )
    assert count == 1


@requirement("DB-001")
@untimed
async def test_observer_knows_no_stranger(conform):
    """An id that never slept or was destroyed is -1."""
    observer = conform.get_or_create("dbInitOrderObserver", ["observer"])
    assert await observer.action("getOnSleepCount", "nobody") == -1
    assert await observer.action("getOnDestroyCount", "nobody") == -1


@requirement("TASK-201", "DB-207")
async def test_scheduled_action_writes(conform, eventually):
    """A scheduled action changes state and database."""
    actor = conform.get_or_create("scheduledDb")
    await actor.action("scheduleDbWrite", 100)
    await eventually(lambda: actor.action("getLogCount"), until=lambda n: n == 1, what="the scheduled row")
    assert await actor.action("getScheduledCount") == 1


@requirement("TASK-201", "DB-207")
async def test_several_scheduled_writes(conform, eventually):
    """Several schedules each write one row."""
    actor = conform.get_or_create("scheduledDb")
    for delay in (50, 80, 110, 140):
        await actor.action("scheduleDbWrite", delay)
    await eventually(lambda: actor.action("getLogCount"), until=lambda n: n == 4, what="four scheduled rows")
    assert await actor.action("getScheduledCount") == 4
