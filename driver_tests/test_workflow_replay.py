"""Suite workflow-replay: what is durable when, seen by generations that are cut off; outcomes over wakes; replay by the inspector."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import inspect
from driver_tests.workflow_history import NAME, History, ended, history, workflow
from driver_tests.workflow_programs import ERRORS, WAIT, begun, bounded, errors, replaced, told, values, waits, woken, workflow_error
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import failing, labels, latch, made, op, play, put, ref, step, trace

pytestmark = [suite("workflow-replay"), timing, any_encoding, capability("inspector")]

HELD = step("held", latch("held"))
"""Cut off at the end of grace: what was not flushed before it is lost."""


async def cut(conform, boundary):
    """The histories before and after the generation was cut off in `held`."""
    await conform.latch("held").arrived()
    before = await history(conform)
    await woken(conform, boundary)
    await conform.latch("held").arrived(count=2)
    return before, await history(conform)


TIME = op("value", value={"$now": 0})
"""Another value when it runs again."""
FLUSHED = {
    "step": ([step("x")], {"x"}),
    "tryStep": ([op("wf.tryStep", name="x", do=[op("throw", kind="critical")])], {"x"}),
    "step of a block": ([op("wf.try", name="t", do=[step("x")])], {"t/x"}),
    "sleep": ([op("wf.sleep", name="x", ms=1)], {"x"}),
    "long sleep": ([op("wf.sleep", name="x", ms=150)], {"x"}),
    "receive": ([op("wf.nextBatch", name="x", names=["jobs"], timeout=120)], {"x:count", "x:deadline"}),
    "message": ([op("wf.next", name="x", names=["other"])], {"x:count", "x:0"}),
    "join": ([op("wf.join", name="x", branches={"a": [TIME], "b": []})], {"x"}),
    "race": ([op("wf.race", name="x", branches={"a": [TIME], "b": [TIME]})], {"x"}),
    "checkpoint": ([op("wf.checkpoint", name="x")], {"x"}),
    "removed": ([op("wf.removed", name="x", type="step")], {"x"}),
    "version": ([op("wf.version", name="x", latest=2)], {"x"}),
    "broken loop": ([op("wf.loop", name="x", do=[op("break", value={"$now": 0})])], {"x"}),
    "ephemeral and durable": ([step("x", ephemeral=True), step("y")], {"x", "y"}),
    "ephemeral and checkpoint": ([step("x", ephemeral=True), op("wf.checkpoint", name="y")], {"x", "y"}),
}


@requirement("WF-146", "WF-041", "WF-194", "WF-075", "WF-083", "WF-111", "WF-121", "WF-045")
@pytest.mark.parametrize("what", FLUSHED)
async def test_what_is_durable_at_once(conform, boundary, eventually, what):
    """What has settled before a step that was cut off is still there after the wake, as the same entries with the same values."""
    entries, paths = FLUSHED[what]
    await play(workflow(conform, *entries, HELD, told(), onCreate=[op("queue.send", name="other", body=5)]))
    before, after = await cut(conform, boundary)
    assert paths <= set(before.entries)
    for path in paths:
        assert (after.ids.get(path), after.entries[path]) == (before.ids[path], before.entries[path])
        assert (after.metadata[path] or {}).get("completedAt") == (before.metadata[path] or {}).get("completedAt")
    await conform.latch("held").release()
    await ended(conform, eventually)
    assert await labels(conform) == ["told"]


PENDING = {
    "sleep": (op("wf.sleep", name="x", ms=60_000), "x"),
    "deadline": (op("wf.nextBatch", name="x", names=["jobs"], timeout=60_000), "x:deadline"),
}


@requirement("WF-146", "WF-080", "WF-093")
@pytest.mark.parametrize("what", PENDING)
async def test_what_is_durable_before_a_wait(conform, boundary, eventually, what):
    """A deadline is stored before it is waited for, though another branch keeps the pass from ending."""
    entry, path = PENDING[what]
    await play(workflow(conform, op("wf.race", name="r", branches={"a": [entry], "b": [HELD]}), told()))
    await eventually(lambda: history(conform), until=lambda shown: f"r/a/{path}" in shown.entries, what="the entry")
    before, after = await cut(conform, boundary)
    assert after.ids[f"r/a/{path}"] == before.ids[f"r/a/{path}"]
    assert after.entries[f"r/a/{path}"] == before.entries[f"r/a/{path}"]
    await conform.latch("held").release()
    await ended(conform, eventually)


@requirement("WF-045")
async def test_an_ephemeral_step_alone_is_not_durable(conform, boundary, eventually):
    """Cut off before the next flush, its body runs again; a durable step in its place does not."""
    await play(workflow(conform, step("d", trace("d")), step("e", trace("e"), ephemeral=True), HELD, told()))
    before, after = await cut(conform, boundary)
    assert await labels(conform) == ["d", "e", "e"]
    assert after.ids["d"] == before.ids["d"] and after.ids.get("e") != before.ids.get("e", "?")
    await conform.latch("held").release()
    await ended(conform, eventually)
    await woken(conform, boundary)
    await ended(conform, eventually)
    assert await labels(conform) == ["d", "e", "e", "told"]


@requirement("WF-045", "WF-146")
@pytest.mark.parametrize("then", ["end", "wait"])
async def test_an_ephemeral_step_lasts_with_the_next_flush(conform, boundary, eventually, then):
    """The flush of a wait or of the end has it, with its output."""
    first = {**step("e", trace("e"), op("value", value=4), ephemeral=True), "as": "n"}
    await play(workflow(conform, first, *([WAIT, told(ref("n"))] if then == "wait" else [])))
    if then == "wait":
        await waits(conform, eventually)
        await woken(conform, boundary, send=True)
    await ended(conform, eventually)
    await woken(conform, boundary)
    await ended(conform, eventually)
    assert await values(conform) == [("e", None), *([("told", 4)] if then == "wait" else [])]


@requirement("WF-042", "WF-145", "WF-193", "WF-140")
async def test_a_step_that_was_cut_off(conform, boundary, eventually):
    """It is not recorded, also when its body ends long after its generation; the state of the finished step is there, once."""
    held = step("held", op("incr", at="state.begun"), latch("held"), op("set", at="state.late", value=True))
    await play(workflow(conform, step("a", op("incr", at="state.n")), held, told()))
    before, after = await cut(conform, boundary)
    assert (after.metadata["a"]["attempts"], after.ids["a"]) == (1, before.ids["a"])
    assert (after.metadata.get("held") or {"status": "PENDING"})["status"] != "COMPLETED"
    state = await play(made(conform, NAME), op("value", value=ref("state")))
    assert state["n"] == 1 and "late" not in state
    await conform.latch("held").release()
    shown = await ended(conform, eventually)
    assert shown.metadata["held"]["status"] == "COMPLETED" and await labels(conform) == ["told"]


@requirement("WF-050", "WF-116", "WF-222")
async def test_statuses_of_what_is_in_progress(conform, eventually):
    """A step under way and its branch are running once another branch has flushed; the finished ones are completed, at their times."""
    branches = {"a": [step("s", latch("held"))], "b": [step("s")]}
    await play(workflow(conform, op("wf.join", name="j", branches=branches)))
    await conform.latch("held").arrived()
    done = lambda shown: (shown.metadata.get("j/b/s") or {}).get("status") == "COMPLETED"  # noqa: E731
    shown = await eventually(lambda: history(conform), until=done, what="the other branch")
    assert shown.metadata["j/a/s"]["status"] == "RUNNING" and not shown.metadata["j/a/s"]["completedAt"]
    assert shown.value("j")["branches"]["a"]["status"] == "RUNNING"
    await conform.latch("held").release()
    shown = await ended(conform, eventually)
    for path in ("j/a/s", "j/b/s"):
        meta = shown.metadata[path]
        assert (meta["status"], meta["attempts"], meta["error"], meta["rollbackCompletedAt"]) == ("COMPLETED", 1, None, None)
        assert meta["createdAt"] <= meta["lastAttemptAt"] <= meta["completedAt"]
    assert shown.metadata["j/a/s"]["completedAt"] >= shown.metadata["j/b/s"]["completedAt"]


@requirement("WF-141", "WF-052", "DB-328")
@pytest.mark.parametrize(("size", "fits"), [(260_000, True), (262_145, False)])
async def test_a_value_over_the_limit(conform, eventually, size, fits):
    """Up to 262144 bytes a result can be stored; above, its step has failed though its body ran, and runs again as far as retries go."""
    body = [op("incr", at="state.tries"), op("value", value={"$text": size})]
    tried = op("wf.tryStep", name="s", do=body, maxRetries=1, retryBackoffBase=1, as_="out")
    await play(workflow(conform, tried, told(ref("out.ok" if fits else "out.failure"))))
    shown = await ended(conform, eventually)
    ((_, out),) = await values(conform)
    assert out is True if fits else (out["kind"], out["attempts"]) == ("exhausted", 2)
    meta = shown.metadata["s"]
    assert (meta["attempts"], meta["status"]) == ((1, "COMPLETED") if fits else (2, "EXHAUSTED")) and bool(meta["completedAt"]) is fits
    assert await play(made(conform, NAME), op("value", value=ref("state.tries"))) == (1 if fits else 2)


@requirement("WF-142", "WF-052", "WF-182")
@pytest.mark.parametrize(("count", "size", "fits"), [(38, 1, True), (46, 1, False), (2, 200_000, True), (3, 200_000, False)])
async def test_a_flush_over_the_limit(conform, eventually, count, size, fits):
    """128 rows and 524288 bytes: a larger flush fails as a whole, and what is behind it does not run; none of it is stored."""
    parts = [step(f"e{n}", op("value", value={"$text": size}), ephemeral=True) for n in range(count)]
    await play(workflow(conform, *parts, step("end", trace("end"), maxRetries=0), told()))
    await ended(conform, eventually, "completed" if fits else "failed")
    assert await labels(conform) == (["end", "told"] if fits else ["end"])


@requirement("WF-142", "WF-182", "WF-171")
@pytest.mark.parametrize("then", ["end", "wait"])
async def test_what_cannot_be_stored_at_a_wait_or_the_end(conform, boundary, eventually, then):
    """The workflow fails, is told so once, and the failure is stored."""
    large = step("e", op("value", value={"$text": 300_000}), ephemeral=True)
    await play(workflow(conform, large, *([WAIT] if then == "wait" else []), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    await eventually(lambda: errors(conform, "workflow"), until=lambda seen: len(seen) == 1, what="the event")


LONG = {"outside": [], "step": [], "handler": [step("end", op("throw", kind="critical", message="end"))]}


@requirement("WF-182", "WF-171", "WF-170", "WF-135", "WF-141", "WF-185")
@pytest.mark.parametrize("where", LONG)
async def test_an_error_with_a_long_text(conform, eventually, where):
    """It is told once, from its beginning, and recorded: the workflow is failed, or rolls back; actions are answered all the while."""
    throw = op("throw", kind="internal", message={"$repeat": ["long ", 80_000]})
    program = {
        "outside": [throw],
        "step": [step("s", throw, maxRetries=0)],
        "handler": [op("wf.checkpoint", name="point"), step("s", rollback=[throw])],
    }[where]
    await play(workflow(conform, *program, *LONG[where], onWorkflowError=ERRORS))
    await ended(conform, eventually, "rolling_back" if where == "handler" else "failed")
    kind = {"outside": "workflow", "step": "step", "handler": "rollback"}[where]
    events = await eventually(lambda: errors(conform, kind), until=bool, what="the event")
    assert len(events) == 1 and events[0]["error"]["name"] == "Error" and events[0]["error"]["message"].startswith("long long ")
    assert await play(made(conform, NAME), op("value", value="answered")) == "answered"


@requirement("WF-141", "WF-113", "WF-110")
async def test_a_value_of_a_branch_over_the_limit(conform, eventually):
    """Its branch has failed; a step of the other branch, which is recorded after it, ran once and has not."""
    large = [op("value", value={"$text": 300_000})]
    join = op("wf.join", name="j", branches={"large": large, "small": [step("s", latch("held"), trace("s"), maxRetries=0)]})
    await play(workflow(conform, join, onWorkflowError=ERRORS))
    await conform.latch("held").arrived()
    await conform.latch("held").release()
    shown = await ended(conform, eventually, "failed")
    assert await labels(conform) == ["s"] and shown.metadata["j/small/s"]["status"] == "COMPLETED"
    assert (await workflow_error(conform, eventually))["message"] == "Join failed: large" and await errors(conform, "step") == []


@requirement("WF-143", "WF-146")
async def test_a_failed_flush_loses_nothing(conform, boundary, eventually):
    """What one flush could not store is in the next one: the ephemeral step before a result that is too large does not run again."""
    large = op("wf.tryStep", name="large", do=[op("value", value={"$text": 300_000})], maxRetries=0)
    await begun(conform, eventually, step("e", trace("e"), ephemeral=True), large, WAIT, told())
    await woken(conform, boundary, send=True)
    shown = await ended(conform, eventually)
    assert await labels(conform) == ["e", "told"] and shown.metadata["e"]["attempts"] == 1


@requirement("WF-040", "WF-022", "WF-041")
@pytest.mark.parametrize("how", ["the result", "the state"])
async def test_a_recorded_result_is_nobodys(conform, eventually, how):
    """Neither what workflow code does to a result nor what happens to the state that it was taken from shows in later passes."""
    made_of = [op("set", at="state.list", value=[1]), op("live", at="state.list")]
    later = op("change", of="out", value=2) if how == "the result" else step("later", op("append", at="state.list", value=2))
    program = [{**step("s", *made_of), "as": "out"}, later, op("wf.sleep", name="nap", ms=150), told(ref("out"))]
    await play(workflow(conform, *program))
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", [1, 2] if how == "the result" else [1])] and shown.value("s")["output"] == [1]


@requirement("WF-171", "WF-185", "WF-029", "WF-184", "WF-182")
async def test_a_plain_error_is_met_again(conform, boundary, eventually):
    """It fails the workflow, is told once per generation with name and message, and a wake with mended code goes on where it was."""
    broken = [step("a", trace("a")), op("throw", kind="internal", message="outside")]
    actor = workflow(conform, *broken, onWorkflowError=ERRORS)
    await play(actor)
    await ended(conform, eventually, "failed")
    events = await eventually(lambda: errors(conform, "workflow"), until=lambda seen: len(seen) == 1, what="the event")
    assert events == [{"workflowId": await actor.resolve(), "error": {"name": "Error", "message": "outside"}}]
    await woken(conform, boundary)
    await eventually(lambda: errors(conform, "workflow"), until=lambda seen: len(seen) == 2, what="the second event")
    await ended(conform, eventually, "failed")
    await replaced(conform, boundary, step("a", trace("a")), told("end"), send=False)
    await ended(conform, eventually)
    assert await labels(conform) == ["a", "told"] and len(await errors(conform, "workflow")) == 2


@requirement("WF-171", "WF-172", "WF-181", "WF-183")
@pytest.mark.parametrize("kind", ["critical", "internal", "rollback"])
async def test_a_reported_failure_is_not_reported_again(conform, boundary, eventually, kind):
    """A step's failure gives its own event only, in no later generation another; actions are answered all the while."""
    await play(workflow(conform, step("s", op("throw", kind=kind, message="m"), maxRetries=0), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    for _ in range(2):
        assert (len(await errors(conform, "step")), await errors(conform, "workflow")) == (1, [])
        assert await play(made(conform, NAME), op("value", value="answered")) == "answered"
        await woken(conform, boundary)
        await ended(conform, eventually, "failed")
    assert (len(await errors(conform, "step")), await errors(conform, "workflow")) == (1, [])


@requirement("WF-171", "WF-131")
async def test_the_event_comes_after_the_rollback(conform, eventually):
    """While a handler is held the hook was not told; then the handlers have run first."""
    undo = [latch("undo"), trace("undo")]
    program = [op("wf.checkpoint", name="point"), step("a", rollback=undo), op("throw", kind="internal", message="outside")]
    await play(workflow(conform, *program, onWorkflowError=[trace("event", ref("event.workflow.error"))]))
    await conform.latch("undo").arrived()
    assert (await history(conform)).state == "rolling_back" and await labels(conform) == []
    await conform.latch("undo").release()
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) == 2, what="the event")
    assert await values(conform) == [("undo", None), ("event", {"name": "Error", "message": "outside"})]


@requirement("WF-171", "WF-136", "WF-138", "WF-134")
@pytest.mark.parametrize("owed", [True, False])
async def test_a_rollback_that_another_generation_ends(conform, boundary, eventually, owed):
    """The event that is owed comes then, with the first error; a failure that a step was reported for owes none."""
    undo = [latch("held"), trace("undo")]
    fails = op("throw", kind="internal", message="outside") if owed else step("f", op("throw", kind="critical", message="m"))
    await play(workflow(conform, op("wf.checkpoint", name="point"), step("a", rollback=undo), fails, onWorkflowError=ERRORS))
    await conform.latch("held").arrived()
    await woken(conform, boundary)
    await conform.latch("held").arrived(count=2)
    assert (await history(conform)).state == "rolling_back" and await errors(conform, "workflow") == []
    await conform.latch("held").release()
    await ended(conform, eventually, "failed")
    if owed:
        await eventually(lambda: errors(conform, "workflow"), until=bool, what="the event")
        assert await workflow_error(conform, eventually) == {"name": "Error", "message": "outside"}
    assert len(await errors(conform, "workflow")) == owed and len(await errors(conform, "step")) == (not owed)


async def replay(conform, eventually, path):
    """Replay from the step at a path once nothing is in flight; the history that the answer has."""
    inspector = await inspect(conform, NAME)

    async def ask():
        shown = await history(conform)
        response = await inspector.request("POST", "workflow/replay", json={"entryId": shown.ids[path]})
        return response if response.status_code == 200 else None

    return History.of((await eventually(ask, until=bool, what="a replay that is accepted")).json())


@requirement("WF-212", "WF-211", "WF-217")
async def test_a_replay_inside_a_loop(conform, eventually):
    """It begins at the first iteration of the innermost loop; what was recorded before that loop stays, as it was."""
    turn = [
        {**step("x", *bounded(4, trace("x"))), "as": "n"},
        op("if", value=ref("n"), is_=2, then=[op("break")]),
        op("if", value=ref("n"), is_=4, then=[op("break")]),
    ]
    await play(workflow(conform, step("a", trace("a")), op("wf.loop", name="l", do=turn), step("z", trace("z"))))
    before = await ended(conform, eventually)
    assert await labels(conform) == ["a", "x", "x", "z"]
    left = await replay(conform, eventually, "l/~1/x")
    assert set(left.entries) == {"a"} and left.ids["a"] == before.ids["a"] and left.state == "sleeping"
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) == 7, what="the second run")
    shown = await ended(conform, eventually)
    assert await labels(conform) == ["a", "x", "x", "z", "x", "x", "z"] and set(shown.entries) == set(before.entries)


@requirement("WF-211", "WF-217", "WF-213")
@pytest.mark.parametrize("failed", [False, True])
async def test_a_replay_keeps_earlier_results(conform, eventually, failed):
    """Steps before the target keep theirs, it and those behind it run again, once; a failure is forgotten with its step."""
    first = {**step("a", trace("a"), op("incr", at="state.n")), "as": "n"}
    middle = step("b", trace("b"), *(failing(1, message="no") if failed else []), maxRetries=0)
    await play(workflow(conform, first, middle, step("c", trace("c", ref("n")))))
    await ended(conform, eventually, "failed" if failed else "completed")
    assert set((await replay(conform, eventually, "b")).entries) == {"a"}
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) == (4 if failed else 5), what="the second run")
    await ended(conform, eventually)
    assert await values(conform) == [("a", None), ("b", None), *([] if failed else [("c", 1)]), ("b", None), ("c", 1)]


@requirement("WF-216", "WF-215")
async def test_a_replay_beside_a_running_entry(conform, eventually):
    """A loop that an error left running refuses the replay of a step behind it; nothing changes."""
    left = op("try", do=[op("wf.loop", name="l", do=[step("x", *bounded(1)), op("throw", kind="internal")])])
    await play(workflow(conform, left, step("z", trace("z"))))
    before = await ended(conform, eventually)
    inspector = await inspect(conform, NAME)

    async def ask():
        return await inspector.request("POST", "workflow/replay", json={"entryId": before.ids["z"]})

    response = await ask()
    assert response.status_code == 409 and response.json()["code"] == "workflow_in_flight"
    assert (await history(conform)) == before and await labels(conform) == ["z"]


@requirement("WF-215", "WF-214")
async def test_a_replay_in_flight_changes_nothing(conform, boundary, eventually):
    """While a step is held, or a wait, it is refused with 409, and the history stays."""
    before = await begun(conform, eventually, step("a", trace("a")), WAIT, told())
    inspector = await inspect(conform, NAME)
    response = await inspector.request("POST", "workflow/replay", json={"entryId": before.ids["a"]})
    assert (response.status_code, response.json()["group"], response.json()["code"]) == (409, "actor", "workflow_in_flight")
    assert await history(conform) == before
    await made(conform, NAME).send("jobs", None)
    await ended(conform, eventually)
    assert await labels(conform) == ["a", "told"]


@requirement("WF-197", "WF-148")
async def test_a_destroy_in_the_middle(conform, boundary, eventually):
    """Destroyed while a step is held, nothing of it is left: the same key begins from the first step."""
    program = [step("a", trace("a")), step("held", latch("held")), told()]
    await play(workflow(conform, *program))
    await conform.latch("held").arrived()
    await boundary.destroy(made(conform, NAME))
    await play(workflow(conform, *program))
    await conform.latch("held").arrived(count=2)
    shown = await history(conform)
    assert await labels(conform) == ["a", "a"] and shown.metadata["a"]["attempts"] == 1 and "told" not in shown.entries
    await conform.latch("held").release()
    await ended(conform, eventually)
    assert (await labels(conform))[:2] == ["a", "a"] and "told" in await labels(conform)


@requirement("WF-198", "WF-199", "WF-051")
async def test_actions_run_beside_a_step(conform, boundary, eventually):
    """While a step is held an action changes the state that it goes on with; a wake begins the pass at once, beside the call."""
    await play(workflow(conform, step("a", latch("a"), trace("a", ref("state.seen"))), step("b", latch("b"))))
    await conform.latch("a").arrived()
    await play(made(conform, NAME), op("set", at="state.seen", value="by an action"))
    await conform.latch("a").release()
    await conform.latch("b").arrived()
    assert await values(conform) == [("a", "by an action")]
    actor = made(conform, NAME)
    await put(actor, "run", step("a"), step("b", latch("b")))
    await boundary.sleep(actor, via="api")
    call = conform.spawn(play(made(conform, NAME), latch("call"), op("value", value=1)))
    await conform.latch("call").arrived()
    await conform.latch("b").arrived(count=2)
    await conform.latch("b").release()
    await ended(conform, eventually)
    await conform.latch("call").release()
    assert await call == 1
