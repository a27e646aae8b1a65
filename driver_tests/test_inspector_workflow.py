"""Suite actor-inspector-workflow: the history of a workflow and its replay."""

from __future__ import annotations

from driver_tests.inspecting import inspect, replay
from harness import any_encoding, capability, requirement, suite, timing, untimed

pytestmark = [suite("actor-inspector-workflow"), timing, capability("inspector")]

STATES = {"pending", "running", "sleeping", "failed", "completed", "cancelled", "rolling_back"}
STEP_FIELDS = {"status", "error", "attempts", "lastAttemptAt", "createdAt", "completedAt", "rollbackCompletedAt", "rollbackError"}


def entries(shown):
    """Entries by the text of their names, loop markers left out."""
    history = shown["history"]
    if history is None:
        return {}
    names = history["nameRegistry"]

    def path(entry):
        return "/".join(names[part["val"]] for part in entry["location"] if part["tag"] == "WorkflowNameIndex")

    return {path(entry): entry for entry in history["entries"]}


def path_texts(history):
    """The paths of the entries as messages write them, in the order given."""
    names = history["nameRegistry"]
    return [
        "/".join(names[part["val"]] if part["tag"] == "WorkflowNameIndex" else f"~{part['val']['iteration']}" for part in entry["location"])
        for entry in history["entries"]
    ]


async def until_state(eventually, inspector, state):
    """The history once the workflow is in a state."""
    return await eventually(
        lambda: inspector.get("workflow-history"), until=lambda shown: shown["workflowState"] == state, what=f"state {state}", timeout=15
    )


@requirement("INSP-090", "WF-004")
@any_encoding
@untimed
async def test_not_a_workflow(conform):
    """Another actor has no history."""
    shown = await (await inspect(conform, "counter")).get("workflow-history")
    assert shown == {"history": None, "workflowState": None, "isWorkflowEnabled": False}


@requirement("INSP-090", "INSP-092", "WF-220")
@any_encoding
@untimed
async def test_completed_history(conform, eventually):
    """Both steps are in the history with their metadata."""
    inspector = await inspect(conform, "workflowReplayActor")
    shown = await until_state(eventually, inspector, "completed")
    assert shown["isWorkflowEnabled"] is True
    found = entries(shown)
    assert set(found) == {"one", "two"}
    for entry in found.values():
        assert entry["kind"]["tag"] == "WorkflowStepEntry" and entry["kind"]["val"]["error"] is None
        metadata = shown["history"]["entryMetadata"][entry["id"]]
        assert set(metadata) == STEP_FIELDS
        assert (metadata["status"], metadata["attempts"], metadata["error"]) == ("COMPLETED", 1, None)
        assert metadata["completedAt"] >= metadata["createdAt"]


@requirement("INSP-091", "INSP-094")
@any_encoding
@untimed
async def test_loop_history(conform, eventually):
    """A loop shows its iteration and its sleeps; paths are in order."""
    inspector = await inspect(conform, "workflowCounterActor")
    shown = await eventually(
        lambda: inspector.get("workflow-history"),
        until=lambda seen: {"counter", "counter/increment", "counter/idle"} <= set(entries(seen)),
        what="the loop with a step and a sleep",
    )
    assert shown["workflowState"] in STATES
    found = entries(shown)
    assert found["counter"]["kind"]["tag"] == "WorkflowLoopEntry"
    assert isinstance(found["counter"]["kind"]["val"]["iteration"], int)
    assert found["counter/increment"]["kind"]["tag"] == "WorkflowStepEntry"
    assert found["counter/idle"]["kind"]["val"]["state"] in {"PENDING", "COMPLETED", "INTERRUPTED"}
    paths = path_texts(shown["history"])
    assert paths == sorted(paths)


@requirement("INSP-093")
async def test_running_step(conform, eventually):
    """While a step is blocked earlier steps are visible."""
    inspector = await inspect(conform, "workflowRunningStepActor")
    shown = await eventually(
        lambda: inspector.get("workflow-history"), until=lambda seen: "prepare" in entries(seen), what="the finished step"
    )
    assert shown["workflowState"] in {"pending", "running"}
    assert "finish" not in entries(shown)
    await conform.get_or_create("workflowRunningStepActor").action("release")
    assert set(entries(await until_state(eventually, inspector, "completed"))) == {"prepare", "block", "finish"}


@requirement("INSP-091", "WF-046", "WF-050")
@any_encoding
@untimed
async def test_failed_workflow(conform, eventually):
    """An exhausted step ends the workflow as failed."""
    inspector = await inspect(conform, "workflowFailedStepActor")
    shown = await until_state(eventually, inspector, "failed")
    metadata = shown["history"]["entryMetadata"][entries(shown)["fail"]["id"]]
    assert (metadata["status"], metadata["attempts"]) == ("EXHAUSTED", 3)
    assert "workflow step failed" in metadata["error"]


@requirement("INSP-090", "WF-116")
@any_encoding
@untimed
async def test_join_history(conform, eventually):
    """A join shows its branches."""
    inspector = await inspect(conform, "workflowTryActor")
    shown = await until_state(eventually, inspector, "completed")
    [join] = [entry for entry in shown["history"]["entries"] if entry["kind"]["tag"] == "WorkflowJoinEntry"]
    branches = join["kind"]["val"]["branches"]
    assert {name: branch["status"] for name, branch in branches.items()} == {"ok": "COMPLETED", "bad": "FAILED"}


@requirement("INSP-110")
@any_encoding
async def test_summary_of_a_workflow(conform, eventually):
    """The summary shows the history too."""
    inspector = await inspect(conform, "workflowReplayActor")
    await until_state(eventually, inspector, "completed")
    shown = await inspector.get("summary")
    assert (shown["isWorkflowEnabled"], shown["workflowState"]) == (True, "completed")
    assert len(shown["workflowHistory"]["entries"]) == 2


@requirement("INSP-100", "WF-210", "WF-213", "WF-217")
async def test_replay_from_the_beginning(conform, eventually):
    """Both steps run once more; the actor's state is not rewound."""
    inspector = await inspect(conform, "workflowReplayActor")
    await until_state(eventually, inspector, "completed")
    shown = await replay(eventually, inspector, {})
    assert shown["workflowState"] == "sleeping" and shown["isWorkflowEnabled"] is True
    actor = conform.get_or_create("workflowReplayActor")
    await eventually(lambda: actor.action("getTimeline"), until=lambda seen: seen == ["one", "two", "one", "two"], what="both steps again")


@requirement("INSP-100", "WF-211")
async def test_replay_from_a_step(conform, eventually):
    """Only the named step and what came after it run again."""
    inspector = await inspect(conform, "workflowReplayActor")
    shown = await until_state(eventually, inspector, "completed")
    shown = await replay(eventually, inspector, {"entryId": entries(shown)["two"]["id"]})
    assert set(entries(shown)) == {"one"}
    actor = conform.get_or_create("workflowReplayActor")
    await eventually(lambda: actor.action("getTimeline"), until=lambda seen: seen == ["one", "two", "two"], what="the second step again")


@requirement("INSP-101", "WF-215")
async def test_replay_in_flight(conform, eventually):
    """A workflow that is running cannot be replayed."""
    inspector = await inspect(conform, "workflowRunningStepActor")
    await eventually(lambda: inspector.get("workflow-history"), until=lambda seen: "prepare" in entries(seen), what="the first step")
    response = await inspector.request("POST", "workflow/replay", json={})
    assert response.status_code == 409
    assert response.json() == {
        "group": "actor",
        "code": "workflow_in_flight",
        "message": "Workflow replay is unavailable while the workflow is currently in flight.",
        "metadata": None,
    }
    await conform.get_or_create("workflowRunningStepActor").action("release")


@requirement("INSP-101", "WF-215")
@any_encoding
async def test_replay_while_waiting(conform, eventually):
    """A workflow that waits in process for a message is in flight, too."""
    inspector = await inspect(conform, "workflowQueueActor")
    await until_state(eventually, inspector, "sleeping")
    response = await inspector.request("POST", "workflow/replay", json={})
    assert response.status_code == 409 and response.json()["code"] == "workflow_in_flight"


@requirement("INSP-102")
@any_encoding
@untimed
async def test_replay_of_another_actor(conform):
    """An actor that is no workflow answers with nothing."""
    shown = await (await inspect(conform, "counter")).post("workflow/replay", {})
    assert shown == {"history": None, "workflowState": None, "isWorkflowEnabled": False}


@requirement("INSP-103", "WF-214")
@any_encoding
async def test_replay_of_an_unknown_step(conform, eventually):
    """An unknown entry has its text."""
    inspector = await inspect(conform, "workflowReplayActor")
    await until_state(eventually, inspector, "completed")

    async def ask():
        return await inspector.request("POST", "workflow/replay", json={"entryId": "nope"})

    response = await eventually(ask, until=lambda answer: answer.status_code != 409, what="an answer other than in flight")
    assert response.status_code == 500
    assert response.json()["message"] == "Workflow step not found: nope"


@requirement("INSP-100", "WF-210", "WF-194")
async def test_replays_survive_sleep(conform, eventually, boundary, clock):
    """After two replays and a sleep no step runs again."""
    inspector = await inspect(conform, "workflowReplayActor")
    actor = conform.get_or_create("workflowReplayActor")
    for runs in (2, 3):
        await until_state(eventually, inspector, "completed")
        await replay(eventually, inspector, {})
        await eventually(lambda: actor.action("getTimeline"), until=lambda seen, n=runs: len(seen) == 2 * n, what="a further run")
    await boundary.sleep(conform.get_or_create("workflowReplayActor"), via="api")
    await clock.sleep(0.1)  # nothing must happen
    assert await conform.get_or_create("workflowReplayActor").action("getTimeline") == ["one", "two"] * 3
