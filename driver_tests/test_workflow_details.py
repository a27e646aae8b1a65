"""Suite workflow-details: states, passes, locations and pruning of workflows, as the inspector and the actors' state show them."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import inspect
from harness import capability, requirement, suite, timing, untimed

pytestmark = [suite("workflow-details"), timing]

NESTED_QUEUE = "workflow-nested"
inspected = capability("inspector")


async def ask(conform, name, action="getState"):
    """The answer of an action of the test's actor."""
    return await conform.get_or_create(name).action(action)


def paths(shown):
    """Paths of the entries as messages write them; an iteration is `~<n>`."""
    if shown["history"] is None:
        return []
    names = shown["history"]["nameRegistry"]
    return [
        "/".join(names[part["val"]] if part["tag"] == "WorkflowNameIndex" else f"~{part['val']['iteration']}" for part in entry["location"])
        for entry in shown["history"]["entries"]
    ]


def metadata(shown, path):
    """The metadata of the entry at a path."""
    entry = shown["history"]["entries"][paths(shown).index(path)]
    return shown["history"]["entryMetadata"][entry["id"]]


async def history(conform, name):
    """What the inspector shows of the test's actor."""
    return await (await inspect(conform, name)).get("workflow-history")


async def until_state(eventually, inspector, state, timeout=15):
    """The history once the workflow is in a state."""
    return await eventually(
        lambda: inspector.get("workflow-history"),
        until=lambda shown: shown["workflowState"] == state,
        what=f"state {state}",
        timeout=timeout,
    )


@inspected
@requirement("WF-026", "WF-027")
@pytest.mark.parametrize(
    ("name", "state", "last"),
    [
        ("workflowReplayActor", "completed", "two"),
        ("workflowFailedStepActor", "failed", "fail"),
        ("workflowQueueActor", "sleeping", "queue"),
        ("workflowErrorHookActor", "sleeping", "idle"),
        ("workflowRunningStepActor", "running", "prepare"),
    ],
    ids=["returned", "failed", "waits for a message", "waits for a deadline", "in a step"],
)
async def test_state(conform, eventually, name, state, last):
    """What a pass is at, or how it ended, is the state of the workflow, and stays it."""
    inspector = await inspect(conform, name)
    await eventually(
        lambda: inspector.get("workflow-history"),
        until=lambda shown: shown["workflowState"] == state and last in paths(shown),
        what=f"state {state} behind the entry {last}",
        timeout=15,
    )
    assert (await inspector.get("workflow-history"))["workflowState"] == state
    if state == "running":
        await conform.get_or_create(name).action("release")
        await until_state(eventually, inspector, "completed")


@inspected
@requirement("WF-028", "WF-020", "WF-040")
async def test_completed_workflow_is_replayed(conform, boundary, eventually):
    """After each wake the completed workflow is completed again, with the entries it had, and its step did not run."""
    inspector = await inspect(conform, "workflowCompleteActor")
    before = await until_state(eventually, inspector, "completed")
    for cycle in range(1, 3):
        await boundary.sleep(conform.get_or_create("workflowCompleteActor"), via="api")
        assert (await ask(conform, "workflowCompleteActor"))["startCount"] > cycle
        after = await until_state(eventually, inspector, "completed")
        assert paths(after) == ["complete"] and metadata(after, "complete") == metadata(before, "complete")
    assert (await ask(conform, "workflowCompleteActor"))["runCount"] == 1


@inspected
@requirement("WF-053", "WF-184", "WF-050")
async def test_failed_workflow_fails_silently_again(conform, boundary, eventually):
    """A wake runs a new pass that ends failed again; the exhausted step is neither run nor counted, the finished one not repeated."""
    inspector = await inspect(conform, "workflowFailedStepActor")
    before = await until_state(eventually, inspector, "failed")
    await boundary.sleep(conform.get_or_create("workflowFailedStepActor"), via="api")
    # It may fall asleep and be woken by a question at any time: each pass must end like this.
    assert (await ask(conform, "workflowFailedStepActor"))["startCount"] >= 2
    after = await until_state(eventually, inspector, "failed")
    assert (await ask(conform, "workflowFailedStepActor"))["timeline"] == ["prepare", "fail", "fail", "fail"]
    for path in ("prepare", "fail"):
        assert metadata(after, path) == metadata(before, path)


@requirement("WF-021", "WF-043", "WF-044", "WF-194")
async def test_attempts_survive_a_sleep(conform, boundary, eventually, witness):
    """Put to sleep in its backoff, the step goes on with the next attempt: three in all, and never a fourth."""
    actor = conform.get_or_create("workflowFailedStepActor")
    await eventually(lambda: actor.action("getState"), until=lambda s: s["runCount"] >= 1, what="the first attempt")
    seen = (await actor.action("getState"))["runCount"]
    actor_id = await boundary.sleep(actor, via="api")
    witness.hit("asleep in a backoff", seen < 3)
    state = await eventually(
        lambda: ask(conform, "workflowFailedStepActor"), until=lambda s: s["runCount"] == 3, what="three attempts", timeout=15
    )
    assert state["timeline"] == ["prepare", "fail", "fail", "fail"]
    await boundary.wait_asleep(actor_id)
    assert (await ask(conform, "workflowFailedStepActor"))["timeline"] == ["prepare", "fail", "fail", "fail"]


@inspected
@requirement("WF-030", "WF-032", "WF-070", "WF-112", "WF-220")
async def test_locations(conform, eventually):
    """Loops add their name and an iteration, branches and try blocks their name; the same name is used in all iterations."""
    inspector = await inspect(conform, "workflowTryActor")
    shown = await until_state(eventually, inspector, "completed")
    assert set(paths(shown)) == {"charge-card", "parallel-flow/parallel", "store-try-results"}
    for name, inner in (
        ("workflowNestedJoinActor", ["process-items", "process-items/item-0/process-item-0", "process-items/item-1/process-item-1"]),
        ("workflowNestedRaceActor", ["process-item", "process-item/fast/process-fast"]),
        (
            "workflowNestedLoopActor",
            ["process-items", "process-items/~0/process-item-0", "process-items/~1/process-item-1"],
        ),
    ):
        actor = conform.get_or_create(name)
        for _ in range(2):
            await actor.send(NESTED_QUEUE, {"items": ["a", "b"]}, wait=True, timeout=5)
        inspector = await inspect(conform, name)
        shown = await until_state(eventually, inspector, "sleeping")
        for iteration in (0, 1):
            assert {f"command-loop/~{iteration}/{path}" for path in inner} <= set(paths(shown)), name


@inspected
@requirement("WF-075", "WF-070")
@untimed
async def test_broken_out_loop(conform, eventually):
    """The inner loop is recorded as completed, the outer one goes on."""
    actor = conform.get_or_create("workflowNestedLoopActor")
    await actor.send(NESTED_QUEUE, {"items": ["a", "b"]}, wait=True, timeout=5)
    inspector = await inspect(conform, "workflowNestedLoopActor")
    shown = await until_state(eventually, inspector, "sleeping")
    assert metadata(shown, "command-loop/~0/process-items")["status"] == "COMPLETED"
    assert metadata(shown, "command-loop")["status"] in ("PENDING", "RUNNING")


@inspected
@requirement("WF-073", "WF-076")
async def test_old_iterations_are_pruned(conform, eventually):
    """Of a loop that never ends no more than two intervals of iterations are kept, the newest ones, and the count is exact all the same."""
    await eventually(lambda: ask(conform, "workflowCounterActor"), until=lambda s: s["runCount"] >= 45, what="45 iterations", timeout=30)
    shown = await history(conform, "workflowCounterActor")
    kept = sorted(int(path.split("/")[1][1:]) for path in paths(shown) if path.endswith("/increment"))
    assert kept == list(range(kept[0], kept[0] + len(kept)))
    assert 19 <= len(kept) <= 41 and kept[-1] >= 44 and kept[0] >= 20
    state = await ask(conform, "workflowCounterActor")
    assert state["history"] == list(range(1, state["runCount"] + 1))


@inspected
@requirement("WF-082", "WF-190")
async def test_short_sleeps_do_not_end_the_pass(conform, eventually):
    """A workflow with sleeps of 25 ms is always running, and its actor, of a sleep time-out of 50 ms, stays awake."""
    inspector = await inspect(conform, "workflowCounterActor")
    states = set()
    target = 0
    for _ in range(12):
        shown = await eventually(lambda: inspector.get("workflow-history"), until=lambda seen: len(paths(seen)) > 2, what="entries")
        states.add(shown["workflowState"])
        target += 2
        await eventually(lambda: ask(conform, "workflowCounterActor"), until=lambda s, n=target: s["runCount"] >= n, what="two iterations")
    assert states == {"running"}


@pytest.mark.timeout(150)  # the catalogue's long sleep is a minute
@inspected
@requirement("WF-084", "WF-083", "WF-085")
async def test_a_deadline_wakes_a_sleeping_actor(conform, boundary, clock, eventually):
    """Nobody calls, and at the deadline of its sleep of a minute the actor is woken and the workflow completes; not earlier."""
    actor = conform.get_or_create("workflowErrorHookSleepActor")
    await eventually(lambda: actor.action("getErrorState"), until=lambda s: s["attempts"] == 2, what="the second attempt")
    began = clock.monotonic()
    inspector = await inspect(conform, "workflowErrorHookSleepActor")
    await until_state(eventually, inspector, "sleeping")
    actor_id = await boundary.sleep(actor)
    await eventually(
        lambda: boundary.record(actor_id), until=lambda record: record["connectable_ts"] is not None, what="the wake", timeout=75
    )
    assert clock.monotonic() - began > 55
    await until_state(eventually, inspector, "completed")
    state = await ask(conform, "workflowErrorHookSleepActor", "getErrorState")
    assert (state["attempts"], len(state["events"])) == (2, 1) and state["wakeCount"] >= 2


@requirement("WF-192", "WF-195")
async def test_sleep_ends_a_wait_at_once(conform, boundary, clock, eventually):
    """A sleep request ends the wait of a minute long before the grace period is over."""
    actor = conform.get_or_create("workflowErrorHookSleepActor")
    await eventually(lambda: actor.action("getErrorState"), until=lambda s: s["attempts"] == 2, what="the second attempt")
    began = clock.monotonic()
    await boundary.sleep(actor)
    clock.took(began, most=conform.limit(8))
    state = await ask(conform, "workflowErrorHookSleepActor", "getErrorState")
    assert (state["attempts"], state["wakeCount"], state["sleepCount"]) == (2, 2, 1)


@inspected
@requirement("WF-042", "WF-193")
async def test_step_abandoned_at_the_end_of_grace(conform, boundary, eventually):
    """A step that blocks over the grace period is not recorded; after the wake it runs again and its release finishes the workflow."""
    actor = conform.get_or_create("workflowRunningStepActor")
    inspector = await inspect(conform, "workflowRunningStepActor")
    await eventually(lambda: inspector.get("workflow-history"), until=lambda seen: "prepare" in paths(seen), what="the first step")
    await boundary.sleep(actor, via="api", timeout=40)
    assert await ask(conform, "workflowRunningStepActor") == {"finishedAt": None}
    shown = await inspector.get("workflow-history")
    assert "finish" not in paths(shown) and shown["workflowState"] != "completed"
    assert "block" not in paths(shown) or metadata(shown, "block")["status"] != "COMPLETED"
    await conform.get_or_create("workflowRunningStepActor").action("release")
    await eventually(lambda: ask(conform, "workflowRunningStepActor"), until=lambda s: s["finishedAt"], what="the last step")
    assert set(paths(await until_state(eventually, inspector, "completed"))) == {"prepare", "block", "finish"}


@inspected
@requirement("WF-221", "WF-222")
async def test_view_follows_the_flushes(conform, eventually):
    """Each finished step is in the view while the next one is still at work."""
    inspector = await inspect(conform, "workflowRunningStepActor")
    shown = await eventually(lambda: inspector.get("workflow-history"), until=lambda seen: "prepare" in paths(seen), what="the first step")
    assert metadata(shown, "prepare")["status"] == "COMPLETED" and "finish" not in paths(shown)
    await conform.get_or_create("workflowRunningStepActor").action("release")
    shown = await until_state(eventually, inspector, "completed")
    assert [metadata(shown, path)["status"] for path in ("prepare", "block", "finish")] == ["COMPLETED"] * 3


@inspected
@requirement("WF-175", "WF-172", "WF-170")
async def test_hook_calls_are_not_recorded(conform, boundary, eventually):
    """The history has the workflow's own entries only, and neither a wake nor the new pass calls the hook again."""
    inspector = await inspect(conform, "workflowErrorHookSleepActor")
    shown = await until_state(eventually, inspector, "sleeping")
    shown = await eventually(lambda: inspector.get("workflow-history"), until=lambda seen: "idle" in paths(seen), what="the long sleep")
    assert sorted(paths(shown)) == ["flaky", "idle"] and metadata(shown, "flaky")["attempts"] == 2
    await boundary.sleep(conform.get_or_create("workflowErrorHookSleepActor"))
    assert len((await ask(conform, "workflowErrorHookSleepActor", "getErrorState"))["events"]) == 1
    await until_state(eventually, inspector, "sleeping")
    assert sorted(paths(await inspector.get("workflow-history"))) == ["flaky", "idle"]


@requirement("WF-021", "WF-022", "WF-027")
async def test_a_later_pass_takes_its_message_from_the_history(conform, boundary, eventually):
    """The pass that a retry begins does not wait for the message again that the pass before it received."""
    actor = conform.get_or_create("workflowErrorHookEffectsActor")
    await actor.action("startWorkflow")
    state = await eventually(lambda: actor.action("getErrorState"), until=lambda s: s["attempts"] == 2, what="the second attempt")
    assert state["errorCount"] == 1
    await boundary.sleep(actor, via="api")
    state = await ask(conform, "workflowErrorHookEffectsActor", "getErrorState")
    assert (state["attempts"], state["errorCount"]) == (2, 1)


@requirement("WF-073", "WF-194")
async def test_state_and_steps_agree_over_sleeps(conform, boundary, eventually):
    """However often the actor is put to sleep, each iteration has changed the state exactly once."""
    for cycle in range(1, 5):
        actor = conform.get_or_create("workflowCounterActor")
        await eventually(lambda: ask(conform, "workflowCounterActor"), until=lambda s, n=cycle: s["runCount"] >= 3 * n, what="iterations")
        await boundary.sleep(actor, via="api")
    state = await ask(conform, "workflowCounterActor")
    assert state["history"] == list(range(1, state["runCount"] + 1))
