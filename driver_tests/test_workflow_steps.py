"""Suite workflow-steps: attempts and their limits, values that survive, names, loops, branches, changes of the code."""

from __future__ import annotations

import itertools

import pytest

from driver_tests.workflow_history import NAME, ended, history, workflow
from driver_tests.workflow_programs import ERRORS, WAIT, begun, replaced, told, values
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import failing, labels, latch, made, op, play, put, ref, step, trace

pytestmark = [suite("workflow-steps"), timing, any_encoding, capability("inspector")]


async def step_errors(conform):
    """The step events of the error hook."""
    seen = await play(made(conform, NAME), op("value", value=ref("state.errors")))
    return [event["step"] for event in seen if "step" in event]


@requirement("WF-043", "WF-046", "WF-048", "WF-170")
@pytest.mark.parametrize(("fails", "retries"), [(1, 2), (2, 2), (3, 2), (1, 0), (3, None), (4, None)])
async def test_attempts(conform, eventually, fails, retries):
    """With N retries a step that fails up to N times completes and one more is its end; the default is 3. The hook sees each failure."""
    limit = 3 if retries is None else retries
    options = {"retryBackoffBase": 1} | ({} if retries is None else {"maxRetries": retries})
    await play(workflow(conform, step("s", *failing(fails, message="no"), **options), told("done"), onWorkflowError=ERRORS))
    shown = await ended(conform, eventually, "completed" if fails <= limit else "failed")
    attempts = min(fails, limit) + 1
    assert await play(made(conform, NAME), op("value", value=ref("state.tries"))) == attempts
    assert await labels(conform) == (["told"] if fails <= limit else [])
    assert shown.metadata["s"]["attempts"] == attempts
    assert shown.metadata["s"]["status"] == ("COMPLETED" if fails <= limit else "EXHAUSTED")
    seen = [(one["attempt"], one["maxRetries"], one["remainingRetries"], one["willRetry"]) for one in await step_errors(conform)]
    assert seen == [(n, limit, limit - n + 1, n <= limit) for n in range(1, min(fails, limit + 1) + 1)]


@requirement("WF-043", "WF-170")
async def test_backoff_doubles_up_to_its_maximum(conform, eventually):
    """Counted from the start of the failed attempt, min(maximum, base * 2^n) passes: 200, 400, then 500 for a base of 100."""
    tried = [op("append", at="state.times", value={"$now": 0}), *failing(3, message="no")]
    await play(workflow(conform, step("s", *tried, retryBackoffBase=100, retryBackoffMax=500), onWorkflowError=ERRORS))
    await ended(conform, eventually)
    assert [one.get("retryDelay") for one in await step_errors(conform)] == [200, 400, 500]
    times = await play(made(conform, NAME), op("value", value=ref("state.times")))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for gap, least in zip(gaps, (200, 400, 500), strict=True):
        assert least - 5 <= gap <= least + conform.limit(1) * 1000, gaps


@requirement("WF-017", "WF-047", "WF-048")
@pytest.mark.parametrize("again", [False, True])
async def test_timeout(conform, eventually, again):
    """A time-out ends the step, or uses its retries up if it may be retried. What the body does later happens all the same."""
    slow = step("s", op("incr", at="state.tries"), op("wait", ms=400), op("incr", at="state.late"), timeout=50, maxRetries=1,
                retryBackoffBase=1, retryOnTimeout=again)  # fmt: skip
    await play(workflow(conform, slow, onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    actor, tries = made(conform, NAME), 2 if again else 1
    seen = await step_errors(conform)
    assert {one["error"]["message"] for one in seen} == {'Step "s" timed out after 50ms'} and len(seen) == tries
    assert await play(actor, op("value", value=ref("state.tries"))) == tries
    await eventually(lambda: play(actor, op("value", value=ref("state.late"))), until=lambda late: late == tries, what="the late change")


@requirement("WF-047")
@pytest.mark.parametrize("timeout", [0, -1])
async def test_no_timeout(conform, eventually, timeout):
    """Zero or a negative number is no limit."""
    await play(workflow(conform, step("s", op("wait", ms=300), op("value", value="slow"), timeout=timeout), told("done")))
    await ended(conform, eventually)
    assert await values(conform) == [("told", "done")]


@requirement("WF-040", "WF-020", "WF-022")
@pytest.mark.parametrize("value", [0, "", False, None, [], {}, {"a": [None, {"b": 0}]}, -1.5], ids=repr)
async def test_outputs_survive_a_wake(conform, boundary, eventually, value):
    """A recorded output, also an empty or falsy one, is the same after the wake, and the step does not run again."""
    first = {**step("s", trace("s"), op("value", value={"$quote": value})), "as": "out"}
    actor = workflow(conform, first, WAIT, told(ref("out")))
    await play(actor)
    await eventually(lambda: labels(conform), until=lambda seen: seen == ["s"], what="the step")
    await boundary.sleep(actor, via="api")
    await made(conform, NAME).send("jobs", None)
    await ended(conform, eventually)
    assert await values(conform) == [("s", None), ("told", value)]


@requirement("WF-040", "WF-052")
async def test_outputs_are_not_shared(conform, eventually):
    """A later change of the state that an output was taken from does not change the output."""
    first = {**step("s", op("set", at="state.list", value=[1]), op("value", value=ref("state.list"))), "as": "out"}
    change = step("change", op("append", at="state.list", value=2))
    await play(workflow(conform, first, change, op("wf.sleep", name="pass", ms=150), told([ref("out")])))
    await ended(conform, eventually)
    assert await values(conform) == [("told", [[1]])]


@requirement("WF-031", "WF-036", "WF-182")
@pytest.mark.parametrize("second", ["step", "sleep", "loop"])
async def test_names_are_unique_in_a_scope(conform, eventually, second):
    """Another entry of the same name, of whatever kind, fails the workflow, and tryStep does not catch that."""
    again = {
        "step": op("wf.tryStep", name="x", do=[trace("never")]),
        "sleep": op("wf.sleep", name="x", ms=1),
        "loop": op("wf.loop", name="x", do=[op("break")]),
    }[second]
    await play(workflow(conform, step("x", trace("x")), again, told("never"), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    assert await labels(conform) == ["x"]
    seen = await play(made(conform, NAME), op("value", value=ref("state.errors")))
    (error,) = [event["workflow"]["error"] for event in seen]
    assert error["name"] == "HistoryDivergedError" and error["message"].startswith('Duplicate entry name "x" at location ""')


@requirement("WF-060", "WF-061", "WF-062", "WF-064")
@pytest.mark.parametrize(
    ("do", "options", "kind", "attempts"),
    [
        (op("throw", kind="critical", message="m"), {}, "critical", 1),
        (op("throw", kind="internal", message="m"), {"maxRetries": 1, "retryBackoffBase": 1}, "exhausted", 2),
        (op("wait", ms=500), {"timeout": 20}, "timeout", 1),
        (op("throw", kind="rollback", message="m"), {"catch": ["rollback"]}, "rollback", 1),
    ],
    ids=["critical", "exhausted", "timeout", "rollback"],
)
async def test_try_step(conform, eventually, do, options, kind, attempts):
    """The failure tells its kind, the step, and after how many attempts it came."""
    tried = op("wf.tryStep", name="s", do=[do], as_="out", **options)
    await play(workflow(conform, tried, told(ref("out"))))
    await ended(conform, eventually)
    ((_, out),) = await values(conform)
    assert out["ok"] is False and set(out) == {"ok", "failure"}
    failure = out["failure"]
    assert (failure["kind"], failure["stepName"], failure["attempts"]) == (kind, "s", attempts)
    assert failure["error"]["message"] == ('Step "s" timed out after 20ms' if kind == "timeout" else "m")


@requirement("WF-062", "WF-067")
@pytest.mark.parametrize("how", ["wf.tryStep", "wf.try"])
async def test_what_is_not_caught_by_default(conform, eventually, how):
    """A rollback error passes through tryStep and try unless they ask for it."""
    fails = op("throw", kind="rollback", message="m")
    tried = op(how, name="t", do=[fails] if how == "wf.tryStep" else [step("s", fails)])
    await play(workflow(conform, tried, told("never")))
    await ended(conform, eventually, "failed")
    assert await labels(conform) == []


@requirement("WF-070", "WF-072", "WF-073", "WF-075")
async def test_loop_state(conform, boundary, eventually):
    """Each iteration gets the state that the one before it gave, also falsy ones and over a sleep; the break value is the loop's."""
    turn = [
        step("turn", trace("turn", ref("loop"))),
        op("if", value=ref("loop"), is_="x", then=[op("continue", state=0)]),
        op("if", value=ref("loop"), is_=0, then=[WAIT, op("continue", state=False)]),
        op("break", value=None),
    ]
    actor = workflow(conform, op("wf.loop", name="l", state="x", do=turn, as_="out"), told([ref("out")]))
    await play(actor)
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) == 2, what="two turns")
    await boundary.sleep(actor, via="api")
    await made(conform, NAME).send("jobs", None)
    await ended(conform, eventually)
    assert await values(conform) == [("turn", "x"), ("turn", 0), ("turn", False), ("told", [None])]


@requirement("WF-072")
async def test_a_stateful_loop_must_say_how_it_goes_on(conform, eventually):
    """A body of a loop with state that returns nothing fails the workflow."""
    await play(workflow(conform, op("wf.loop", name="l", state=0, do=[]), told("never"), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    seen = await play(made(conform, NAME), op("value", value=ref("state.errors")))
    text = 'Loop "l" returned undefined for a stateful iteration. Return Loop.continue(state) or Loop.break(value).'
    assert [event["workflow"]["error"]["message"] for event in seen] == [text] and await labels(conform) == []


@requirement("WF-110", "WF-113", "WF-116")
async def test_join_with_failures(conform, eventually):
    """A failing branch stops no other; the join fails when all have settled, and names those that failed, in order."""
    fails = [op("throw", kind="critical", message="no")]
    branches = {"a": [step("x", *fails)], "b": [step("x", op("wait", ms=50), trace("b"))], "c": [step("x", *fails)]}
    join = op("wf.try", name="t", do=[op("wf.join", name="j", branches=branches)], as_="out")
    await play(workflow(conform, join, told(ref("out.failure"))))
    shown = await ended(conform, eventually)
    (_, (_, failure)) = await values(conform)
    assert await labels(conform) == ["b", "told"]
    assert (failure["source"], failure["name"], failure["error"]["message"]) == ("join", "j", "Join failed: a, c")
    assert {"t/j", "t/j/a/x", "t/j/b/x", "t/j/c/x"} <= set(shown.entries)


@requirement("WF-114", "WF-115", "WF-112")
async def test_join_waits_for_the_slowest(conform, eventually):
    """A branch that retries and one that sleeps do not fail the join, and a finished branch does not run again."""
    branches = {
        "done": [step("x", trace("done"), op("value", value=0))],
        "retries": [step("x", *failing(2), op("value", value=""), retryBackoffBase=20)],
        "sleeps": [op("wf.sleep", name="nap", ms=300), step("x", op("value", value=False))],
    }
    await play(workflow(conform, op("wf.join", name="j", branches=branches, as_="out"), told(ref("out"))))
    await ended(conform, eventually)
    assert await values(conform) == [("done", None), ("told", {"done": 0, "retries": "", "sleeps": False})]


@requirement("WF-120", "WF-122", "WF-124")
async def test_race(conform, eventually):
    """The first to complete wins though another failed before it; the losers leave no entries, and the result is stable."""
    branches = {
        "fails": [step("x", op("throw", kind="critical", message="no"))],
        "wins": [step("x", op("wait", ms=50), op("value", value=0))],
        "loses": [step("x", trace("ran")), op("wf.sleep", name="long", ms=60_000)],
    }
    race = op("wf.race", name="r", branches=branches, as_="out")
    await play(workflow(conform, race, op("wf.sleep", name="pass", ms=150), told(ref("out"))))
    shown = await ended(conform, eventually)
    assert await values(conform) == [("ran", None), ("told", {"winner": "wins", "value": 0})]
    assert {path for path in shown.entries if path.startswith("r/")} == {"r/wins/x"}


@requirement("WF-122")
async def test_race_that_nobody_wins(conform, eventually):
    """When all branches fail the race fails."""
    fails = [step("x", op("throw", kind="critical", message="no"))]
    race = op("wf.try", name="t", do=[op("wf.race", name="r", branches={"a": fails, "b": fails})], as_="out")
    await play(workflow(conform, race, told(ref("out.failure"))))
    await ended(conform, eventually)
    ((_, failure),) = await values(conform)
    assert (failure["source"], failure["name"], failure["error"]["message"]) == ("race", "r", "All branches failed")


@requirement("WF-033", "WF-036")
async def test_another_kind_under_a_name(conform, boundary, eventually):
    """A stored entry of another kind at a location fails the workflow and says so."""
    await begun(conform, eventually, step("x", trace("x")), WAIT)
    await replaced(conform, boundary, op("wf.sleep", name="x", ms=1), WAIT, told("never"))
    await ended(conform, eventually, "failed")
    seen = await play(made(conform, NAME), op("value", value=ref("state.errors")))
    assert [event["workflow"]["error"]["message"] for event in seen] == ['Expected sleep "x" at x, found step']
    assert await labels(conform) == ["x"]


@requirement("WF-034", "WF-160")
@pytest.mark.parametrize("marked", [False, True])
async def test_a_removed_step(conform, boundary, eventually, marked):
    """A step that the code of a loop body has no more fails the iteration, unless it is marked as removed."""

    def loop(*first):
        return op("wf.loop", name="l", do=[*first, WAIT, op("break")])

    await begun(conform, eventually, loop(step("x", trace("x"))), told("end"))
    await replaced(conform, boundary, loop(*([op("wf.removed", name="x", type="step")] if marked else [])), told("end"))
    await ended(conform, eventually, "completed" if marked else "failed")
    assert await labels(conform) == (["x", "told"] if marked else ["x"])


@requirement("WF-160")
async def test_removed_with_another_kind(conform, boundary, eventually):
    """A removed mark of the wrong kind fails the workflow."""
    await begun(conform, eventually, step("x", trace("x")), WAIT)
    await replaced(conform, boundary, op("wf.removed", name="x", type="sleep"), WAIT, told("never"))
    await ended(conform, eventually, "failed")
    seen = await play(made(conform, NAME), op("value", value=ref("state.errors")))
    assert [event["workflow"]["error"]["message"] for event in seen] == ["Expected sleep or removed at x, found step"]


@requirement("WF-162", "WF-163")
@pytest.mark.parametrize("old", [False, True], ids=["new instance", "old instance"])
async def test_version_gate(conform, boundary, eventually, old):
    """An instance that has gone past the gate's place gets 1, a new one the latest, and it stays so when the code goes on."""
    gate = [op("wf.version", name="gate", latest=3, as_="v")]
    await begun(conform, eventually, *([] if old else gate), step("x", trace("x")), WAIT)
    later = op("wf.version", name="gate", latest=4 if not old else 3, as_="v")
    await replaced(conform, boundary, later, step("x", trace("x")), WAIT, told(ref("v")))
    await ended(conform, eventually)
    assert await values(conform) == [("x", None), ("told", 1 if old else 3)]


@requirement("WF-080", "WF-083")
async def test_a_sleep_keeps_its_deadline(conform, boundary, eventually):
    """After a wake the stored deadline counts, whatever the code says now."""
    nap = op("wf.sleep", name="nap", ms=1500)
    await begun(conform, eventually, nap, told("end"))
    actor = made(conform, NAME)
    await put(actor, "run", op("wf.sleep", name="nap", ms=600_000), told("end"))
    await boundary.sleep(actor, via="api")
    await play(made(conform, NAME))
    await ended(conform, eventually)
    assert await labels(conform) == ["told"]


@requirement("WF-042", "WF-041")
async def test_nothing_is_recorded_before_the_body_has_ended(conform, eventually):
    """While a body is held, the step is not completed and nothing behind it has begun."""
    await play(workflow(conform, step("held", latch("body"), trace("held")), told("end")))
    await conform.latch("body").arrived()
    shown = await history(conform)
    assert "told" not in shown.entries and (shown.metadata.get("held") or {}).get("status") != "COMPLETED"
    assert await labels(conform) == []
    await conform.latch("body").release()
    await ended(conform, eventually)
    assert await labels(conform) == ["held", "told"]


@requirement("WF-051")
async def test_changes_of_failed_attempts_stay(conform, eventually):
    """State that a failed attempt has changed is not rolled back."""
    await play(workflow(conform, step("s", op("append", at="state.seen", value=ref("state.tries")), *failing(2), retryBackoffBase=1)))
    await ended(conform, eventually)
    assert len(await play(made(conform, NAME), op("value", value=ref("state.seen")))) == 3


@requirement("WF-091", "WF-094", "WF-092")
async def test_receives(conform, eventually):
    """A batch takes what is there up to its count; at the deadline a batch is empty and a single receive fails."""
    actor = workflow(
        conform,
        {**op("wf.nextBatch", name="some", names=["other"], count=2), "as": "some"},
        {**op("wf.nextBatch", name="none", names=["jobs"], timeout=150), "as": "none"},
        told([ref("some.0.body"), ref("some.1.body"), ref("none")]),
        op("wf.next", name="late", names=["jobs"], timeout=150),

        onWake=[op("queue.send", name="other", body=0), op("queue.send", name="other", body=1), op("queue.send", name="other", body=2)],
        onWorkflowError=ERRORS,
    )  # fmt: skip
    await play(actor)
    shown = await ended(conform, eventually, "failed")
    assert await values(conform) == [("told", [0, 1, []])]
    seen = await play(made(conform, NAME), op("value", value=ref("state.errors")))
    text = 'queue.next("late") timed out before receiving a message. Use queue.nextBatch(...) for optional/time-limited reads.'
    assert [event["workflow"]["error"]["message"] for event in seen] == [text]
    assert {"some:count", "some:0", "some:1", "none:count", "none:deadline"} <= set(shown.entries) and "some:2" not in shown.entries
