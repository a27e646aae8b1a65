"""Suite lifecycle-state: changes by code that outlived its call, and an onStateChange that raises."""

from __future__ import annotations

import pytest

from client import ActorError
from harness import capability, requirement, suite, timing

pytestmark = [suite("lifecycle-state"), timing]


@requirement("RUN-103", "TASK-104", "TASK-108")
@pytest.mark.timeout(150)
async def test_change_after_the_time_out_of_its_action(conform, boundary, eventually, expect_error):
    """An action over its limit goes on, and what it changes afterwards is state like any other."""
    name = "concurrentActionActor"
    actor = conform.get_or_create(name)
    async with expect_error("actor", "action_timed_out"):
        await actor.action("runWithDelay", "late", 61_000)
    assert await actor.action("getEvents") == ["start:late"]
    await eventually(lambda: actor.action("getEvents"), until=lambda seen: "finish:late" in seen, timeout=8, what="the late change")
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create(name).action("getEvents") == ["start:late", "finish:late"]


@requirement("RUN-103")
async def test_change_by_work_beside_its_call(conform, boundary, eventually):
    """Work that an action left running changes state that is kept over a sleep."""
    name = "sleepKeepAwakeUntilIdle"
    actor = conform.get_or_create(name)
    await actor.action("startSingleKeepAwake")
    assert (await actor.action("getStatus"))["singleFinished"] == 0
    await eventually(lambda: actor.action("getStatus"), until=lambda status: status["singleFinished"] == 1, what="the late change")
    await boundary.sleep(actor)
    assert (await conform.get_or_create(name).action("getStatus"))["singleFinished"] == 1


@requirement("RUN-126")
@capability("tagged_values")
async def test_hook_that_raises_fails_the_action(conform, boundary, witness):
    """An error of onStateChange is the action's error; the change stands and later calls work."""
    name = "stateChangeRecursionActor"
    actor = conform.get_or_create(name)
    assert await actor.action("setValue", 5) == 5
    # Twice a value is an error for one or the other of these, depending on the language of the runtime.
    for value in (None, 2**70):
        before = await actor.action("getAll")
        setting = conform.spawn(actor.action("setValue", value))
        error = await conform.settled(setting)
        if witness.hit("a hook that raised", error is not None):
            assert isinstance(error, ActorError)
            assert (error.name, error.message) == ("rivetkit.internal_error", "An internal error occurred")
            assert await actor.action("getAll") == {**before, "value": value}
        assert await actor.action("setValue", 6) == 6
        assert (await actor.action("getAll"))["derivedValue"] == 12
    await boundary.sleep(actor, via="api")
    assert (await conform.get_or_create(name).action("getAll"))["value"] == 6
