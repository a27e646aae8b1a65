"""Suite workflow-tries: failures as data: what tryStep and try give, what they let through, and the scope of a block."""

from __future__ import annotations

import pytest

from driver_tests.workflow_history import NAME, ended, history, workflow
from driver_tests.workflow_programs import ERRORS, WAIT, begun, errors, replaced, told, values, woken, workflow_error
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import failing, labels, made, op, play, ref, step, trace

pytestmark = [suite("workflow-tries"), timing, any_encoding, capability("inspector")]

FAILURES = {
    "critical": (op("throw", kind="critical", message="m"), {}, "CriticalError", "m"),
    "exhausted": (op("throw", kind="internal", message="m"), {"maxRetries": 0}, "Error", "m"),
    "timeout": (op("wait", ms=400), {"timeout": 30}, "StepTimeoutError", 'Step "s" timed out after 30ms'),
    "rollback": (op("throw", kind="rollback", message="m"), {}, "RollbackError", "m"),
}


def failing_step(kind, name="wf.step", **more):
    """A step that ends with a failure of a kind."""
    do, options, *_ = FAILURES[kind]
    return op(name, name="s", do=[do], **options, **more)


def block(*do, **fields):
    """A try block named `t`."""
    return op("wf.try", name="t", do=list(do), as_="out", **fields)


@requirement("WF-060", "WF-065")
@pytest.mark.parametrize("value", [0, False, "", None, {"a": []}], ids=repr)
async def test_success_is_data(conform, eventually, value):
    """Both give `{ok: true, value}`, falsy values too, and nothing else."""
    tried = {**op("wf.tryStep", name="s", do=[op("value", value=value)]), "as": "tried"}
    await play(workflow(conform, tried, block(step("s", op("value", value=value))), told([ref("tried"), ref("out")])))
    await ended(conform, eventually)
    ((_, seen),) = await values(conform)
    assert seen == [{"ok": True, "value": value}] * 2


@requirement("WF-060", "WF-061", "WF-049", "WF-176")
@pytest.mark.parametrize("kind", FAILURES)
async def test_a_failed_step_as_data(conform, boundary, eventually, kind):
    """Its kind, name, attempts and error, at once and after a wake without running again; the hook was told once."""
    # A target may forget in later passes what kind of failure it was (section 5).
    tried = failing_step(kind, "wf.tryStep", catch=[kind, "exhausted"], as_="out")
    await begun(conform, eventually, {**tried, "maxRetries": 0}, told(ref("out"), "first"), WAIT, told(ref("out")))
    await woken(conform, boundary, send=True)
    shown = await ended(conform, eventually)
    (_, first), (_, again) = await values(conform)
    *_, name, message = FAILURES[kind]
    assert set(first) == {"ok", "failure"} and set(first["failure"]) == {"kind", "stepName", "attempts", "error"}
    assert first["ok"] is False and (first["failure"]["kind"], first["failure"]["stepName"], first["failure"]["attempts"]) == (kind, "s", 1)
    assert (first["failure"]["error"]["name"], first["failure"]["error"]["message"]) == (name, message)
    assert again["ok"] is False and again["failure"]["kind"] in {kind, "exhausted"} and again["failure"]["attempts"] == 1
    assert (shown.metadata["s"]["status"], shown.metadata["s"]["attempts"]) == ("EXHAUSTED", 1)
    events = await errors(conform, "step")
    assert [(event["stepName"], event["attempt"], event["willRetry"]) for event in events] == [("s", 1, False)]
    assert events[0]["error"]["message"] == message and await errors(conform, "workflow") == []


@requirement("WF-062", "WF-067", "WF-049")
@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("catch", [["critical"], ["timeout"], ["exhausted"], ["rollback"], [], None], ids=str)
async def test_which_kinds_a_step_catches(conform, eventually, kind, catch):
    """Those listed, by default all but rollbacks; any other is thrown and fails the workflow."""
    tried = failing_step(kind, "wf.tryStep", **({} if catch is None else {"catch": catch}))
    await play(workflow(conform, tried, told()))
    caught = kind in (["critical", "timeout", "exhausted"] if catch is None else catch)
    await ended(conform, eventually, "completed" if caught else "failed")
    assert await labels(conform) == (["told"] if caught else [])


SOURCES = {
    "step": ([failing_step("critical")], "step"),
    "join": ([op("wf.join", name="j", branches={"a": [failing_step("critical")]})], "join"),
    "race": ([op("wf.race", name="r", branches={"a": [failing_step("critical")]})], "race"),
    "block": ([op("throw", kind="rollback", message="m")], "rollback"),
    "step that rolls back": ([failing_step("rollback")], "rollback"),
}


@requirement("WF-066", "WF-065", "WF-067")
@pytest.mark.parametrize("what", SOURCES)
@pytest.mark.parametrize("catch", [["step"], ["join"], ["race"], ["rollback"], None], ids=str)
async def test_which_failures_a_block_catches(conform, eventually, what, catch):
    """By their source, by default steps, joins and races; rollbacks of a step or of the block itself are caught when asked for only."""
    do, source = SOURCES[what]
    await play(workflow(conform, block(*do, **({} if catch is None else {"catch": catch})), told(ref("out"))))
    caught = source in (["step", "join", "race"] if catch is None else catch)
    await ended(conform, eventually, "completed" if caught else "failed")
    seen = await values(conform)
    assert len(seen) == caught
    if not caught:
        return
    ((_, out),) = seen
    failure = out["failure"]
    expected = {"step": ("step", "s", "m"), "join": ("join", "j", "Join failed: a"), "race": ("race", "r", "All branches failed")}
    expected |= {"block": ("block", "t", "m"), "step that rolls back": ("step", "s", "m")}
    assert (failure["source"], failure["name"], failure["error"]["message"]) == expected[what] and out["ok"] is False
    assert set(failure) == {"source", "name", "error"} | ({"step"} if failure["source"] == "step" else set())
    if "step" in failure:
        kind = "rollback" if what.startswith("step that") else "critical"
        assert (failure["step"]["kind"], failure["step"]["stepName"], failure["step"]["attempts"]) == (kind, "s", 1)
        assert failure["step"]["error"] == failure["error"]


@requirement("WF-068", "WF-182")
@pytest.mark.parametrize("catch", [None, ["step", "join", "race", "rollback"]], ids=str)
@pytest.mark.parametrize("kind", ["internal", "critical"])
async def test_other_errors_leave_a_block(conform, eventually, kind, catch):
    """An error that its body throws itself, other than a rollback, is nobody's failure and ends the workflow as it is."""
    tried = block(op("throw", kind=kind, message="mine"), **({} if catch is None else {"catch": catch}))
    await play(workflow(conform, tried, told("never"), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    assert await labels(conform) == []
    assert await workflow_error(conform, eventually) == {"name": "Error" if kind == "internal" else "CriticalError", "message": "mine"}


@requirement("WF-064", "WF-063", "WF-043")
@pytest.mark.parametrize("how", ["wf.tryStep", "wf.try"])
@pytest.mark.parametrize("fails", [2, 3])
async def test_retries_come_first(conform, eventually, how, fails):
    """With two retries a step that fails twice succeeds as data; only the third failure is one, with three attempts."""
    body = failing(fails, op("value", value="fine"), message="m")
    options = {"maxRetries": 2, "retryBackoffBase": 60}
    tried = op(how, name="t", do=body, **options) if how == "wf.tryStep" else op(how, name="t", do=[step("s", *body, **options)])
    await play(workflow(conform, {**tried, "as": "out"}, told(ref("out")), onWorkflowError=ERRORS))
    await ended(conform, eventually)
    ((_, out),) = await values(conform)
    assert await play(made(conform, NAME), op("value", value=ref("state.tries"))) == 3
    assert [event["willRetry"] for event in await errors(conform, "step")] == [True, True, False][:fails]
    if fails == 2:
        assert out == {"ok": True, "value": "fine"}
        return
    failure = out["failure"] if how == "wf.tryStep" else out["failure"]["step"]
    assert (failure["kind"], failure["attempts"], failure["error"]["message"]) == ("exhausted", 3, "m")


@requirement("WF-063", "WF-130")
@pytest.mark.parametrize("how", ["wf.tryStep", "wf.try"])
async def test_a_missing_checkpoint_is_not_caught(conform, eventually, how):
    """Neither gives it as data: the workflow fails with it, and the step did not run."""
    undoable = {"do": [trace("never")], "rollback": [trace("undo")]}
    tried = op(how, name="t", **undoable) if how == "wf.tryStep" else op(how, name="t", do=[op("wf.step", name="s", **undoable)])
    await play(workflow(conform, tried, told("never"), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    assert (await workflow_error(conform, eventually))["name"] == "RollbackCheckpointError" and await labels(conform) == []


@requirement("WF-063", "WF-023")
@pytest.mark.parametrize("wait", ["wf.sleep", "wf.next", "retry"])
async def test_waits_pass_through(conform, boundary, eventually, wait):
    """A wait inside nested blocks, and inside code that catches errors, ends the pass and not the block; it goes on after a wake."""
    inner = {
        "wf.sleep": op("wf.sleep", name="nap", ms=1500),
        "wf.next": WAIT,
        "retry": step("again", *failing(1, message="no"), retryBackoffBase=750),
    }[wait]
    caught = op("try", do=[block(step("a", trace("a")), inner, step("b", trace("b"))), op("value", value=ref("out"))], as_="caught")
    outer = op("wf.try", name="outer", do=[caught, op("value", value=ref("caught.value.ok"))], as_="all")
    await begun(conform, eventually, outer, told(ref("all")))
    assert await labels(conform) == ["a"]
    await woken(conform, boundary, send=wait == "wf.next")
    await ended(conform, eventually)
    assert await values(conform) == [("a", None), ("b", None), ("told", {"ok": True, "value": True})]


@requirement("WF-069", "WF-030", "WF-065")
async def test_a_block_is_only_a_scope(conform, boundary, eventually):
    """It has no entry; its entries have its name in front, names are free inside it, and its outcome is computed again after a wake."""
    tried = block(step("s"), failing_step("critical") | {"name": "x"})
    program = [step("s"), tried, told(ref("out.ok"), "first"), WAIT, told(ref("out.ok"))]
    await begun(conform, eventually, *program)
    await woken(conform, boundary, send=True)
    shown = await ended(conform, eventually)
    assert set(shown.entries) == {"s", "t/s", "t/x", "first", "go:count", "go:0", "told"}
    assert await values(conform) == [("first", False), ("told", False)]


@requirement("WF-034", "WF-031")
async def test_a_block_that_lost_a_step(conform, boundary, eventually):
    """A stored entry inside the block that the code has no more is a divergence at its end, which the block does not catch."""
    await begun(conform, eventually, block(step("gone", trace("gone")), WAIT), told())
    await replaced(conform, boundary, block(WAIT), told("never"))
    await ended(conform, eventually, "failed")
    text = 'Entry "t/gone" exists in history but was not visited. Workflow code may have changed. Use ctx.removed() to handle migrations.'
    assert await workflow_error(conform, eventually) == {"name": "HistoryDivergedError", "message": text}
    assert await labels(conform) == ["gone"]


@requirement("WF-031")
async def test_the_name_of_a_block_is_used_up(conform, eventually):
    """Blocks count for the names of their scope, though they have no entries."""
    await play(workflow(conform, block(), step("t", trace("never")), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    assert (await workflow_error(conform, eventually))["message"].startswith('Duplicate entry name "t" at location "".')
    assert (await history(conform)).entries == {} and await labels(conform) == []
