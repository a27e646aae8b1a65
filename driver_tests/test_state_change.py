"""Suite state-change: onStateChange, its bursts, and writes from inside it."""

from __future__ import annotations

import pytest

from harness import capability, requirement, suite

pytestmark = suite("state-change")


@requirement("RUN-120", "RUN-121")
async def test_one_call_per_mutating_action(conform):
    """Each action that mutates causes exactly one call."""
    actor = conform.get_or_create("onStateChangeActor")
    for value in (1, 2, 3):
        await actor.action("setValue", value)
    assert await actor.action("getChangeCount") == 3


@requirement("RUN-121")
async def test_burst_is_one_call(conform):
    """A synchronous burst of mutations is one call."""
    actor = conform.get_or_create("onStateChangeActor")
    assert await actor.action("incrementMultiple", 100) == 100
    assert await actor.action("getChangeCount") == 1


@requirement("RUN-121")
async def test_reads_cause_no_call(conform):
    """Reading and computing cause no call."""
    actor = conform.get_or_create("onStateChangeActor")
    await actor.action("getValue")
    await actor.action("getDoubled")
    assert await actor.action("getChangeCount") == 0


@requirement("RUN-121", "CONN-056")
async def test_connections_cause_no_call(conform):
    """Connecting and disconnecting cause no call."""
    actor = conform.get_or_create("onStateChangeActor")
    async with conform.connected(actor) as conn:
        assert await conn.action("getChangeCount") == 0
    assert await actor.action("getChangeCount") == 0


@requirement("RUN-101")
async def test_equal_write_is_no_change(conform):
    """Writing an equal value causes no call."""
    actor = conform.get_or_create("onStateChangeActor")
    await actor.action("setValue", 10)
    await actor.action("setValue", 10)
    assert await actor.action("getChangeCount") == 1


@requirement("RUN-129")
async def test_vars_writes_cause_no_call(conform):
    """The hook's own writes to vars trigger nothing."""
    actor = conform.get_or_create("onStateChangeActor")
    await actor.action("setValue", 1)
    await actor.action("resetChangeCount")
    assert await actor.action("getChangeCount") == 0
    await actor.action("setValue", 2)
    assert await actor.action("getChangeCount") == 1


@requirement("RUN-102")
async def test_state_identity_is_stable(conform):
    """Repeated reads give the same object."""
    assert await conform.get_or_create("onStateChangeActor").action("stateIdentityStable") is True


@requirement("RUN-121")
async def test_large_state_stays_cheap(conform):
    """A burst of mutations next to a large list is one change, as it is without the list."""
    actor = conform.get_or_create("onStateChangeActor")
    assert await actor.action("seedLarge", 20_000) == 20_000
    await actor.action("resetChangeCount")
    await actor.action("churn", 200)
    assert (await actor.action("getValue"), await actor.action("getChangeCount")) == (200, 1)


@requirement("RUN-122", "RUN-121")
async def test_hook_sees_the_changed_state(conform):
    """The hook derives vars from the state it was told about."""
    actor = conform.get_or_create("stateChangeRecursionActor")
    assert await actor.action("setValue", 5) == 5
    assert await actor.action("getDerivedValue") == 10
    assert await actor.action("getOnStateChangeCallCount") == 1


@requirement("RUN-121", "RUN-129")
async def test_derived_values_follow_each_change(conform):
    """Several changes are followed one by one, equal ones not at all."""
    actor = conform.get_or_create("stateChangeRecursionActor")
    for value in (1, 2, 2, 3):
        await actor.action("setValue", value)
    assert await actor.action("getAll") == {"value": 3, "derivedValue": 6, "callCount": 3}


@requirement("RUN-123", "RUN-124")
@capability("reentrancy")
async def test_write_inside_the_hook_is_refused(conform):
    """A write to state from the hook raises state_mutation_reentrant and changes nothing."""
    actor = conform.get_or_create("stateChangeReentrantMutationActor")
    assert await actor.action("setValue", 5) == 5
    assert await actor.action("getResult") == {
        "value": 5,
        "derivedValue": 0,
        "callCount": 1,
        "errorGroup": "actor",
        "errorCode": "state_mutation_reentrant",
    }


@requirement("RUN-124", "RUN-128")
@capability("reentrancy")
async def test_guard_is_released_after_the_hook(conform):
    """After a refused write later changes work, and call the hook again."""
    actor = conform.get_or_create("stateChangeReentrantMutationActor")
    for value in (1, 2, 3):
        assert await actor.action("setValue", value) == value
    result = await actor.action("getResult")
    assert (result["value"], result["derivedValue"], result["callCount"]) == (3, 0, 3)


@requirement("START-015")
async def test_initial_state_is_no_change(conform):
    """The initial state does not count as a change."""
    assert await conform.get_or_create("onStateChangeActor").action("getChangeCount") == 0
    assert await conform.get_or_create("stateChangeRecursionActor").action("getOnStateChangeCallCount") == 0


@requirement("TASK-114", "RUN-120")
@pytest.mark.parametrize("times", [1, 7])
async def test_hook_runs_before_the_response(conform, times):
    """The next action sees the hook's effect."""
    async with conform.connected(conform.get_or_create("onStateChangeActor")) as conn:
        for number in range(1, times + 1):
            await conn.action("setValue", number)
            assert await conn.action("getChangeCount") == number
