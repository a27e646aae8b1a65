"""Suite workflow-context: what the contexts of workflows and steps offer, one entry at a time, and passes that are cut off by a stop."""

from __future__ import annotations

import pytest

from driver_tests.workflow_history import NAME, ended, history, workflow
from driver_tests.workflow_programs import ERRORS, WAIT, arrive, begun, errors, told, values, woken, workflow_error
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import labels, latch, made, op, play, ref, step, trace, traced

pytestmark = [suite("workflow-context"), timing, any_encoding, capability("inspector")]

ACTOR = ["state", "vars", "db", "kv", "broadcast", "conns", "schedule", "destroy"]
ONE_AT_A_TIME = (
    "Cannot start a new workflow entry while another is in progress. Did you forget to await the previous step/loop/sleep?"
)  # fmt: skip


def members(*names, as_):
    """Which of these members the context has."""
    return op("members", names=list(names), as_=as_)


@requirement("WF-005", "WF-014")
async def test_what_the_contexts_offer(conform, eventually):
    """The workflow has its own operations and no data of the actor; a step has the actor's data, and no store, schedule or connections."""
    workflows = ["step", "tryStep", "loop", "sleep", "sleepUntil", "join", "race", "removed", "getVersion", "actorId", "name", "key"]
    steps = ["state", "vars", "client", "broadcast", "queue", "keepAwake", "waitUntil", "destroy", "abortSignal", "actorId", "name", "key"]
    inside = [members(*steps, "kv", "sleep", "schedule", "saveState", "conns", as_="seen"), op("value", value=ref("seen"))]
    program = [members(*workflows, *ACTOR, "client", as_="flow"), {**step("s", *inside), "as": "step"}, told([ref("flow"), ref("step")])]
    await play(workflow(conform, *program))
    await ended(conform, eventually)
    assert await values(conform) == [("told", [workflows, steps])]


@requirement("WF-006")
@pytest.mark.parametrize(("name", "text"), [("step", "Step"), ("try", "Try"), ("loop", "Loop")])
async def test_an_entry_without_a_body(conform, eventually, name, text):
    """It fails and says which function is missing, and leaves no entry."""
    tried = op("try", do=[op(f"wf.{name}", name="x", do=None)], as_="out")
    await play(workflow(conform, tried, told(ref("out"))))
    shown = await ended(conform, eventually)
    ((_, out),) = await values(conform)
    assert out["ok"] is False and out["error"]["message"] == f"{text} run function missing"
    assert set(shown.entries) == {"told"}


@requirement("WF-010", "WF-011", "WF-012", "WF-013")
@pytest.mark.parametrize("member", ["state", "vars", "broadcast", "queue.send"])
@pytest.mark.parametrize("marked", [False, True])
async def test_a_context_is_closed_behind_its_step(conform, eventually, member, marked):
    """A later use is an error that workflow code may catch; it leaves its marks, and in the state only where that has the member."""
    late = op("try", do=[op("wf.late", member=member)], as_="out")
    state = {"guardTriggered": False} if marked else {}
    actor = made(conform, NAME, state=state, run=[step("s", op("wf.keep")), late, told(ref("out"))])
    await play(actor)
    await ended(conform, eventually)
    ((_, out),) = await values(conform)
    assert (out["ok"], out["error"]["message"]) == (False, f"{member} is only available inside workflow steps")
    mark = op("kv.get", key="__rivet_actor_workflow_guard_triggered")
    await eventually(lambda: play(actor, mark), until=lambda value: value == "true", what="the mark in the store")
    state = await play(actor, op("value", value=ref("state")))
    assert state.get("guardTriggered") is (True if marked else None)


@requirement("WF-015", "WF-124")
async def test_which_signal_a_step_sees(conform, eventually):
    """In a branch that has lost, the signal of the context has fired and that of a step under way has not."""
    branches = {
        "wins": [step("w", latch("win"))],
        "loses": [step("l", latch("lose"), op("aborted", as_="step"), trace("step", ref("step"))), op("value", value=0)],
        "waits": [
            op("wait", ms=60_000, abortable=True),
            op("aborted", as_="flow"),
            op("if", value=ref("flow"), else_=[told("not aborted")]),
        ],
    }
    await play(workflow(conform, op("wf.race", name="r", branches=branches, as_="out"), told(ref("out.winner"))))
    await conform.latch("win").arrived()
    await conform.latch("lose").arrived()
    await conform.latch("win").release()
    done = lambda shown: (shown.metadata.get("r/wins/w") or {}).get("status") == "COMPLETED"  # noqa: E731
    await eventually(lambda: history(conform), until=done, what="the win")
    await conform.latch("lose").release()
    await ended(conform, eventually)
    assert await values(conform) == [("step", False), ("told", "wins")]


@requirement("WF-015", "WF-192", "WF-025", "WF-023")
@pytest.mark.parametrize("where", ["root", "try", "join"])
async def test_a_stop_ends_the_pass_at_its_next_entry(conform, boundary, eventually, where):
    """The step's signal fires with the stop; the entry behind that step begins in the next generation only, also inside try and join."""
    once = [
        op("incr", at="state.tries", as_="n"),
        op("if", value=ref("n"), below=2, then=[latch("in"), op("wait", ms=60_000, abortable=True)]),
    ]
    inner = [step("a", *once), step("b", trace("b"))]
    program = {
        "root": inner,
        "try": [op("wf.try", name="t", do=[op("try", do=inner), op("wf.tryStep", name="c", do=[trace("c")])])],
        "join": [op("wf.join", name="j", branches={"x": inner, "y": [step("y", trace("y"))]})],
    }[where]
    await play(workflow(conform, *program, told("end"), onWake=[trace("wake")]))
    await conform.latch("in").arrived()
    await conform.latch("in").release()
    await eventually(lambda: labels(conform), until=lambda seen: where != "join" or "y" in seen, what="the other branch")
    await woken(conform, boundary)
    await ended(conform, eventually)
    seen = [(record["label"], record["start"]) for record in await traced(conform)]
    expected = {"root": ["b"], "try": ["b", "c"], "join": ["b"]}[where]
    assert seen == [("wake", 1), *([("y", 1)] if where == "join" else []), ("wake", 2), *((one, 2) for one in expected), ("told", 2)]


@requirement("WF-024", "WF-182", "WF-036")
@pytest.mark.parametrize("second", ["wf.step", "wf.tryStep", "wf.sleep", "wf.next", "wf.join", "wf.loop", "wf.checkpoint", "wf.version"])
async def test_one_entry_at_a_time(conform, eventually, second):
    """A second entry of any kind beside one in progress fails the workflow, is recorded nowhere, and nothing catches that as data."""
    fields = {
        "wf.step": {"do": [trace("never")]},
        "wf.tryStep": {"do": [trace("never")]},
        "wf.sleep": {"ms": 1},
        "wf.join": {"branches": {"a": []}},
        "wf.loop": {"do": [op("break")]},
        "wf.version": {"latest": 1},
    }.get(second, {})
    both = op("all", do=[[step("first", op("wait", ms=100))], [op(second, name="second", **fields)]])
    await play(workflow(conform, op("wf.try", name="t", do=[both]), told("never"), onWorkflowError=ERRORS))
    shown = await ended(conform, eventually, "failed")
    assert await workflow_error(conform, eventually) == {"name": "EntryInProgressError", "message": ONE_AT_A_TIME}
    assert await labels(conform) == [] and "t/second" not in shown.entries


@requirement("WF-024")
async def test_a_scope_is_free_again(conform, eventually):
    """Once the entry in progress has settled, the next one begins, and the name that was refused is not used up."""
    both = op("try", do=[op("all", do=[[step("first", op("wait", ms=50))], [step("second", trace("never"))]])], as_="out")
    await play(workflow(conform, both, op("wait", ms=200), step("second", trace("second")), told(ref("out.error.message"))))
    await ended(conform, eventually)
    assert await values(conform) == [("second", None), ("told", ONE_AT_A_TIME)]


@requirement("WF-024")
async def test_branches_are_scopes_of_their_own(conform, eventually):
    """Entries in progress in two branches at the same time do not disturb each other."""
    await play(workflow(conform, op("wf.join", name="j", branches={name: [step("s", latch(name))] for name in "ab"}), told()))
    await arrive(conform, *"ab")
    for name in "ab":
        await conform.latch(name).release()
    await ended(conform, eventually)
    assert await labels(conform) == ["told"]


@requirement("WF-002", "WF-003", "WF-020")
async def test_a_workflow_needs_nothing(conform, boundary, eventually):
    """An actor without a database or any option keeps its history; the id that the hook is told is the actor's."""
    tried = op("wf.try", name="t", do=[step("f", op("throw", kind="internal"), maxRetries=0)])
    shown = await begun(conform, eventually, tried, step("s", trace("s")), WAIT, told(), op("throw", kind="internal"))
    await woken(conform, boundary, send=True)
    after = await ended(conform, eventually, "failed")
    assert await labels(conform) == ["s", "told"] and after.ids["s"] == shown.ids["s"]
    ids = [event["workflowId"] for kind in ("step", "workflow") for event in await errors(conform, kind)]
    assert ids == [await made(conform, NAME).resolve()] * 2
