"""Suite workflow-rollback: which compensations run, in which order, how often, and what becomes of the workflow."""

from __future__ import annotations

import pytest

from driver_tests.workflow_history import FAIL, NAME, ended, history, workflow
from driver_tests.workflow_programs import bounded
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import failing, labels, latch, made, op, play, put, ref, step, trace, traced

pytestmark = [suite("workflow-rollback"), timing, any_encoding, capability("inspector")]

POINT = op("wf.checkpoint", name="point")


def undoable(name, *more, output=None, **options):
    """A step that traces its run, and its rollback with the output it got."""
    rollback = [*more, trace(f"undo {name}", ref("output"))]
    return step(name, trace(name), op("value", value=name if output is None else output), rollback=rollback, **options)


async def failed(conform, eventually):
    """The trace of a workflow that has failed."""
    await ended(conform, eventually, "failed")
    return await labels(conform)


@requirement("WF-131", "WF-132", "WF-138", "WF-181")
async def test_handlers_run_in_reverse_order_with_their_outputs(conform, eventually):
    """Of three completed steps the last is undone first, each with its own output; a step without a handler is left out."""
    program = [POINT, undoable("a", output=0), undoable("b", output=""), step("plain", trace("plain")), undoable("c"), step("end", FAIL)]
    await play(workflow(conform, *program))
    assert await failed(conform, eventually) == ["a", "b", "plain", "c", "undo c", "undo b", "undo a"]
    assert [record["value"] for record in (await traced(conform))[4:]] == ["c", "", 0]
    shown = await history(conform)
    assert shown.state == "failed"
    assert {path for path, meta in shown.metadata.items() if meta and meta.get("rollbackCompletedAt")} == {"a", "b", "c"}


@requirement("WF-132")
async def test_handlers_run_one_at_a_time(conform, eventually):
    """While one handler is held, the one after it does not begin; each is recorded before the next."""
    await play(workflow(conform, POINT, undoable("a"), undoable("b", latch("undoing b")), step("end", FAIL)))
    await conform.latch("undoing b").arrived()
    assert await labels(conform) == ["a", "b"]
    shown = await history(conform)
    assert shown.state == "rolling_back" and not shown.metadata["b"].get("rollbackCompletedAt")
    await conform.latch("undoing b").release()
    assert await failed(conform, eventually) == ["a", "b", "undo b", "undo a"]


@requirement("WF-131", "WF-133")
async def test_only_completed_steps_are_undone(conform, eventually):
    """The step that failed and the step after it have handlers, too: neither runs, and the later step never runs either."""
    broken = step("broken", trace("broken"), FAIL, rollback=[trace("undo broken")])
    await play(workflow(conform, POINT, undoable("a"), broken, undoable("later")))
    assert await failed(conform, eventually) == ["a", "broken", "undo a"]


@requirement("WF-130", "WF-182")
@pytest.mark.parametrize("where", ["none", "later", "in a loop"])
async def test_a_rollback_needs_a_checkpoint_before_it(conform, eventually, where):
    """Without a checkpoint before it in its context the step does not run, and nothing is rolled back."""
    step_a = undoable("a")
    program = {
        "none": [step_a],
        "later": [step("first", trace("first")), step_a, POINT],
        "in a loop": [op("wf.loop", name="l", do=[POINT, op("break")]), step_a],
    }[where]
    await play(workflow(conform, *program, onWorkflowError=[trace("error", ref("event.workflow.error"))]))
    assert [label for label in await failed(conform, eventually) if label != "error"] == (["first"] if where == "later" else [])
    error = (await traced(conform))[-1]["value"]
    assert error["message"] == "Rollback requires a checkpoint before any rollback step" and error["name"] == "RollbackCheckpointError"


@requirement("WF-130")
async def test_a_missing_checkpoint_undoes_nothing(conform, eventually):
    """What a block has done behind a checkpoint of its own stays done when a step outside has none."""
    block = op("wf.try", name="t", do=[POINT, undoable("a")])
    await play(workflow(conform, block, undoable("b")))
    assert await failed(conform, eventually) == ["a"]


@requirement("WF-131")
async def test_inner_scopes_see_the_outer_checkpoint(conform, eventually):
    """A checkpoint before a try block holds inside it; its steps are undone in their place in the order."""
    block = op("wf.try", name="t", do=[undoable("inner")])
    await play(workflow(conform, POINT, undoable("a"), block, undoable("z"), step("end", FAIL)))
    assert await failed(conform, eventually) == ["a", "inner", "z", "undo z", "undo inner", "undo a"]


@requirement("WF-130")
@pytest.mark.parametrize("kind", ["try", "loop", "join", "race"])
async def test_a_checkpoint_holds_in_inner_scopes(conform, eventually, kind):
    """Behind it, a step with a rollback runs in a block, an iteration and a branch."""
    inner = [undoable("inner")]
    entry = {
        "try": op("wf.try", name="e", do=inner),
        "loop": op("wf.loop", name="e", do=[*inner, op("break")]),
        "join": op("wf.join", name="e", branches={"a": inner}),
        "race": op("wf.race", name="e", branches={"a": inner}),
    }[kind]
    await play(workflow(conform, POINT, entry, step("end", trace("end"))))
    await ended(conform, eventually)
    assert await labels(conform) == ["inner", "end"]


@requirement("WF-134", "WF-137")
async def test_a_stop_in_a_rollback_goes_on_after_the_wake(conform, boundary, eventually):
    """Stopped inside a handler, the next generation runs that one again and then the rest; no handler completes twice."""
    actor = workflow(conform, POINT, undoable("a"), undoable("b", latch("held")), undoable("c"), step("end", FAIL))
    await play(actor)
    await conform.latch("held").arrived()
    assert await labels(conform) == ["a", "b", "c", "undo c"]
    await boundary.sleep(actor, via="api")
    await play(made(conform, NAME))
    await conform.latch("held").arrived(count=2)
    await conform.latch("held").release()
    await ended(conform, eventually, "failed")
    seen = await labels(conform)
    # Code of the first generation that nothing can stop may also say that it was let go.
    assert [label for label in seen if label != "undo b"] == ["a", "b", "c", "undo c", "undo a"]
    assert "undo b" in seen[: seen.index("undo a")]


@requirement("WF-137", "WF-184", "WF-138")
async def test_a_rolled_back_workflow_stays_so(conform, boundary, eventually):
    """After two wakes nothing has run again, no step and no handler, and the state is failed."""
    await play(workflow(conform, POINT, undoable("a"), undoable("b"), step("end", FAIL, maxRetries=0)))
    before = await failed(conform, eventually)
    for _ in range(2):
        await boundary.sleep(made(conform, NAME), via="api")
        await play(made(conform, NAME))
        assert await failed(conform, eventually) == before == ["a", "b", "undo b", "undo a"]


@requirement("WF-135", "WF-136")
async def test_a_failing_handler_waits_for_the_next_wake(conform, boundary, eventually):
    """It is reported, the handlers behind it do not run in this generation; the wake runs it again, then the rest."""
    flaky = failing(1, counter="undone", message="not yet")
    program = [POINT, undoable("a"), undoable("b", *flaky), undoable("c"), step("end", FAIL)]
    await play(workflow(conform, *program, onWorkflowError=[op("append", at="state.errors", value=ref("event"))]))
    actor = made(conform, NAME)
    await eventually(lambda: play(actor, op("value", value=ref("state.undone"))), until=lambda n: n == 1, what="the failing handler")
    shown = await eventually(lambda: history(conform), until=lambda h: h.metadata["b"].get("rollbackError"), what="its record")
    assert shown.state == "rolling_back" and "not yet" in shown.metadata["b"]["rollbackError"]
    assert await labels(conform) == ["a", "b", "c", "undo c"]
    events = [event["rollback"] for event in await play(actor, op("value", value=ref("state.errors"))) if "rollback" in event]
    assert [(event["stepName"], event["error"]["message"]) for event in events] == [("b", "not yet")]
    await boundary.sleep(actor, via="api")
    await play(made(conform, NAME))
    assert await failed(conform, eventually) == ["a", "b", "c", "undo c", "undo b", "undo a"]
    assert await play(made(conform, NAME), op("value", value=ref("state.undone"))) == 2


@requirement("WF-131", "WF-181")
@pytest.mark.parametrize("kind", ["critical", "rollback", "internal"])
async def test_which_errors_roll_back(conform, eventually, kind):
    """Every error that ends the workflow rolls back: from a step, terminal at once or exhausted."""
    last = step("end", trace("try"), op("throw", kind=kind, message="no"), maxRetries=1, retryBackoffBase=1)
    await play(workflow(conform, POINT, undoable("a"), last))
    tries = 2 if kind == "internal" else 1
    assert await failed(conform, eventually) == ["a", *["try"] * tries, "undo a"]


@requirement("WF-131", "WF-182")
async def test_a_plain_error_outside_steps_rolls_back(conform, eventually):
    """An error between the steps ends the workflow, too."""
    await play(workflow(conform, POINT, undoable("a"), op("throw", kind="internal", message="outside")))
    assert (await failed(conform, eventually))[:2] == ["a", "undo a"]


@requirement("WF-131", "WF-112")
async def test_caught_failures_do_not_roll_back(conform, eventually):
    """What tryStep and try have caught ends nothing: no handler runs, and the workflow completes."""
    caught = op("wf.tryStep", name="caught", maxRetries=0, do=[FAIL])
    block = op("wf.try", name="t", do=[step("inner", FAIL, maxRetries=0)])
    await play(workflow(conform, POINT, undoable("a"), caught, block, step("end", trace("end"))))
    await ended(conform, eventually)
    assert await labels(conform) == ["a", "end"]


@requirement("WF-133", "WF-131")
async def test_finished_joins_are_undone(conform, eventually):
    """Steps of a join whose branches all completed are undone, after those behind the join and before those in front of it."""
    join = op("wf.join", name="j", branches={"x": [undoable("jx")], "y": [undoable("jy")]})
    await play(workflow(conform, POINT, undoable("a"), join, undoable("z"), step("end", FAIL)))
    seen = await failed(conform, eventually)
    undone = [label for label in seen if label.startswith("undo")]
    assert undone[0] == "undo z" and undone[-1] == "undo a" and sorted(undone[1:-1]) == ["undo jx", "undo jy"]


@requirement("WF-040", "WF-131")
async def test_code_replaced_under_a_rollback(conform, boundary, eventually):
    """The handler that runs is that of the code of today."""
    actor = workflow(conform, POINT, undoable("a"), op("wf.next", name="go", names=["jobs"]), step("end", FAIL))
    await play(actor)
    await eventually(lambda: labels(conform), until=lambda seen: seen == ["a"], what="the first step")
    replaced = step("a", trace("never"), rollback=[trace("new undo")])
    await put(actor, "run", POINT, replaced, op("wf.next", name="go", names=["jobs"]), step("end", FAIL))
    await boundary.sleep(actor, via="api")
    await made(conform, NAME).send("jobs", None)
    assert await failed(conform, eventually) == ["a", "new undo"]


@requirement("WF-131", "WF-133")
@pytest.mark.parametrize("finished", [True, False])
async def test_which_steps_of_a_loop_are_undone(conform, eventually, finished):
    """Those of the iteration under way; what a loop has finished, itself or its iterations, is not replayed and so has no handlers."""
    turn = {**step("n", *bounded(2)), "as": "n"}
    ends = op("if", value=ref("n"), is_=2, then=[op("break")]) if finished else op("if", value=ref("n"), is_=2, then=[step("end", FAIL)])
    loop = op("wf.loop", name="l", do=[turn, undoable("in", output=ref("n")), ends])
    await play(workflow(conform, POINT, undoable("a"), loop, undoable("z"), step("end", FAIL)))
    await failed(conform, eventually)
    undone = [(record["label"], record["value"]) for record in await traced(conform) if record["label"].startswith("undo")]
    assert undone == ([("undo z", "z"), ("undo a", "a")] if finished else [("undo in", 2), ("undo a", "a")])
