"""Suite actor-db-transactions: coordinated and manual transactions and their diagnostics."""

from __future__ import annotations

import asyncio

import pytest

from client import ActorError
from harness import requirement, suite, timing

pytestmark = [suite("actor-db-transactions")]

EXPIRY = 0.05
"""Seconds after which the transactions of the diagnostics expire."""


async def values(actor):
    """The value column in order of id."""
    return [row["value"] for row in await actor.action("getValues")]


@requirement("DB-145")
async def test_commit(conform):
    """A transaction that returns is committed."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("transactionCommit", "kept")
    assert await values(actor) == ["kept"]


@requirement("DB-146")
async def test_rollback(conform):
    """A transaction that fails leaves nothing."""
    actor = conform.get_or_create("dbActorRaw")
    await actor.action("transactionRollback", "dropped")
    await actor.action("transactionCommit", "kept")
    assert await values(actor) == ["kept"]


@requirement("DB-148")
async def test_script_inside(conform):
    """A script runs inside a transaction."""
    assert await conform.get_or_create("dbActorRaw").action("transactionExec") == ["exec-first", "exec-second"]


@requirement("DB-149")
async def test_sqlite_ended_the_transaction(conform):
    """After INSERT OR ROLLBACK the database stays usable and holds only what came later."""
    assert await conform.get_or_create("dbActorRaw").action("transactionAutomaticRollback") == [{"id": 2, "value": "after"}]


@requirement("DB-151", "DB-152")
async def test_transactions_do_not_interleave(conform):
    """Two waiting transactions come wholly after the open one."""
    found = await conform.get_or_create("dbActorRaw").action("concurrentTransactions")
    assert found[:2] == ["first-start", "first-end"]
    assert sorted(found[2:]) == ["second", "third"]


@requirement("DB-151")
async def test_ordinary_sql_waits(conform):
    """A plain statement waits for the open transaction."""
    assert await conform.get_or_create("dbActorRaw").action("transactionParksOrdinarySql") == ["tx-start", "tx-end", "ordinary"]


@requirement("DB-160", "DB-161")
@pytest.mark.parametrize("timeout", [1000, 2500.5, 60_000, 10**9])
async def test_valid_timeouts(conform, timeout):
    """Any positive number of milliseconds is a deadline; there is no upper bound."""
    await conform.get_or_create("dbActorRaw").action("transactionWithTimeout", timeout)


@requirement("DB-160")
async def test_default_timeout(conform):
    """Without an option the transaction simply runs."""
    await conform.get_or_create("dbActorRaw").action("transactionWithTimeout")


@requirement("DB-161")
@pytest.mark.parametrize("timeout", [0, -1, -0.5])
async def test_invalid_timeouts(conform, expect_error, timeout):
    """A deadline that is not positive is refused before anything starts."""
    async with expect_error("rivetkit", "internal_error"):
        await conform.get_or_create("dbActorRaw").action("transactionWithTimeout", timeout)


@requirement("DB-163", "DB-167", "DB-169")
@pytest.mark.parametrize("nested", [True, False], ids=["nested", "outer-client"])
@timing
async def test_deadlock_diagnostic(conform, clock, nested):
    """Nesting and the outer client end in expiry, with a message that says what to look for."""
    started = clock.monotonic()
    message = await conform.get_or_create("dbActorRaw").action("transactionDeadlockDiagnostic", nested)
    clock.took(started, conform.limit(10), EXPIRY)
    for part in ("expired after 50 ms", "safety backstop", "timeout", "nested transaction", "outer `db`"):
        assert part in message


@requirement("DB-163", "DB-164", "DB-165", "DB-167")
@timing
async def test_expiry(conform, clock):
    """After expiry owner, waiter and leaked handle all fail, and nothing was written."""
    started = clock.monotonic()
    found = await conform.get_or_create("dbActorRaw").action("transactionExpiryDiagnostics")
    clock.took(started, conform.limit(10), EXPIRY)
    assert "expired after 50 ms" in found["ownerMessage"]
    assert found["parkedResult"]["status"] == "rejected" and "expired after 50 ms" in found["parkedResult"]["message"]
    assert found["leakedMessage"] != "unexpected success"
    assert found["values"] == []


@requirement("DB-166")
@timing
async def test_usable_after_expiry(conform, clock):
    """Operations after the clean-up run normally."""
    actor = conform.get_or_create("dbActorRaw")
    started = clock.monotonic()
    await actor.action("transactionExpiryDiagnostics")
    clock.took(started, conform.limit(10), EXPIRY)
    await actor.action("transactionCommit", "later")
    assert await values(actor) == ["later"]


@requirement("DB-170")
async def test_terminal_handle(conform):
    """A handle used after the commit says so."""
    message = await conform.get_or_create("dbActorRaw").action("terminalTransactionDiagnostic")
    assert "is already committed" in message


@requirement("DB-175")
async def test_manual_transaction(conform):
    """BEGIN and COMMIT by hand."""
    assert await conform.get_or_create("dbActorRaw").action("manualTransactionCompatibility") == 1


@requirement("DB-151", "DB-028")
@timing
async def test_held_transaction_parks_other_actions(conform, eventually):
    """While one action holds a transaction, the SQL of another action waits, and plain actions do not."""
    actor = conform.get_or_create("dbActorRaw")
    holder = asyncio.ensure_future(actor.action("holdTransaction"))
    await eventually(lambda: actor.action("isTransactionHolding"), until=lambda held: held is True, what="the open transaction")
    parked = asyncio.ensure_future(actor.action("insertValue", "parked"))
    assert await actor.action("ping") == "pong"
    assert not parked.done()
    await actor.action("releaseHeldTransaction")
    await holder
    assert await parked == {"id": 1}


@requirement("DB-151")
@timing
async def test_many_waiters(conform, eventually):
    """Twenty waiting inserts all run once the transaction ends."""
    actor = conform.get_or_create("dbActorRaw")
    holder = asyncio.ensure_future(actor.action("holdTransaction"))
    await eventually(lambda: actor.action("isTransactionHolding"), until=lambda held: held is True, what="the open transaction")
    parked = [asyncio.ensure_future(actor.action("insertValue", f"w{index}")) for index in range(20)]
    await actor.action("releaseHeldTransaction")
    await asyncio.gather(holder, *parked)
    assert sorted(await values(actor)) == sorted(f"w{index}" for index in range(20))


@requirement("DB-001", "DB-151")
@timing
async def test_other_actors_do_not_wait(conform, eventually):
    """A held transaction of one actor delays no other actor."""
    actor, other = conform.get_or_create("dbActorRaw"), conform.get_or_create("dbActorRaw", conform.unique_key())
    holder = asyncio.ensure_future(actor.action("holdTransaction"))
    await eventually(lambda: actor.action("isTransactionHolding"), until=lambda held: held is True, what="the open transaction")
    assert await other.action("insertValue", "free") == {"id": 1}
    await actor.action("releaseHeldTransaction")
    await holder


@requirement("DB-203", "DB-210")
async def test_journal_migration(conform):
    """A migration given as a journal entry is committed before the first action."""
    assert await conform.get_or_create("dbActorDrizzleMigration").action("migrationCommitted") is True


@requirement("DB-146")
async def test_query_builder_transaction(conform):
    """Queries of the mapper take part in the transaction."""
    found = await conform.get_or_create("dbActorDrizzleMigration").action("queryBuilderTransaction")
    assert found == {"inside": ["query-builder"], "after": []}


@requirement("DB-203", "DB-204", "DB-313")
async def test_failed_migration_leaves_nothing(conform, eventually):
    """A migration whose first attempt in the process fails is rolled back and tried again."""

    async def ask():
        try:
            return await conform.get_or_create("dbActorDrizzleMigrationRollback").action("migrationRolledBack")
        except ActorError as error:  # the first start fails by design
            if error.name != "guard.actor_wake_retries_exceeded":
                raise
            return None

    assert await eventually(ask, until=lambda seen: seen is not None, what="a start that succeeds", timeout=10) is True
