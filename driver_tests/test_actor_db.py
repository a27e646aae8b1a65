"""Suite actor-db: rows, parameters, scripts, payloads and the life of a database across boundaries."""

from __future__ import annotations

import asyncio

import pytest

from harness import depends_on, requirement, suite

pytestmark = [suite("actor-db"), depends_on("actor-db::test_insert_and_select")]


async def values(actor):
    """The value column in order of id."""
    return [row["value"] for row in await actor.action("getValues")]


@requirement("DB-125", "DB-126", "DB-110")
async def test_insert_and_select(conform):
    """A row comes back as a map from column to value."""
    actor = conform.get_or_create("dbActorRaw")
    assert await actor.action("insertValue", "alpha") == {"id": 1}
    [row] = await actor.action("getValues")
    assert row["id"] == 1 and row["value"] == "alpha" and row["payload"] == ""
    assert row["created_at"] > 1_600_000_000_000


@requirement("DB-125")
async def test_no_rows(conform):
    """A select without matches is an empty list and an absent value null."""
    actor = conform.get_or_create("dbActorRaw")
    assert await actor.action("getValues") == []
    assert await actor.action("getValue", 99) is None


@requirement("DB-129")
async def test_last_insert_rowid(conform):
    """Row ids go up by one for inserts of one client."""
    actor = conform.get_or_create("dbActorRaw")
    assert [(await actor.action("insertValue", f"v{index}"))["id"] for index in range(4)] == [1, 2, 3, 4]


@requirement("DB-110", "DB-125")
async def test_update(conform):
    """An update changes its row only."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("insertValue", "one")
    await actor.action("insertValue", "two")
    assert await actor.action("updateValue", 2, "changed") == {"success": True}
    assert await values(actor) == ["one", "changed"]


@requirement("DB-110")
async def test_delete(conform):
    """A delete removes its row only."""
    actor = conform.get_or_create("dbActorRaw")
    for value in ("one", "two", "three"):
        await actor.action("insertValue", value)
    await actor.action("deleteValue", 2)
    assert await values(actor) == ["one", "three"]


@requirement("DB-126")
async def test_reset(conform):
    """Deleting everything leaves an empty table."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("insertMany", 5)
    await actor.action("reset")
    assert await actor.action("getCount") == 0


@requirement("DB-110", "DB-342")
@pytest.mark.parametrize("size", [0, 1, 10, 500])
async def test_insert_many(conform, size):
    """One statement with many parameters inserts that many rows."""
    actor = conform.get_or_create("dbActorRaw")
    assert await actor.action("insertMany", size) == {"count": size}
    assert await actor.action("getCount") == size
    assert await actor.action("rawSelectCount") == size


@requirement("DB-119", "DB-116")
@pytest.mark.parametrize(
    ("text", "hexed", "length"),
    [
        ("plain", "706C61696E", 5),
        ("a\0b", "610062", 1),
        ("", "", 0),
        ("grüße", "6772C3BCC39F65", 5),
        ("😀", "F09F9880", 1),
        ("it's; -- no comment", "697427733B202D2D206E6F20636F6D6D656E74", 19),
    ],
    ids=["ascii", "nul", "empty", "umlaut", "astral", "quote"],
)
async def test_text_round_trip(conform, text, hexed, length):
    """Text is stored as its UTF-8 bytes and comes back unchanged."""
    row = await conform.get_or_create("dbActorRaw").action("insertValueAndReadBack", text)
    assert row == {"id": 1, "value": text, "hex_value": hexed, "sqlite_length": length}


@requirement("DB-135", "DB-136", "DB-138")
async def test_script(conform):
    """A script with its own BEGIN and COMMIT runs all statements in order."""
    actor = conform.get_or_create("dbActorRaw")
    assert await actor.action("multiStatementInsert", "script") == "script-updated"
    assert await values(actor) == ["script-updated"]


@requirement("DB-135")
async def test_long_script(conform):
    """A script of two hundred updates leaves the last one."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("insertValue", "start")
    assert await actor.action("repeatUpdate", 1, 200) == {"value": "Updated 199"}
    assert await actor.action("getValue", 1) == "Updated 199"


@requirement("DB-331", "DB-341")
@pytest.mark.parametrize("size", [0, 4095, 4096, 4097, 8191, 8192, 8193, 16383, 16384, 16385, 32768, 500_000, 1_000_000])
async def test_payload_sizes(conform, size):
    """Values up to a million bytes are stored whole."""
    actor = conform.get_or_create("dbActorRaw")
    made = await actor.action("insertPayloadOfSize", size)
    assert made["size"] == size
    assert await actor.action("getPayloadSize", made["id"]) == size


@requirement("DB-110", "DB-142")
async def test_bulk_payloads(conform):
    """Many rows with payloads, inserted one after the other."""
    actor = conform.get_or_create("dbActorRaw")
    assert await actor.action("insertPayloadRows", 40, 2048) == {"count": 40}
    assert await values(actor) == [f"bulk-{index}" for index in range(40)]
    assert await actor.action("getPayloadSize", 40) == 2048


@requirement("DB-145")
async def test_round_robin_updates(conform):
    """Updates in turn leave each row with its last value."""
    actor = conform.get_or_create("dbActorRaw")
    ids = [(await actor.action("insertValue", f"row-{index}"))["id"] for index in range(3)]
    rows = await actor.action("roundRobinUpdateValues", ids, 10)
    assert sorted((row["id"], row["value"]) for row in rows) == [(ids[0], "v-9"), (ids[1], "v-7"), (ids[2], "v-8")]


@requirement("DB-330", "DB-343")
async def test_vacuum_shrinks(conform):
    """Pages of deleted rows are given back by VACUUM."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("insertPayloadRows", 100, 4096)
    full = await actor.action("getPageCount")
    await actor.action("reset")
    await actor.action("vacuum")
    assert await actor.action("getPageCount") < full
    assert await actor.action("integrityCheck") == "ok"


@requirement("DB-145", "DB-330", "DB-340")
async def test_mixed_workload(conform):
    """A transaction of inserts, replacements and deletions keeps the file sound."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("runMixedWorkload", 40, 200)
    assert await actor.action("integrityCheck") == "ok"
    expected = {index + 1 for index in range(40)}
    for index in range(200):
        (expected.discard if index % 9 == 0 else expected.add)(index % 40 + 1)
    assert await actor.action("getCount") == len(expected)


@requirement("DB-001")
async def test_databases_are_separate(conform):
    """Another key sees none of the rows."""
    one, two = conform.get_or_create("dbActorRaw"), conform.get_or_create("dbActorRaw", conform.unique_key())
    await one.action("insertMany", 3)
    assert await two.action("getCount") == 0


@requirement("DB-002")
async def test_handles_share_the_database(conform):
    """A second handle of the same key sees the rows."""
    await conform.get_or_create("dbActorRaw").action("insertValue", "shared")
    assert await values(conform.get_or_create("dbActorRaw")) == ["shared"]


@requirement("DB-005", "DB-208", "DB-300")
async def test_rows_survive_sleep(conform, boundary):
    """Rows of three generations are all there."""
    for cycle in range(3):
        actor = conform.get_or_create("dbActorRaw")
        await actor.action("insertValue", f"cycle-{cycle}")
        await boundary.sleep(actor)
    assert await values(conform.get_or_create("dbActorRaw")) == ["cycle-0", "cycle-1", "cycle-2"]


@requirement("DB-007", "DB-311")
async def test_destroy_erases(conform, boundary):
    """The recreated actor has an empty database whose row ids start again."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("insertMany", 5)
    await boundary.destroy(actor)
    actor = conform.get_or_create("dbActorRaw")
    assert await actor.action("getCount") == 0
    assert await actor.action("insertValue", "first") == {"id": 1}


@requirement("DB-142", "DB-154")
@pytest.mark.parametrize("width", [2, 20, 60])
async def test_parallel_inserts(conform, width):
    """Concurrent actions insert each row exactly once."""
    actor = conform.get_or_create("dbActorRaw")
    made = await asyncio.gather(*(actor.action("insertValue", f"v{index}") for index in range(width)))
    assert len(made) == width
    assert sorted(await values(actor)) == sorted(f"v{index}" for index in range(width))


@requirement("DB-141", "DB-143")
async def test_failing_statement(conform, expect_error):
    """A constraint violation is an internal error without SQLite's text, and the database stays usable."""
    actor = conform.get_or_create("dbActorRaw")
    async with expect_error("core", "internal_error") as caught:
        await actor.action("insertValue", None)
    assert caught.error.message == "An internal error occurred"
    assert "NOT NULL" not in str(caught.error.metadata)
    assert await actor.action("insertValue", "fine")
    assert await values(actor) == ["fine"]


@requirement("DB-117")
@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, True], ids=["list", "map", "boolean"])
async def test_unbindable_values(conform, expect_error, value):
    """Lists, maps and booleans cannot be bound; nothing is stored."""
    actor = conform.get_or_create("dbActorRaw")
    async with expect_error("rivetkit", "internal_error"):
        await actor.action("insertValue", value)
    assert await actor.action("getCount") == 0


@requirement("DB-207", "CONN-082")
@pytest.mark.parametrize("delay", [0, 50])
@pytest.mark.parametrize("count", [1, 3])
async def test_on_disconnect_writes(conform, eventually, count, delay):
    """Each closed connection inserts one row, also when its hook waits first."""
    actor = conform.get_or_create("dbActorRaw")
    # Only connections: a call over HTTP has a connection of its own, whose end would insert a row too.
    async with conform.connected(actor) as watcher:
        await watcher.action("configureDisconnectInsert", True, delay)
        for _ in range(count):
            async with conform.connected(actor) as connection:
                assert await connection.action("ping") == "pong"
        await eventually(lambda: watcher.action("getDisconnectInsertCount"), until=lambda n: n == count, what=f"{count} rows")


@requirement("DB-002", "DB-102")
async def test_runtime_socket_is_optional(conform, expect_error):
    """Where there is no runtime socket, asking for its path fails."""
    async with expect_error("actor_runtime_socket", "not_enabled"):
        await conform.get_or_create("dbActorRuntimeSocketDisabled").action("getActorRuntimeSocketPath")


@requirement("DB-207", "SLEEP-034")
async def test_hooks_of_a_database_actor_reach_another_actor(conform, boundary, eventually):
    """Sleep and wake hooks report to an observer."""
    [name] = conform.unique_key()
    observer = conform.get_or_create("lifecycleObserver", [name])
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("configureLifecycleObserver", name)
    await boundary.sleep(actor)
    assert await conform.get_or_create("dbActorRaw").action("ping") == "pong"

    async def seen():
        return [event["event"] for event in await observer.action("getEvents")]

    # On a slow target the actor may be asleep again by now.
    await eventually(seen, until=lambda found: found[:2] == ["sleep", "wake"], what="a sleep and a wake")


@requirement("DB-005")
async def test_unused_database_sleeps(conform, boundary):
    """An actor whose database nobody used sleeps and wakes."""
    await boundary.sleep(conform.get_or_create("dbRemoteLifecycleProbe"))
    assert await conform.get_or_create("dbRemoteLifecycleProbe").action("ping") == "pong"


@requirement("DB-312")
async def test_destroy_with_a_statement_in_flight(conform, eventually):
    """A query in flight at destroy settles; neither call hangs."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("insertMany", 200)
    queries = [asyncio.ensure_future(actor.action("getCountWithSubmissionBarrier")) for _ in range(5)]
    await actor.action("destroy")
    outcomes = await asyncio.wait_for(asyncio.gather(*queries, return_exceptions=True), conform.limit(15))
    assert all(outcome == 200 or outcome == 0 or isinstance(outcome, Exception) for outcome in outcomes)


@requirement("DB-175")
async def test_manual_transactions_without_warning(conform):
    """BEGIN and COMMIT by hand keep working."""
    assert await conform.get_or_create("dbActorManualWarningsDisabled").action("manualTransactionCompatibility", "marker") is True
