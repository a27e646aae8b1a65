"""Suite storage-details: transactions cut by a sleep, commits beyond the page limit, many actors with databases at once."""

from __future__ import annotations

import asyncio

import pytest

from client import ActorError
from harness import requirement, suite, timing

pytestmark = [suite("storage-details"), timing]


@requirement("DB-310", "DB-305", "DB-145")
@pytest.mark.parametrize("pings", [0, 1, 5])
async def test_a_transaction_is_whole_over_a_sleep(conform, boundary, witness, pings):
    """A long transaction in progress when sleep is ordered leaves all of its rows or none."""
    seeds, churn = 60, 3000
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("insertValue", "before")
    await actor.action("reset")
    work = conform.spawn(actor.action("runMixedWorkload", seeds, churn))
    for _ in range(pings):
        await actor.action("ping")
    witness.hit("in progress", not work.done())
    await boundary.sleep(actor, via="api")
    [outcome] = await asyncio.gather(work, return_exceptions=True)
    assert not isinstance(outcome, BaseException) or isinstance(outcome, ActorError)
    # Every ninth statement of the churn deletes the row of its number; later ones bring most of them back.
    rows = set(range(seeds))
    for index in range(churn):
        (rows.discard if index % 9 == 0 else rows.add)(index % seeds)
    count = await conform.get_or_create("dbActorRaw").action("getCount")
    assert count in ((0, len(rows)) if isinstance(outcome, ActorError) else (len(rows),))
    assert await conform.get_or_create("dbActorRaw").action("integrityCheck") == "ok"


@pytest.mark.timeout(150)  # a transaction may take a minute
@requirement("DB-310", "DB-166")
async def test_a_held_transaction_does_not_outlive_its_generation(conform, boundary, eventually):
    """Sleep is ordered while an action holds a transaction that nobody releases: the next generation's database is free."""
    actor = conform.get_or_create("dbActorRaw")
    holder = conform.spawn(actor.action("holdTransaction"))
    await eventually(lambda: actor.action("isTransactionHolding"), until=lambda held: held is True, what="the open transaction")
    await boundary.sleep(actor, via="api", timeout=90)
    assert await conform.get_or_create("dbActorRaw").action("insertValue", "free") == {"id": 1}
    [outcome] = await asyncio.gather(holder, return_exceptions=True)
    assert not isinstance(outcome, BaseException) or isinstance(outcome, ActorError)


@requirement("DB-321", "DB-330")
@pytest.mark.parametrize("size", [1_400_000, 3_000_000])
async def test_a_commit_beyond_the_page_limit(conform, boundary, size):
    """If it is refused nothing of it is stored, else all of it (a runtime may have no such limit); the database stays sound and usable."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("insertValue", "before")
    try:
        made = await actor.action("insertPayloadOfSize", size)
    except ActorError as error:
        if error.name not in ("core.internal_error", "sqlite.remote_execution_failed", "rivetkit.internal_error"):
            raise
        rows = ["before"]
    else:
        assert await actor.action("getPayloadSize", made["id"]) == size
        rows = ["before", "payload"]
    await actor.action("insertValue", "after")
    assert [await actor.action("getValue", number) for number in range(1, len(rows) + 2)] == [*rows, "after"]
    assert await actor.action("getCount") == len(rows) + 1
    assert await actor.action("integrityCheck") == "ok"
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("dbActorRaw").action("getCount") == len(rows) + 1


@requirement("DB-345", "DB-007", "DB-001")
async def test_churn_of_many_actors(conform, boundary):
    """Twelve actors insert, sleep and insert; half of them are destroyed while the others sleep: each survivor has its rows."""
    keys = [conform.unique_key() for _ in range(12)]

    def actors():
        return [conform.get_or_create("dbLifecycle", key) for key in keys]

    await asyncio.gather(*(actor.action("insertValue", "one") for actor in actors()))
    await asyncio.gather(*(boundary.sleep(actor) for actor in actors()))
    await asyncio.gather(*(actor.action("insertValue", "two") for actor in actors()))
    assert await asyncio.gather(*(actor.action("getCount") for actor in actors())) == [2] * 12
    ids = await asyncio.gather(*(actor.action("getActorId") for actor in actors()))
    await asyncio.gather(
        *(boundary.destroy(actor, via="api") if number % 2 else boundary.sleep(actor) for number, actor in enumerate(actors()))
    )
    after = actors()
    assert await asyncio.gather(*(actor.action("getCount") for actor in after)) == [0 if number % 2 else 2 for number in range(12)]
    for number, actor in enumerate(after):
        assert (await actor.action("getActorId") == ids[number]) is (number % 2 == 0)


@requirement("DB-304", "DB-307")
async def test_old_handles_do_not_reach_the_next_generation(conform, boundary, clock):
    """Handlers that outlive their generation and find the next one awake write nothing with the handles they kept."""
    actor = conform.get_or_create("sleepWsConcurrentDbExceedsGrace")
    socket = await actor.web_socket()
    await socket.recv()
    await socket.send('{"type":"slow-db-work","index":0}')
    await socket.recv()
    await boundary.sleep(actor)
    names = []
    for _ in range(15):
        # Calls keep the next generation and its database open all the time in which the old handler would write.
        rows = await conform.get_or_create("sleepWsConcurrentDbExceedsGrace").action("getLogEntries")
        names = [row["event"] for row in rows]
        assert "handler-0-finish" not in names
        await clock.sleep(0.2)
    assert names.count("handler-0-start") == 1
