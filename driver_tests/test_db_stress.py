"""Suite actor-db-stress: bulk work, many actors, integrity across cycles."""

from __future__ import annotations

import asyncio

import pytest

from harness import requirement, suite

pytestmark = suite("actor-db-stress")


@requirement("DB-110", "DB-329", "DB-342")
@pytest.mark.parametrize("size", [10, 1000, 5000])
async def test_batch(conform, size):
    """One insert of many rows."""
    actor = conform.get_or_create("dbStressActor")
    assert await actor.action("insertBatch", size) == {"count": size}
    assert await actor.action("getCount") == size


@requirement("DB-142", "DB-347")
async def test_write_and_verify(conform):
    """Rows written one after the other are all seen by the next query."""
    assert await conform.get_or_create("dbStressActor").action("writeAndVerify", 300) == 300


@requirement("DB-142", "DB-344")
async def test_meta_upserts(conform):
    """Replacing the same keys again and again keeps one row each."""
    assert await conform.get_or_create("dbStressActor").action("upsertMetaRows", 200) == 32


@requirement("DB-154")
async def test_actor_stays_responsive(conform):
    """Actions of the same actor are answered while it writes."""
    actor = conform.get_or_create("dbStressActor")
    work = asyncio.ensure_future(actor.action("measureEventLoopHealth", 500))
    counts = [await actor.action("getCount") for _ in range(3)]
    result = await work
    assert result["insertCount"] == 500
    assert counts == sorted(counts)
    assert await actor.action("getCount") == 500


@requirement("DB-148", "DB-330", "DB-340")
@pytest.mark.parametrize("rounds", [1, 12, 40])
async def test_kitchen_sink(conform, rounds):
    """Parallel statements, transactions, savepoints, rollbacks, VACUUM: the counts are exact and the file is sound."""
    found = await conform.get_or_create("dbStressActor").action("kitchenSinkSmoke", rounds)
    assert found["integrity"] == "ok"
    assert found["metaCount"] == min(rounds, 17) + 2
    assert found["pageCount"] > 0
    again = await conform.get_or_create("dbStressActor").action("getCount")
    assert again == found["dataCount"]


@requirement("DB-005", "DB-330", "DB-340")
async def test_integrity_across_cycles(conform, boundary):
    """Three cycles of bulk writes and sleep."""
    for cycle in range(1, 4):
        actor = conform.get_or_create("dbStressActor")
        await actor.action("insertBatch", 200)
        assert await actor.action("getCount") == 200 * cycle
        await boundary.sleep(actor)
    assert await conform.get_or_create("dbStressActor").action("integrityCheck") == "ok"


@requirement("DB-007", "DB-346")
async def test_create_and_destroy_in_turn(conform, boundary):
    """Five lives of one key, each with an empty database."""
    for _ in range(5):
        actor = conform.get_or_create("dbStressActor")
        assert await actor.action("getCount") == 0
        await actor.action("insertBatch", 10)
        await boundary.destroy(actor)


@requirement("DB-001", "DB-154")
async def test_many_actors_at_once(conform):
    """Twenty actors write at the same time, each into its own database."""
    actors = [conform.get_or_create("dbStressActor", conform.unique_key()) for _ in range(20)]
    await asyncio.gather(*(actor.action("writeAndVerify", 10 + index) for index, actor in enumerate(actors)))
    assert await asyncio.gather(*(actor.action("getCount") for actor in actors)) == [10 + index for index in range(20)]


@requirement("DB-126")
async def test_reset(conform):
    """Emptying all tables."""
    actor = conform.get_or_create("dbStressActor")
    await actor.action("kitchenSinkSmoke", 5)
    await actor.action("reset")
    assert await actor.action("getCount") == 0
