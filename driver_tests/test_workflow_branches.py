"""Suite workflow-branches: joins and races: who starts, who is waited for, who wins, what is stored."""

from __future__ import annotations

import pytest

from driver_tests.workflow_history import NAME, ended, history, workflow
from driver_tests.workflow_programs import ERRORS, WAIT, arrive, begun, errors, replaced, told, values, waits, woken, workflow_error
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import failing, labels, latch, made, op, play, ref, step, trace

pytestmark = [suite("workflow-branches"), timing, any_encoding, capability("inspector")]

NO = step("no", op("throw", kind="critical", message="no"))


def join(branches, as_="out"):
    """A join named `j`."""
    return op("wf.join", name="j", branches=branches, as_=as_)


def race(branches, as_="out"):
    """A race named `r`."""
    return op("wf.race", name="r", branches=branches, as_=as_)


@requirement("WF-110", "WF-111", "WF-121")
@pytest.mark.parametrize("kind", ["join", "race"])
async def test_branches_start_together(conform, eventually, kind):
    """All are under way before any has ended, and the entry is there before them."""
    branches = {name: [step("s", latch(name))] for name in "abc"}
    await play(workflow(conform, join(branches) if kind == "join" else race(branches), told()))
    await arrive(conform, *"abc")
    assert kind[0] in (await history(conform)).entries
    for name in "abc":
        await conform.latch(name).release()
    await ended(conform, eventually)
    assert await labels(conform) == ["told"]


@requirement("WF-111", "WF-121", "WF-146")
@pytest.mark.parametrize("kind", ["join", "race"])
async def test_the_entry_is_durable_before_the_branches(conform, boundary, eventually, kind):
    """Cut off in their first steps, the next generation finds the entry and begins the steps again."""
    branches = {name: [step("s", latch(name))] for name in "ab"}
    await play(workflow(conform, join(branches) if kind == "join" else race(branches), told()))
    await arrive(conform, *"ab")
    shown = await history(conform)
    await woken(conform, boundary)
    for name in "ab":
        await conform.latch(name).arrived(count=2)
    assert (await history(conform)).ids[kind[0]] == shown.ids[kind[0]]
    for name in "ab":
        await conform.latch(name).release()
    await ended(conform, eventually)
    assert await labels(conform) == ["told"]


@requirement("WF-112", "WF-022", "WF-040")
async def test_the_values_of_a_join_are_stable(conform, boundary, eventually):
    """After a wake they are those of before, falsy ones too, and no branch has run again; what code does to them stays with it."""
    branches = {name: [step("s", trace(name)), op("value", value=value)] for name, value in {"a": [1], "b": 0, "c": None, "d": ""}.items()}
    changed = [join(branches), op("change", of="out.a", value=2)]
    await begun(conform, eventually, *changed, WAIT, told(ref("out")))
    await made(conform, NAME).send("jobs", None)
    await ended(conform, eventually)
    seen = await values(conform)
    assert sorted(label for label, _ in seen[:-1]) == ["a", "b", "c", "d"]
    assert seen[-1] == ("told", {"a": [1, 2], "b": 0, "c": None, "d": ""})
    await woken(conform, boundary)
    shown = await ended(conform, eventually)
    assert {name: one["status"] for name, one in shown.value("j")["branches"].items()} == dict.fromkeys("abcd", "COMPLETED")
    assert {name: one["output"] for name, one in shown.value("j")["branches"].items()} == {"a": [1], "b": 0, "c": None, "d": ""}


@requirement("WF-113", "WF-110", "WF-116")
async def test_a_join_fails_when_all_have_settled(conform, eventually):
    """While one branch is held the join does not fail though two have; then it names both. Statuses and texts are stored."""
    branches = {"z": [NO], "held": [step("s", latch("held")), op("value", value=7)], "a": [op("throw", kind="rollback", message="back")]}
    tried = op("wf.try", name="t", do=[join(branches)], as_="out")
    await play(workflow(conform, tried, told(ref("out")), onWorkflowError=ERRORS))
    await arrive(conform, "held")
    await eventually(lambda: errors(conform, "step"), until=lambda seen: len(seen) == 1, what="the failure")
    assert await labels(conform) == []
    await conform.latch("held").release()
    shown = await ended(conform, eventually)
    ((_, out),) = await values(conform)
    failure = out["failure"]
    assert set(failure) == {"source", "name", "error"} and (failure["source"], failure["name"]) == ("join", "j")
    # The order of the names is that of the code, or in which they failed.
    assert failure["error"]["name"] == "JoinError" and failure["error"]["message"] in {"Join failed: z, a", "Join failed: a, z"}
    stored = shown.value("t/j")["branches"]
    assert {name: (one["status"], one["error"]) for name, one in stored.items()} == {
        "z": ("FAILED", "CriticalError: no"),
        "held": ("COMPLETED", None),
        "a": ("FAILED", "RollbackError: back"),
    }
    assert stored["held"]["output"] == 7


@requirement("WF-113", "WF-184")
async def test_a_failed_join_fails_again(conform, boundary, eventually):
    """After a wake it fails without running its branches, with their names, and is reported again."""
    branches = {"a": [step("s", trace("a")), op("throw", kind="internal", message="no")], "b": [step("s", trace("b"))]}
    await play(workflow(conform, join(branches), onWorkflowError=[trace("error", ref("event.workflow.error.message"))]))
    await ended(conform, eventually, "failed")
    assert sorted(await labels(conform)) == ["a", "b", "error"]
    await woken(conform, boundary)
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) == 4, what="the second report")
    assert (await values(conform))[-2:] == [("error", "Join failed: a")] * 2


@requirement("WF-114", "WF-021")
@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_a_join_waits_for_the_earliest(conform, eventually, order):
    """Of two branches that sleep, the nearer deadline begins the next pass, whichever stands first; the other goes on at its own."""
    naps = {"a": 300, "b": 2500}
    branches = {name: [op("wf.sleep", name="nap", ms=naps[name]), step("s", trace(name, {"$now": 0}))] for name in order}
    start = {**step("start", op("value", value={"$now": 0})), "as": "at"}
    await play(workflow(conform, start, join(branches), told(ref("at"))))
    await ended(conform, eventually)
    seen = dict(await values(conform))
    assert await labels(conform) == ["a", "b", "told"]
    assert 300 <= seen["a"] - seen["told"] <= 300 + conform.limit(1) * 1000
    assert 2500 <= seen["b"] - seen["told"] <= 2500 + conform.limit(1) * 1000


@requirement("WF-114", "WF-090")
@pytest.mark.parametrize("waiting", ["jobs", "other", "time"])
async def test_a_join_waits_for_any_of_its_branches(conform, eventually, waiting):
    """A message of either branch or the deadline of the third begins the next pass; finished branches do not run again."""
    branches = {
        "done": [step("s", trace("done"))],
        "jobs": [op("wf.next", name="m", names=["jobs"]), step("s", trace("jobs"))],
        "other": [op("wf.next", name="m", names=["other"]), step("s", trace("other"))],
        "time": [op("wf.sleep", name="m", ms=1200 if waiting == "time" else 600_000), step("s", trace("time"))],
    }
    await begun(conform, eventually, join(branches), told())
    if waiting != "time":
        await made(conform, NAME).send(waiting, None)
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) > 1, what="the branch")
    await waits(conform, eventually)
    assert await labels(conform) == ["done", waiting]


@requirement("WF-115", "WF-123")
@pytest.mark.parametrize("kind", ["join", "race"])
async def test_a_retry_in_a_branch_is_no_failure(conform, eventually, kind):
    """A branch whose step is retried neither fails nor loses."""
    branches = {"again": [step("s", *failing(1), op("value", value=1), retryBackoffBase=60)], "fails": [NO]}
    alone = {"again": branches["again"], "fine": []}
    await play(workflow(conform, join(alone) if kind == "join" else race(branches), told(ref("out"))))
    await ended(conform, eventually)
    assert await values(conform) == [("told", {"again": 1, "fine": None} if kind == "join" else {"winner": "again", "value": 1})]


MISTAKES = {
    "HistoryDivergedError": [step("x"), step("x")],
    "EntryInProgressError": [op("all", do=[[step("y", op("wait", ms=50))], [step("z")]])],
    "RollbackCheckpointError": [step("x", rollback=[])],
}


@requirement("WF-117", "WF-063", "WF-036")
@pytest.mark.parametrize("kind", ["join", "race"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("HistoryDivergedError", "EntryInProgressError"),
        ("EntryInProgressError", "RollbackCheckpointError"),
        ("HistoryDivergedError", "RollbackCheckpointError"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
async def test_which_mistake_ends_the_workflow(conform, eventually, kind, first, second, turned):
    """Of two branches with a mistake the graver one counts, in whatever order they stand, over one that waits; nothing catches it."""
    order = [second, first] if turned else [first, second]
    branches = {"waits": [WAIT], **{name: MISTAKES[name] for name in order}}
    tried = op("wf.try", name="t", do=[join(branches) if kind == "join" else race(branches)])
    await play(workflow(conform, tried, told("never"), onWorkflowError=ERRORS))
    await ended(conform, eventually, "failed")
    assert (await workflow_error(conform, eventually))["name"] == first and await labels(conform) == []


@requirement("WF-035", "WF-036")
@pytest.mark.parametrize("kind", ["join", "race"])
async def test_a_branch_that_was_not_recorded(conform, boundary, eventually, kind):
    """A branch that the stored entry does not know is a divergence that names it."""
    make = join if kind == "join" else race
    await begun(conform, eventually, make({"a": [WAIT]}))
    new = make({"a": [WAIT], "b": [step("s", trace("never"))]})
    await replaced(conform, boundary, op("wf.try", name="t", do=[]), new, told("never"))
    await ended(conform, eventually, "failed")
    text = f'Expected {kind} branch "b" in "{kind[0]}"'
    assert await workflow_error(conform, eventually) == {"name": "HistoryDivergedError", "message": text}
    assert await labels(conform) == []


@requirement("WF-034")
@pytest.mark.parametrize("kind", ["join", "race"])
async def test_a_branch_that_lost_a_step(conform, boundary, eventually, kind):
    """A stored entry of a branch that the code has no more fails it at the end of the branch."""
    make = join if kind == "join" else race
    await begun(conform, eventually, make({"a": [step("gone", trace("gone")), WAIT]}))
    await replaced(conform, boundary, make({"a": [WAIT]}), told("never"))
    await ended(conform, eventually, "failed")
    error = await workflow_error(conform, eventually)
    text = f'Entry "{kind[0]}/a/gone" exists in history but was not visited. Workflow code may have changed. Use ctx.removed()'
    assert error == {"name": "HistoryDivergedError", "message": f"{text} to handle migrations."}


@requirement("WF-120", "WF-124", "WF-022")
async def test_the_winner_stays(conform, boundary, eventually):
    """The first to complete wins, not the first in the list, and stays so in later passes and after a wake; losers leave nothing."""
    branches = {"slow": [step("s", latch("slow")), op("value", value=1)], "fast": [step("s"), op("value", value=[0])]}
    await play(workflow(conform, race(branches), op("change", of="out.value", value=9), WAIT, told(ref("out"))))
    await arrive(conform, "slow")
    won = lambda shown: (shown.metadata.get("r/fast/s") or {}).get("status") == "COMPLETED"  # noqa: E731
    await eventually(lambda: history(conform), until=won, what="the win")
    await conform.latch("slow").release()
    await waits(conform, eventually)
    await made(conform, NAME).send("jobs", None)
    before = await ended(conform, eventually)
    assert await values(conform) == [("told", {"winner": "fast", "value": [0, 9]})]
    await woken(conform, boundary)
    shown = await ended(conform, eventually)
    assert shown.ids == before.ids and shown.value("r")["winner"] == "fast" and shown.below("r") == {"r/fast/s"}
    assert shown.value("r")["branches"]["fast"] == {"status": "COMPLETED", "output": [0], "error": None}


@requirement("WF-126", "WF-125", "WF-120")
async def test_a_race_waits_for_its_losers(conform, clock, eventually):
    """A loser that is held keeps the race from returning; when it fails after the win, that changes nothing."""
    branches = {
        "loses": [step("l", latch("held"), op("throw", kind="critical", message="late"))],
        "wins": [step("w"), op("value", value=0)],
    }
    await play(workflow(conform, race(branches), told(ref("out"))))
    await arrive(conform, "held")
    won = lambda shown: (shown.metadata.get("r/wins/w") or {}).get("status") == "COMPLETED"  # noqa: E731
    await eventually(lambda: history(conform), until=won, what="the win")
    await clock.sleep(0.4)
    assert await labels(conform) == []
    await conform.latch("held").release()
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", {"winner": "wins", "value": 0})]
    assert shown.below("r") == {"r/wins/w"} and shown.value("r")["branches"]["wins"]["status"] == "COMPLETED"


@requirement("WF-122", "WF-123")
async def test_a_race_yields_until_somebody_wins(conform, eventually):
    """A failing branch and a later sleeper do not end it; the nearest deadline wins, not earlier than it is due."""
    branches = {
        "fails": [NO],
        "late": [op("wf.sleep", name="nap", ms=60_000)],
        "soon": [op("wf.sleep", name="nap", ms=700), op("value", value={"$now": 0})],
    }
    start = {**step("start", op("value", value={"$now": 0})), "as": "at"}
    await play(workflow(conform, start, race(branches), told([ref("at"), ref("out")])))
    shown = await ended(conform, eventually)
    ((_, (at, out)),) = await values(conform)
    assert out["winner"] == "soon" and 700 <= out["value"] - at <= 700 + conform.limit(1) * 1000
    assert shown.below("r") == {"r/soon/nap"} and shown.value("r")["branches"]["fails"]["status"] == "FAILED"


@requirement("WF-122")
async def test_all_fail_in_different_passes(conform, eventually):
    """A race fails only when the last branch has, and those that failed before do not run again."""
    branches = {"a": [step("s", trace("a")), NO], "b": [op("wf.sleep", name="nap", ms=200), step("s", trace("b")), NO]}
    tried = op("wf.try", name="t", do=[race(branches)], as_="out")
    await play(workflow(conform, tried, told(ref("out.failure"))))
    await ended(conform, eventually)
    seen = await values(conform)
    assert [label for label, _ in seen] == ["a", "b", "told"]
    failure = seen[-1][1]
    assert (failure["source"], failure["name"]) == ("race", "r") and set(failure) == {"source", "name", "error"}
    assert (failure["error"]["name"], failure["error"]["message"]) == ("RaceError", "All branches failed")
