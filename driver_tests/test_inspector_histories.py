"""Suite inspector-histories: every kind of entry of a workflow's history, member by member, and what a replay answers."""

from __future__ import annotations

import pytest

from driver_tests.falsy import FALSY
from driver_tests.inspecting import inspect, replay
from driver_tests.inspector_messages import decode_history
from driver_tests.inspector_socket import inspecting
from driver_tests.workflow_history import NAME, History, ended, workflow
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import failing, labels, latch, later, made, op, play, ref, step, trace

pytestmark = [suite("inspector-histories"), any_encoding, capability("inspector")]

METADATA = {"status", "error", "attempts", "lastAttemptAt", "createdAt", "completedAt", "rollbackCompletedAt", "rollbackError"}
GO = op("wf.next", name="go", names=["jobs"])
THREE = [step("b", trace("b")), step("a", trace("a")), step("c", trace("c"))]


async def shown(conform, eventually, state="completed"):
    """The answer of the route once the workflow is in a state."""
    await ended(conform, eventually, state)
    return await (await inspect(conform, NAME)).get("workflow-history")


@requirement("INSP-092", "INSP-091", "INSP-090")
@timing
async def test_nothing_yet(conform):
    """Until there is an entry the history is null; the state tells that the workflow is at work."""
    await workflow(conform, GO, onWake=[latch("in start")]).resolve()
    inspector = await inspect_later(conform)
    answer = await inspector.get("workflow-history")
    assert answer["isWorkflowEnabled"] is True and answer["workflowState"] in {"pending", "running", "sleeping"}
    assert answer["history"] is None or answer["history"]["entries"] == []


async def inspect_later(conform):
    """The inspector of an actor whose start was held and is let go."""
    found = conform.spawn(inspect(conform, NAME))
    await conform.latch("in start").arrived()
    await conform.latch("in start").release()
    return await found


@requirement("INSP-090", "INSP-092")
@pytest.mark.parametrize("value", FALSY.values(), ids=FALSY)
async def test_outputs_of_steps(conform, eventually, value):
    """A falsy output is shown as what it is, and an entry has exactly its members."""
    await play(workflow(conform, step("s", op("value", value=value))))
    answer = await shown(conform, eventually)
    [entry] = answer["history"]["entries"]
    assert entry == {
        "id": entry["id"],
        "location": [{"tag": "WorkflowNameIndex", "val": 0}],
        "kind": {"tag": "WorkflowStepEntry", "val": {"output": value, "error": None}},
    }
    assert answer["history"]["nameRegistry"] == ["s"]
    assert set(answer["history"]["entryMetadata"]) == {entry["id"]}
    assert set(answer["history"]["entryMetadata"][entry["id"]]) == METADATA


@requirement("INSP-090", "INSP-092", "INSP-094")
async def test_names_and_order(conform, eventually):
    """Entries are in the order of their paths' text, whatever ran first; the registry has the names in the order of their indexes."""
    await play(workflow(conform, *THREE))
    history = (await shown(conform, eventually))["history"]
    names = history["nameRegistry"]
    assert sorted(names) == ["a", "b", "c"]
    assert [names[entry["location"][0]["val"]] for entry in history["entries"]] == ["a", "b", "c"]
    ran = sorted(history["entries"], key=lambda entry: history["entryMetadata"][entry["id"]]["createdAt"])
    assert names[ran[0]["location"][0]["val"]] in {"a", "b", "c"} and await labels(conform) == ["b", "a", "c"]


@requirement("INSP-090", "INSP-092")
async def test_times_and_attempts(conform, eventually):
    """Times are epoch milliseconds of creation, last attempt and completion; a step that failed first shows its attempts."""
    actor = workflow(conform, step("s", *failing(1, op("wait", ms=300), op("value", value=1)), retryBackoffBase=1000, maxRetries=2))
    before = await play(actor, op("value", value=later(0)))
    found = await ended(conform, eventually)
    after = await play(made(conform, NAME), op("value", value=later(0)))
    meta = found.metadata["s"]
    assert {name: meta[name] for name in ("status", "attempts", "rollbackCompletedAt", "rollbackError")} == {
        "status": "COMPLETED", "attempts": 2, "rollbackCompletedAt": None, "rollbackError": None,
    }  # fmt: skip
    assert before - 1000 <= meta["createdAt"] <= meta["lastAttemptAt"] - 900
    assert meta["lastAttemptAt"] + 250 <= meta["completedAt"] <= after


@requirement("INSP-090", "INSP-091", "INSP-092")
async def test_a_failed_step(conform, eventually):
    """Its error is text in the entry and in its metadata, it was never completed, and the workflow is failed."""
    fails = step("bad", op("throw", kind="internal", message="no such luck"), maxRetries=0)
    await play(workflow(conform, step("good"), fails))
    answer = await shown(conform, eventually, "failed")
    found = History.of(answer)
    assert "no such luck" in found.entries["bad"]["val"]["error"] and found.entries["good"]["val"]["error"] is None
    meta = found.metadata["bad"]
    assert (meta["status"], meta["attempts"], meta["completedAt"]) == ("EXHAUSTED", 1, None) and "no such luck" in meta["error"]
    assert (answer["workflowState"], found.metadata["good"]["error"]) == ("failed", None)


@requirement("INSP-090", "INSP-092", "INSP-094")
async def test_a_loop(conform, eventually):
    """A loop has state, iteration and output; iterations are markers behind the loop's name, counted from 0."""
    turn = op("if", value=ref("loop"), is_=0, then=[op("break", value=False)], else_=[op("continue", state=0)])
    await play(workflow(conform, op("wf.loop", name="round", state=1, do=[step("turn", op("value", value=ref("loop"))), turn])))
    history = (await shown(conform, eventually))["history"]
    names = history["nameRegistry"]
    index = {name: place for place, name in enumerate(names)}
    locations = [entry["location"] for entry in history["entries"]]

    def turn_of(iteration):
        marker = {"tag": "WorkflowLoopIterationMarker", "val": {"loop": index["round"], "iteration": iteration}}
        return [{"tag": "WorkflowNameIndex", "val": index["round"]}, marker, {"tag": "WorkflowNameIndex", "val": index["turn"]}]

    assert locations == [[{"tag": "WorkflowNameIndex", "val": index["round"]}], turn_of(0), turn_of(1)]
    assert history["entries"][0]["kind"] == {"tag": "WorkflowLoopEntry", "val": {"state": 0, "iteration": 1, "output": False}}
    assert [entry["kind"]["val"]["output"] for entry in history["entries"][1:]] == [1, 0]
    described = history["entryMetadata"]
    assert {entry["id"] for entry in history["entries"]} == set(described)
    assert described[history["entries"][0]["id"]]["status"] == "COMPLETED"


@requirement("INSP-090", "INSP-092")
async def test_the_other_kinds(conform, eventually):
    """Sleeps, messages, checkpoints, joins, races, removed entries and version checks have their tags and members, and no metadata."""
    program = [
        op("wf.version", name="gate", latest=3),
        op("wf.checkpoint", name="point"),
        op("wf.removed", name="gone", type="step"),
        op("wf.sleep", name="nap", ms=50),
        op("wf.next", name="ask", names=["jobs"]),
        op("wf.join", name="join", branches={"no": [op("value", value=0)], "yes": [op("value", value="")]}),
        op("wf.race", name="race", branches={"w": [op("value", value=None)], "l": [op("wf.sleep", name="long", ms=60_000)]}),
    ]
    actor = workflow(conform, *program)
    before = await play(actor, op("value", value=later(0)))
    await actor.send("jobs", {"zero": 0})
    answer = await shown(conform, eventually)
    found = History.of(answer)
    kinds = {path: (kind["tag"], kind["val"]) for path, kind in found.entries.items()}
    assert kinds["gate"] == ("WorkflowVersionCheckEntry", {"resolved": 3, "latest": 3})
    assert kinds["point"] == ("WorkflowRollbackCheckpointEntry", {"name": "point"})
    assert kinds["gone"] == ("WorkflowRemovedEntry", {"originalType": "step", "originalName": kinds["gone"][1]["originalName"]})
    tag, nap = kinds["nap"]
    assert (tag, set(nap), nap["state"]) == ("WorkflowSleepEntry", {"deadline", "state"}, "COMPLETED")
    assert before - 1000 <= nap["deadline"] <= before + 10_000
    messages = [val for tag, val in kinds.values() if tag == "WorkflowMessageEntry" and val["name"] == "jobs"]
    assert messages == [{"name": "jobs", "messageData": messages[0]["messageData"]}]
    ended_ones = {name: {"status": "COMPLETED", "output": output, "error": None} for name, output in (("no", 0), ("yes", ""))}
    assert kinds["join"] == ("WorkflowJoinEntry", {"branches": ended_ones})
    tag, race = kinds["race"]
    assert (tag, race["winner"], race["branches"]["w"]["status"]) == ("WorkflowRaceEntry", "w", "COMPLETED")
    assert race["branches"]["l"]["status"] in {"CANCELLED", "RUNNING"}
    assert {path for path, meta in found.metadata.items() if meta is not None} <= {"join/no", "join/yes", "race/w"}


@requirement("INSP-093", "INSP-091")
@timing
async def test_while_a_step_is_at_work(conform, eventually):
    """What is finished is there, what comes later is not, and the state says that the workflow runs."""
    await play(workflow(conform, step("done"), step("held", latch("in step")), step("after")))
    await conform.latch("in step").arrived()
    answer = await (await inspect(conform, NAME)).get("workflow-history")
    found = History.of(answer)
    assert answer["workflowState"] in {"pending", "running"} and answer["isWorkflowEnabled"] is True
    assert "done" in found.entries and "after" not in found.entries and found.metadata["done"]["status"] == "COMPLETED"
    await conform.latch("in step").release()
    assert set((await ended(conform, eventually)).entries) == {"done", "held", "after"}


@requirement("INSP-100", "WF-210", "WF-213")
async def test_replay_answers_with_the_emptied_history(conform, eventually):
    """A replay from the beginning answers with a history that has no entry any more, not with none, and state `sleeping`."""
    await play(workflow(conform, step("one", trace("one")), step("two", trace("two"))))
    await ended(conform, eventually)
    answer = await replay(eventually, await inspect(conform, NAME), {})
    assert {name: answer[name] for name in ("workflowState", "isWorkflowEnabled")} == {
        "workflowState": "sleeping",
        "isWorkflowEnabled": True,
    }
    assert answer["history"] is not None
    assert (answer["history"]["entries"], answer["history"]["entryMetadata"]) == ([], {})
    await eventually(lambda: labels(conform), until=lambda seen: seen == ["one", "two"] * 2, what="both steps again")


@requirement("INSP-104", "INSP-103")
@pytest.mark.parametrize("body", [5, [], "one", {"entryId": 5}, {"entryId": ["one"]}, {"entryId": ""}], ids=repr)
async def test_a_replay_of_something_else(conform, eventually, body):
    """A body that names no entry is refused: nothing is deleted and nothing runs again."""
    await play(workflow(conform, step("one", trace("one"))))
    answer = await shown(conform, eventually)
    inspector = await inspect(conform, NAME)

    async def ask():
        return await inspector.request("POST", "workflow/replay", json=body)

    response = await eventually(ask, until=lambda one: one.status_code != 409, what="an answer other than in flight")
    assert response.status_code in (400, 500) and response.json()["group"] == "actor"
    assert (await inspector.get("workflow-history"))["history"] == answer["history"] and await labels(conform) == ["one"]


@requirement("INSP-164", "INSP-100", "WF-221")
async def test_a_replay_is_told_to_who_watches(conform, eventually):
    """Whoever has the inspector open learns of it while the first step of the new run is at work, and sees nothing of the old one."""
    again = op("if", value=ref("n"), below=2, else_=[latch("again")])
    await play(workflow(conform, step("one", op("incr", at="state.n", as_="n"), again), step("two")))
    await ended(conform, eventually)
    async with inspecting(conform, NAME) as (socket, _):
        await replay(eventually, await inspect(conform, NAME), {})
        await conform.latch("again").arrived()
        pushes = [fields for kind, fields in [*socket.pushed, *await socket.told(1.0)] if kind == "WorkflowHistoryUpdated"]
        shown = decode_history(pushes[-1]["history"])
        assert set(shown) <= {"one"} and all(entry["metadata"]["status"] != "completed" for entry in shown.values())
        await conform.latch("again").release()


@requirement("INSP-100", "WF-211")
@pytest.mark.parametrize(("target", "left"), [("b", []), ("a", ["b"]), ("c", ["a", "b"])])
async def test_replay_answers_with_what_is_left(conform, eventually, target, left):
    """A replay from a step deletes it and what was recorded after it, not what was before, whatever the order of their names."""
    slow = [step(name, trace(name), op("wait", ms=20)) for name in "bac"]
    await play(workflow(conform, *slow))
    answer = await shown(conform, eventually)
    names = answer["history"]["nameRegistry"]
    [entry] = [one for one in answer["history"]["entries"] if names[one["location"][0]["val"]] == target]
    emptied = await replay(eventually, await inspect(conform, NAME), {"entryId": entry["id"]})
    assert (emptied["workflowState"], sorted(History.of(emptied).entries)) == ("sleeping", left)
    again = ["b", "a", "c"]["bac".index(target) :]
    await eventually(lambda: labels(conform), until=lambda seen: seen == ["b", "a", "c", *again], what="the rest again")


@requirement("INSP-103", "INSP-100")
@pytest.mark.parametrize("kind", ["sleep", "loop", "checkpoint", "unknown"])
async def test_replay_from_what_is_no_step(conform, eventually, kind):
    """Only a step may be the target; nothing is deleted and nothing runs again."""
    turn = op("wf.loop", name="loop", do=[op("break")])
    await play(workflow(conform, op("wf.checkpoint", name="checkpoint"), op("wf.sleep", name="sleep", ms=10), turn, step("s", trace("s"))))
    answer = await shown(conform, eventually)
    names = answer["history"]["nameRegistry"]
    found = {names[one["location"][0]["val"]]: one["id"] for one in answer["history"]["entries"]}
    inspector = await inspect(conform, NAME)

    async def ask():
        return await inspector.request("POST", "workflow/replay", json={"entryId": found.get(kind, "nope")})

    response = await eventually(ask, until=lambda one: one.status_code != 409, what="an answer other than in flight")
    text = "Workflow step not found: nope" if kind == "unknown" else "Workflow replay target must be a step"
    body = {"group": "actor", "code": "internal_error", "message": text, "metadata": None}
    assert (response.status_code, response.json()) == (500, body)
    assert (await inspector.get("workflow-history"))["history"] == answer["history"]
    assert await labels(conform) == ["s"]


@requirement("INSP-101", "WF-215")
@pytest.mark.parametrize("wait", [GO, op("wf.sleep", name="nap", ms=60_000)], ids=["message", "deadline"])
async def test_replay_while_the_workflow_waits(conform, eventually, wait):
    """A workflow that waits in its process is in flight; the history stays and nothing runs again."""
    await play(workflow(conform, step("s", trace("s")), wait))
    before = await shown(conform, eventually, "sleeping")
    response = await (await inspect(conform, NAME)).request("POST", "workflow/replay", json={})
    text = "Workflow replay is unavailable while the workflow is currently in flight."
    refused = {"group": "actor", "code": "workflow_in_flight", "message": text, "metadata": None}
    assert (response.status_code, response.json()) == (409, refused)
    assert (await (await inspect(conform, NAME)).get("workflow-history"))["history"] == before["history"]
    assert await labels(conform) == ["s"]


@requirement("INSP-110", "INSP-090")
async def test_summary_of_a_workflow(conform, eventually):
    """The summary has the history and the state of the route."""
    await play(workflow(conform, *THREE))
    answer = await shown(conform, eventually)
    summary = await (await inspect(conform, NAME)).get("summary")
    assert (summary["workflowHistory"], summary["workflowState"]) == (answer["history"], "completed")
    assert summary["isWorkflowEnabled"] is True
