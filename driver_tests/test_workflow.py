"""Suite actor-workflow: steps, loops, sleep, queues, failures, error hooks, children."""

from __future__ import annotations

import pytest

from client import ActorError
from harness import depends_on, requirement, suite, timing, untimed

pytestmark = [suite("actor-workflow"), timing, depends_on("actor-workflow::test_counter_runs_by_itself")]

NESTED_QUEUE = "workflow-nested"


async def ask(conform, name, action="getState"):
    """The answer of an action of the test's actor."""
    return await conform.get_or_create(name).action(action)


@requirement("WF-001", "WF-020", "WF-041")
@untimed
async def test_counter_runs_by_itself(conform, eventually):
    """The loop counts on, each iteration once."""
    state = await eventually(lambda: ask(conform, "workflowCounterActor"), until=lambda s: s["runCount"] >= 4, what="four iterations")
    assert state["history"] == list(range(1, state["runCount"] + 1))


@requirement("WF-010", "WF-011", "WF-013")
async def test_step_guard(conform, eventually):
    """Using a finished step's context is noticed and does not stop the workflow."""
    state = await eventually(lambda: ask(conform, "workflowCounterActor"), until=lambda s: s["guardTriggered"], what="the guard")
    before = state["runCount"]
    await eventually(lambda: ask(conform, "workflowCounterActor"), until=lambda s: s["runCount"] > before, what="a further iteration")


@requirement("WF-010", "WF-054")
@untimed
async def test_guarded_members(conform, eventually):
    """Database and client are only reachable inside steps, with exact texts."""
    state = await eventually(lambda: ask(conform, "workflowAccessActor"), until=lambda s: s["outsideDbError"], what="the recorded errors")
    assert state["outsideDbError"] == "db is only available inside workflow steps"
    assert state["outsideClientError"] == "client is only available inside workflow steps"
    assert state["insideDbCount"] >= 1
    assert state["insideClientAvailable"] is True


@requirement("WF-096", "WF-098", "WF-103")
@pytest.mark.parametrize("payload", [{"hello": "world"}, "text", 7, None, [1, 2]], ids=["map", "text", "number", "null", "list"])
@untimed
async def test_queue_completion(conform, payload):
    """A message is completed inside a step and the waiting sender gets the response."""
    actor = conform.get_or_create("workflowQueueActor")
    assert await actor.action("sendAndWait", payload) == {"status": "completed", "response": {"echo": payload}}
    assert await actor.action("getMessages") == [payload]


@requirement("WF-096")
@untimed
async def test_queue_order(conform):
    """Messages are taken in order."""
    actor = conform.get_or_create("workflowQueueActor")
    for index in range(5):
        await actor.action("sendAndWait", index)
    assert await actor.action("getMessages") == [0, 1, 2, 3, 4]


@requirement("WF-096", "WF-098")
@untimed
async def test_queue_from_a_client(conform):
    """A client's own waiting send reaches the workflow too."""
    actor = conform.get_or_create("workflowQueueActor")
    result = await actor.send("workflow-default", {"n": 1}, wait=True, timeout=5)
    assert result.status == "completed" and result.response == {"echo": {"n": 1}}


@requirement("WF-180", "WF-191")
async def test_completed_workflow_lets_the_actor_sleep(conform, boundary, eventually):
    """After the end the actor idles out, and a wake runs no step again."""
    actor = conform.get_or_create("workflowCompleteActor")
    await eventually(lambda: actor.action("getState"), until=lambda s: s["runCount"] == 1, what="the step")
    await boundary.wait_asleep(await actor.resolve())
    state = await ask(conform, "workflowCompleteActor")
    assert state == {"runCount": 1, "startCount": 2, "sleepCount": 1}


@requirement("WF-197", "DESTROY-021")
async def test_destroy_in_a_step(conform, eventually):
    """A step destroys its actor; the hook runs and the key is free."""
    actor = conform.get_or_create("workflowDestroyActor")
    actor_id = await actor.resolve()
    observer = conform.get_or_create("destroyObserver", ["observer"])
    await eventually(
        lambda: observer.action("wasDestroyed", conform.key[0]), until=lambda known: known is True, what="the destroy hook's report"
    )

    async def gone():
        try:
            await conform.get_for_id("workflowDestroyActor", actor_id).action("anything")
        except ActorError as error:
            return error.code

    await eventually(gone, until=lambda code: code == "not_found", what="the actor to be gone")


@requirement("WF-043", "WF-046", "WF-053", "WF-181", "WF-183", "WF-184", "WF-191")
async def test_exhausted_step(conform, eventually, boundary):
    """Three attempts, then the workflow has failed; the actor answers and idles out; nothing runs again."""
    expected = ["prepare", "fail", "fail", "fail"]
    # Backoffs of the default base make the last attempt late.
    state = await eventually(
        lambda: ask(conform, "workflowFailedStepActor"), until=lambda s: s["runCount"] == 3, what="three attempts", timeout=15
    )
    assert state["timeline"] == expected
    await boundary.wait_asleep(await conform.get_or_create("workflowFailedStepActor").resolve())
    state = await ask(conform, "workflowFailedStepActor")
    assert state["timeline"] == expected and state["startCount"] >= 2


@requirement("WF-190", "WF-199")
async def test_running_step_keeps_the_actor_awake(conform, boundary, clock):
    """A blocked step keeps the actor awake well past its sleep timeout, and actions are served meanwhile."""
    actor = conform.get_or_create("workflowRunningStepActor")
    assert await actor.action("getState") == {"finishedAt": None}
    await clock.sleep(0.3)  # nothing must happen
    assert not await boundary.is_asleep(await actor.resolve())
    await actor.action("release")


@requirement("WF-040", "WF-199")
async def test_released_step_finishes(conform, clock, eventually):
    """The rest of the workflow runs after the release, and not before it."""
    actor = conform.get_or_create("workflowRunningStepActor")
    await actor.action("getState")
    await clock.sleep(0.3)
    before = clock.now_ms()
    assert await actor.action("getState") == {"finishedAt": None}
    await actor.action("release")
    state = await eventually(lambda: ask(conform, "workflowRunningStepActor"), until=lambda s: s["finishedAt"], what="the last step")
    # The clocks of two machines need not agree better than this.
    assert before - 5000 <= state["finishedAt"] <= clock.now_ms() + 5000
    assert await ask(conform, "workflowRunningStepActor") == state


async def replayed(conform, eventually):
    """The replay actor once both steps ran."""
    actor = conform.get_or_create("workflowReplayActor")
    found = await eventually(lambda: actor.action("getTimeline"), until=lambda seen: len(seen) >= 2, what="both steps")
    assert found == ["one", "two"]
    return actor


@requirement("WF-020", "WF-194")
async def test_steps_run_once_across_sleep(conform, boundary, eventually):
    """Two finished steps do not run again after a wake."""
    actor = await replayed(conform, eventually)
    await boundary.sleep(actor, via="api")
    assert await ask(conform, "workflowReplayActor", "getTimeline") == ["one", "two"]


@requirement("WF-080", "WF-083", "WF-085")
async def test_durable_sleep_ticks(conform, eventually, clock):
    """The loop ticks on through its durable sleeps, none of which is cut short."""
    started = clock.monotonic()
    await eventually(lambda: ask(conform, "workflowSleepActor"), until=lambda s: s["ticks"] >= 6, what="six ticks")
    clock.took(started, conform.limit(10), 5 * 0.04)


@requirement("WF-021", "WF-073", "WF-194", "WF-198")
async def test_durable_loop_continues_after_sleep(conform, eventually, boundary):
    """Ticks of the first generation are kept and more follow."""
    actor = conform.get_or_create("workflowSleepActor")
    state = await eventually(lambda: actor.action("getState"), until=lambda s: s["ticks"] >= 2, what="two ticks")
    await boundary.sleep(actor, via="api")
    await eventually(
        lambda: ask(conform, "workflowSleepActor"), until=lambda s: s["ticks"] > state["ticks"] + 1, what="ticks after the wake"
    )


@requirement("WF-051", "WF-067", "WF-176")
@untimed
async def test_roll_forward(conform, eventually):
    """State and vars written by a failed attempt stay, and the failure is caught as data."""
    found = await eventually(
        lambda: ask(conform, "workflowStepRollForwardActor", "getSnapshot"),
        until=lambda s: s["state"]["recoveryStateWrites"] == 1,
        what="the recovery step",
    )
    assert found == {
        "state": {"failedStateWrites": 1, "recoveryStateWrites": 1, "failureCaught": True},
        "vars": {"failedVarsWrites": 1, "recoveryVarsWrites": 1},
    }


@requirement("WF-060", "WF-061", "WF-066", "WF-113")
@untimed
async def test_try_results(conform, eventually):
    """A failed step and a failed join come back as values."""
    found = await eventually(lambda: ask(conform, "workflowTryActor"), until=lambda s: s["tryJoinFailure"], what="the stored results")
    assert found == {
        "innerWrites": 1,
        "tryStepFailure": {"kind": "exhausted", "message": "card declined", "attempts": 1},
        "tryJoinFailure": "join:parallel",
        "vars": {"innerWrites": 1, "recoveryWrites": 1},
    }


@requirement("WF-105", "WF-195")
async def test_queue_wait_lets_the_actor_sleep(conform, boundary):
    """A workflow that waits for a message idles out within its grace period, twice."""
    for cycle in range(1, 3):
        actor = conform.get_or_create("workflowStopTeardownActor")
        timeline = await actor.action("getTimeline")
        assert (len(timeline["wakeAts"]), len(timeline["sleepAts"])) == (cycle, cycle - 1)
        await boundary.wait_asleep(await actor.resolve())


@requirement("WF-195")
async def test_waiting_workflow_does_not_delay_the_stop(conform, boundary, clock):
    """The stop of a workflow that only waits is over long before the grace period is."""
    actor = conform.get_or_create("workflowStopTeardownActor")
    first = (await actor.action("getTimeline"))["wakeAts"][0]
    started = clock.monotonic()
    await boundary.sleep(actor, via="api")
    timeline = await ask(conform, "workflowStopTeardownActor", "getTimeline")
    clock.took(started, conform.limit(5))
    assert timeline["sleepAts"][0] >= first
    assert (len(timeline["wakeAts"]), len(timeline["sleepAts"])) == (2, 1)
    assert timeline["wakeAts"][1] >= timeline["sleepAts"][0]


async def event_state(conform, eventually, name, attempts=2):
    """The error state once the step succeeded."""
    return await eventually(
        lambda: ask(conform, name, "getErrorState"), until=lambda s: s["attempts"] == attempts, what="the second attempt"
    )


def assert_flaky_event(event, actor_id):
    """The event of the first failed attempt of `flaky`."""
    step = dict(event["step"])
    error = dict(step.pop("error"))
    error.pop("stack", None)
    assert error == {"name": "Error", "message": "workflow hook failed"}
    assert isinstance(step.pop("retryAt"), int | float)
    assert step == {
        "workflowId": actor_id,
        "stepName": "flaky",
        "attempt": 1,
        "maxRetries": 2,
        "remainingRetries": 2,
        "willRetry": True,
        "retryDelay": 1,
    }


@requirement("WF-002", "WF-043", "WF-170")
async def test_error_hook(conform, eventually):
    """The hook hears of the one failed attempt."""
    state = await event_state(conform, eventually, "workflowErrorHookActor")
    assert len(state["events"]) == 1
    assert_flaky_event(state["events"][0], await conform.get_or_create("workflowErrorHookActor").resolve())


@requirement("WF-172", "WF-196")
async def test_error_hook_is_not_repeated_after_sleep(conform, eventually, boundary):
    """After a wake the failure is not reported again and the step not repeated."""
    await event_state(conform, eventually, "workflowErrorHookSleepActor")
    await boundary.sleep(conform.get_or_create("workflowErrorHookSleepActor"))
    state = await ask(conform, "workflowErrorHookSleepActor", "getErrorState")
    assert (state["attempts"], len(state["events"]), state["wakeCount"], state["sleepCount"]) == (2, 1, 2, 1)


@requirement("WF-173", "WF-174")
async def test_error_hook_effects(conform, eventually):
    """The hook changes state, broadcasts, and sends to the actor's own queue."""
    actor = conform.get_or_create("workflowErrorHookEffectsActor")
    async with conform.connected(actor) as conn:
        heard = []
        conn.on("workflowError", heard.append)
        await conn.action("getErrorState")
        await actor.action("startWorkflow")
        await eventually(lambda: heard, until=lambda events: len(events) == 1, what="the broadcast of the failure")
        assert_flaky_event(heard[0], await actor.resolve())
    state = await event_state(conform, eventually, "workflowErrorHookEffectsActor")
    assert state["errorCount"] == 1
    assert_flaky_event(state["lastError"], await actor.resolve())
    assert_flaky_event(await actor.action("receiveQueuedError"), await actor.resolve())


@requirement("WF-070", "WF-078", "WF-098", "WF-112")
@pytest.mark.parametrize("name", ["workflowNestedLoopActor", "workflowNestedJoinActor"], ids=["loop", "join"])
@pytest.mark.parametrize("batches", [[["a", "b", "c"]], [["a"], ["b", "c"], []], [[]]], ids=["one", "several", "empty"])
@untimed
async def test_nested_scopes(conform, name, batches):
    """Loops and joins in an iteration process every item once, message after message."""
    actor = conform.get_or_create(name)
    for items in batches:
        result = await actor.send(NESTED_QUEUE, {"items": items}, wait=True, timeout=5)
        assert result.status == "completed" and result.response == {"processed": len(items)}
    processed = (await actor.action("getState"))["processed"]
    assert sorted(processed) == sorted(item for items in batches for item in items)


@requirement("WF-120", "WF-124", "WF-126")
@untimed
async def test_nested_race(conform):
    """The fast branch wins and the slow one is aborted, in each iteration."""
    actor = conform.get_or_create("workflowNestedRaceActor")
    for item in ("x", "y"):
        result = await actor.send(NESTED_QUEUE, {"items": [item]}, wait=True, timeout=5)
        assert result.status == "completed"
    assert await actor.action("getState") == {"processed": ["x", "y"]}


@requirement("WF-078", "WF-105")
@pytest.mark.parametrize("name", ["workflowNestedLoopActor", "workflowNestedJoinActor", "workflowNestedRaceActor"])
async def test_nested_scopes_across_sleep(conform, boundary, name):
    """A message after a sleep continues the outer loop."""
    actor = conform.get_or_create(name)
    await actor.send(NESTED_QUEUE, {"items": ["before"]}, wait=True, timeout=5)
    await boundary.sleep(actor, via="api")
    actor = conform.get_or_create(name)
    assert (await actor.send(NESTED_QUEUE, {"items": ["after"]}, wait=True, timeout=5)).status == "completed"
    assert await actor.action("getState") == {"processed": ["before", "after"]}


@requirement("WF-016")
async def test_child_actor(conform, eventually):
    """A step creates a child, sends it work and waits for the completion."""
    [child] = conform.unique_key()
    parent = conform.get_or_create("workflowSpawnParentActor")
    assert await parent.action("triggerSpawn", child) == {"queued": True}
    state = await eventually(lambda: parent.action("getState"), until=lambda s: s["results"], what="the child's result")
    assert state["results"] == [{"key": child, "result": {"status": "completed", "response": {"ok": True}}, "error": None}]
    assert await conform.get_or_create("workflowSpawnChildActor", [child]).action("getState") == {
        "label": child,
        "started": True,
        "processed": ["hello"],
    }


@requirement("WF-016")
@untimed
async def test_several_children(conform, eventually):
    """Three spawns have a child each."""
    names = [conform.unique_key()[0] for _ in range(3)]
    parent = conform.get_or_create("workflowSpawnParentActor")
    for name in names:
        await parent.action("triggerSpawn", name)
    state = await eventually(lambda: parent.action("getState"), until=lambda s: len(s["results"]) == 3, what="three results")
    assert [result["key"] for result in state["results"]] == names
    assert [result["error"] for result in state["results"]] == [None] * 3


@requirement("WF-148", "DB-007")
async def test_destroy_deletes_the_history(conform, boundary, eventually):
    """The recreated actor's workflow starts from the beginning."""
    actor = await replayed(conform, eventually)
    await boundary.destroy(actor, via="api")
    await replayed(conform, eventually)
