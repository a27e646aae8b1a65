"""Suite workflow-loops: what a loop keeps over passes and wakes, which iterations it forgets, and what ends it."""

from __future__ import annotations

import pytest

from driver_tests.workflow_history import NAME, ended, history, workflow
from driver_tests.workflow_programs import ERRORS, WAIT, begun, bounded, replaced, told, values, waits, woken, workflow_error
from harness import any_encoding, capability, requirement, suite, timing, untimed
from harness.testing.interpreter import labels, latch, made, op, play, ref, step, trace

pytestmark = [suite("workflow-loops"), timing, any_encoding, capability("inspector")]


def counting(last, *then, name="x", **options):
    """A loop whose state is the turn; at the turn `last` it does `then`, which may wait and must end it."""
    turn = {**step(name, *bounded(last)), "as": "n"}
    ends = op("if", value=ref("n"), is_=last, then=[*then, op("break", value=ref("n"))])
    return op("wf.loop", name="l", state=0, do=[turn, ends, op("continue", state=ref("n"))], **options)


def kept(shown):
    """The iterations that the history has entries of, in order."""
    return sorted({int(path.split("/")[1][1:]) for path in shown.below("l")})


@requirement("WF-070", "WF-071", "WF-075")
@pytest.mark.parametrize("value", [0, False, "", None, [], {"a": 0}], ids=repr)
async def test_the_value_of_a_loop(conform, boundary, eventually, value):
    """The break value, also a falsy one, is the loop's, at once and after a wake, when the body does not run again."""
    turn = [step("turn", *bounded(1, trace("turn"))), op("break", value=value)]
    await begun(conform, eventually, op("wf.loop", name="l", do=turn, as_="out"), told([ref("out")], "first"), WAIT, told([ref("out")]))
    await woken(conform, boundary, send=True)
    shown = await ended(conform, eventually)
    assert await values(conform) == [("turn", None), ("first", [value]), ("told", [value])]
    assert shown.metadata["l"]["status"] == "COMPLETED" and shown.metadata["l"]["completedAt"]


@requirement("WF-071")
async def test_a_loop_without_state_goes_on_with_nothing(conform, eventually):
    """A body that returns nothing is continued until it breaks."""
    turn = [{**step("turn", *bounded(3)), "as": "n"}, op("if", value=ref("n"), is_=3, then=[op("break", value="end")])]
    await play(workflow(conform, op("wf.loop", name="l", do=turn, as_="out"), told(ref("out"))))
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", "end")] and kept(shown) == [0, 1, 2]


@requirement("WF-072", "WF-182")
async def test_a_loop_with_state_says_how_it_goes_on(conform, eventually):
    """Returning nothing ends the workflow after one turn, also with a falsy state."""
    await play(workflow(conform, op("wf.loop", name="l", state=0, do=[step("x", *bounded(1))]), told("never"), onWorkflowError=ERRORS))
    shown = await ended(conform, eventually, "failed")
    text = 'Loop "l" returned undefined for a stateful iteration. Return Loop.continue(state) or Loop.break(value).'
    assert await workflow_error(conform, eventually) == {"name": "Error", "message": text}
    assert await labels(conform) == [] and kept(shown) == [0]


@requirement("WF-073")
@pytest.mark.parametrize("state", [0, False, "", None, []], ids=repr)
async def test_a_falsy_state_is_a_state(conform, boundary, eventually, state):
    """The next iteration gets what the one before it gave, also over a wake; the first gets the loop's."""
    again = op("if", value=ref("n"), is_=1, then=[op("continue", state=state)])
    last = op("if", value=ref("n"), is_=2, then=[WAIT, step("woken", trace("woken", [ref("loop")])), op("break")])
    turn = [{**step("x", *bounded(2, trace("turn", [ref("loop")]))), "as": "n"}, again, last]
    await begun(conform, eventually, op("wf.loop", name="l", state="first", do=turn))
    await woken(conform, boundary, send=True)
    await ended(conform, eventually)
    assert await values(conform) == [("turn", ["first"]), ("turn", [state]), ("woken", [state])]


@requirement("WF-073", "WF-022")
async def test_the_stored_state_is_nobodys_list(conform, eventually):
    """What workflow code does to the state that it was given shows in no later pass."""
    turn = [op("change", of="loop", value=2), op("wf.sleep", name="nap", ms=150), told(ref("loop")), op("break", value=ref("loop"))]
    await play(workflow(conform, op("wf.loop", name="l", state=[1], do=turn, as_="out"), told(ref("out"), "end")))
    await ended(conform, eventually)
    assert await values(conform) == [("told", [1, 2]), ("end", [1, 2])]


@requirement("WF-073", "WF-194")
async def test_a_wake_goes_on_at_the_stored_iteration(conform, boundary, eventually):
    """Earlier iterations are not visited: code that would not fit them is not compared with them."""
    shown = await begun(conform, eventually, counting(3, WAIT), told())
    assert kept(shown) == [0, 1, 2] and shown.value("l")["iteration"] == 2
    turn = [op("if", value=ref("loop"), is_=2, then=[step("x", trace("never")), WAIT, op("break", value=ref("loop"))]), told("old")]
    await replaced(conform, boundary, {**op("wf.loop", name="l", state=0, do=turn), "as": "out"}, told(ref("out")))
    after = await ended(conform, eventually)
    assert await values(conform) == [("told", 2)] and after.ids["l"] == shown.ids["l"]


@requirement("WF-074", "WF-073", "WF-193")
async def test_an_unfinished_iteration_is_replayed(conform, boundary, eventually):
    """Cut off in its second step, an iteration is replayed: its first step does not run again, and neither do those before it."""
    turn = [
        {**step("a", *bounded(2, trace("a"))), "as": "n"},
        op("if", value=ref("n"), is_=1, then=[op("continue", state=5)]),
        step("b", latch("held"), trace("b", ref("loop"))),
        op("break"),
    ]
    await play(workflow(conform, op("wf.loop", name="l", state=4, do=turn), told("end")))
    await conform.latch("held").arrived()
    await woken(conform, boundary)
    await conform.latch("held").arrived(count=2)
    assert await labels(conform) == ["a", "a"]
    await conform.latch("held").release()
    await ended(conform, eventually)
    seen = await values(conform)
    # A body of the first generation that nothing can stop may trace as well.
    assert seen[:2] == [("a", None), ("a", None)] and ("b", 5) in seen and seen[-1] == ("told", "end")
    assert set(seen) == {("a", None), ("b", 5), ("told", "end")}


@requirement("WF-076", "WF-073", "WF-077")
@pytest.mark.parametrize(
    ("options", "turns", "waiting", "finished"),
    [
        ({"historyPruneInterval": 3, "historySize": 2}, 7, [4, 5, 6], [5, 6]),
        ({"historyPruneInterval": 3, "historySize": 2}, 6, [1, 2, 3, 4, 5], [4, 5]),
        ({"historyPruneInterval": 2, "historySize": 3}, 5, [1, 2, 3, 4], [2, 3, 4]),
        ({"historyPruneInterval": 3}, 8, [3, 4, 5, 6, 7], [5, 6, 7]),
        ({"historyPruneInterval": 1, "historySize": 1}, 4, [2, 3], [3]),
        ({"historySize": 2}, 20, list(range(20)), [18, 19]),
        ({"historySize": 2}, 21, [18, 19, 20], [19, 20]),
        ({}, 41, list(range(20, 41)), list(range(21, 41))),
    ],
    ids=["3-2-7", "3-2-6", "2-3-5", "3-default-8", "1-1-4", "default-2-20", "default-2-21", "default"],
)
async def test_which_iterations_are_kept(conform, boundary, eventually, options, turns, waiting, finished):
    """At every interval, and at the break, all but the newest are forgotten, and a wake brings none of them back."""
    shown = await begun(conform, eventually, counting(turns, WAIT, **options), WAIT | {"name": "end"}, told())
    assert kept(shown) == waiting
    await woken(conform, boundary)
    assert kept(await waits(conform, eventually)) == waiting
    await made(conform, NAME).send("jobs", None)
    shown = await eventually(lambda: history(conform), until=lambda seen: seen.metadata["l"]["status"] == "COMPLETED", what="the break")
    assert kept(shown) == finished
    await woken(conform, boundary, send=True)
    shown = await ended(conform, eventually)
    assert kept(shown) == finished and await labels(conform) == ["told"]
    assert await play(made(conform, NAME), op("value", value=ref("state.turns"))) == turns


@untimed
@requirement("WF-076")
async def test_pruning_takes_what_is_nested(conform, eventually):
    """With an iteration go the loops, branches and blocks inside it; entries beside the loop and its own stay."""
    inner = [
        {**step("x", *bounded(3)), "as": "n"},
        op("wf.loop", name="inner", do=[step("y"), op("break")]),
        op("wf.join", name="j", branches={"a": [step("z")]}),
        op("wf.try", name="t", do=[step("w")]),
        op("if", value=ref("n"), is_=3, then=[op("break")]),
        op("continue"),
    ]
    loop = op("wf.loop", name="l", do=inner, historyPruneInterval=1, historySize=1)
    await play(workflow(conform, step("before"), loop, step("after")))
    shown = await ended(conform, eventually)
    last = {"x", "inner", "inner/~0/y", "j", "j/a/z", "t/w"}
    assert set(shown.entries) == {"before", "after", "l"} | {f"l/~2/{path}" for path in last}


@requirement("WF-077", "WF-146")
async def test_pruning_is_durable_before_the_next_body(conform, boundary, eventually):
    """Cut off in the step behind a prune point, the loop goes on there: the code of the iterations before it need not fit any more."""
    turn = [
        op("if", value=ref("loop"), is_=2, then=[step("held", latch("held"))]),
        {**step("x", *bounded(2)), "as": "n"},
        op("continue", state=ref("n")),
    ]
    await play(workflow(conform, op("wf.loop", name="l", state=0, do=turn, historyPruneInterval=2, historySize=2), told("end")))
    await conform.latch("held").arrived()
    fresh = op("wf.loop", name="l", state=0, do=[step("new", trace("new", ref("loop"))), op("break")])
    await replaced(conform, boundary, fresh, told("end"), send=False)
    await ended(conform, eventually)
    await conform.latch("held").release()
    assert await values(conform) == [("new", 2), ("told", "end")]


@requirement("WF-077", "WF-141", "WF-182")
async def test_a_prune_that_cannot_be_stored(conform, eventually):
    """Its failure leaves the loop and fails the workflow; the next iteration does not begin."""
    turn = [step("x", *bounded(1, trace("x"))), op("continue", state={"$text": 300_000})]
    await play(workflow(conform, op("wf.loop", name="l", state="", do=turn, historyPruneInterval=1), told("never"), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    assert await labels(conform) == ["x"]


@requirement("WF-079", "WF-182")
@pytest.mark.parametrize("kind", ["internal", "critical", "rollback"])
async def test_an_error_leaves_the_loop(conform, eventually, kind):
    """An error of the body ends the loop as it is, and its entry stays running."""
    turn = [step("x", *bounded(1)), op("throw", kind=kind, message="out")]
    tried = op("try", do=[op("wf.loop", name="l", do=turn)], as_="out")
    await play(workflow(conform, tried, told(ref("out.error.message"))))
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", "out")]
    assert (shown.metadata["l"]["status"], kept(shown)) == ("RUNNING", [0]) and not shown.metadata["l"]["completedAt"]


@requirement("WF-078")
async def test_nested_loops_go_on_over_wakes(conform, boundary, eventually):
    """A wake in an inner loop goes on in that iteration of both; each turn runs once."""
    inner = [step("i", trace("i", [ref("outer"), ref("loop")])), op("if", value=ref("loop"), is_=1, then=[op("break")]), WAIT]
    outer = [
        {**step("o", op("value", value=ref("loop"))), "as": "outer"},
        op("wf.loop", name="inner", state=0, do=[*inner, op("continue", state=1)]),
        op("if", value=ref("outer"), is_="b", then=[op("break", value="end")]),
        op("continue", state="b"),
    ]
    await begun(conform, eventually, op("wf.loop", name="l", state="a", do=outer, as_="out"), told(ref("out")))
    await woken(conform, boundary, send=True)
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) == 3, what="the second outer turn")
    await waits(conform, eventually)
    await woken(conform, boundary, send=True)
    await ended(conform, eventually)
    assert await values(conform) == [("i", ["a", 0]), ("i", ["a", 1]), ("i", ["b", 0]), ("i", ["b", 1]), ("told", "end")]


@requirement("WF-034", "WF-031", "WF-032")
async def test_names_may_come_again_in_each_iteration(conform, eventually):
    """Names are unique inside one iteration only: a second one of the same name there fails it."""
    good = op("wf.loop", name="l", do=[{**step("x", *bounded(2)), "as": "n"}, op("if", value=ref("n"), is_=2, then=[op("break")])])
    bad = op("wf.loop", name="m", do=[step("x"), op("wf.version", name="x", latest=1), op("break")])
    await play(workflow(conform, good, bad, told("never"), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    error = await workflow_error(conform, eventually)
    unique = "Each step/loop/sleep/queue.next/join/race must have a unique name within its scope."
    assert error == {"name": "HistoryDivergedError", "message": f'Duplicate entry name "x" at location "m/~0". {unique}'}
