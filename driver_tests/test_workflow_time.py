"""Suite workflow-time: deadlines of sleeps, receives and retries: fixed once, kept over wakes, never early."""

from __future__ import annotations

import itertools

import pytest

from driver_tests.workflow_history import NAME, ended, history, workflow
from driver_tests.workflow_programs import ERRORS, WAIT, begun, errors, replaced, told, values, woken
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import failing, labels, latch, later, made, op, play, ref, step, trace

pytestmark = [suite("workflow-time"), timing, any_encoding, capability("inspector")]

NOW = [op("value", value={"$now": 0})]


def clocked(name):
    """A step whose result, kept under its name, is the time."""
    return {**step(name, *NOW), "as": name}


async def elapsed(conform):
    """Milliseconds between the two times of the only record."""
    ((_, (before, after)),) = [(label, value) for label, value in await values(conform) if label == "told"]
    return after - before


@requirement("WF-080", "WF-085", "WF-082", "WF-086")
@pytest.mark.parametrize("ms", [40, 99, 100, 250, 1500])
async def test_a_sleep_takes_its_time(conform, eventually, ms):
    """Below and above what is waited for inside the pass: not less, and in milliseconds; then it is completed."""
    await play(workflow(conform, clocked("a"), op("wf.sleep", name="nap", ms=ms), clocked("b"), told([ref("a"), ref("b")])))
    shown = await ended(conform, eventually)
    assert ms <= await elapsed(conform) <= ms + conform.limit(1) * 1000
    assert shown.tag("nap") == "Sleep" and shown.value("nap")["state"] == "COMPLETED"


@requirement("WF-082", "WF-021")
@pytest.mark.parametrize(("ms", "states"), [(90, {"running"}), (2000, {"sleeping"})])
async def test_long_sleeps_end_the_pass(conform, eventually, ms, states):
    """A long wait yields, so the workflow is sleeping; a short one does not. What stands between the entries runs once per pass."""
    between = op("wf.try", name="t", do=[op("wf.sleep", name="nap", ms=ms)])
    await play(workflow(conform, step("a", trace("a")), between, step("held", latch("held")), told()))
    if states == {"sleeping"}:
        shown = await eventually(lambda: history(conform), until=lambda seen: "t/nap" in seen.entries, what="the sleep")
        shown = await eventually(lambda: history(conform), until=lambda seen: seen.state == "sleeping", what="the yield")
        assert shown.value("t/nap")["state"] == "PENDING"
    await conform.latch("held").arrived()
    assert (await history(conform)).state == "running"
    await conform.latch("held").release()
    await ended(conform, eventually)
    assert await labels(conform) == ["a", "told"]


@requirement("WF-081", "WF-086")
@pytest.mark.parametrize(
    "waits_for",
    [op("wf.sleepUntil", name="nap", at=later(-5000)), op("wf.sleepUntil", name="nap", at=0), op("wf.sleep", name="nap", ms=0)],
    ids=["past", "epoch", "zero"],
)
async def test_a_past_deadline(conform, eventually, waits_for):
    """A time that is over completes at once, and is recorded as completed."""
    await play(workflow(conform, clocked("a"), waits_for, clocked("b"), told([ref("a"), ref("b")])))
    shown = await ended(conform, eventually)
    assert await elapsed(conform) <= conform.limit(1) * 1000
    assert shown.value("nap")["state"] == "COMPLETED"


@requirement("WF-080", "WF-085")
async def test_sleep_until_a_time(conform, eventually):
    """The deadline is the time given, in epoch milliseconds, and the sleep ends not before it."""
    at = {**step("at", op("value", value=later(700))), "as": "at"}
    await play(workflow(conform, at, op("wf.sleepUntil", name="nap", at=ref("at")), clocked("b"), told([ref("at"), ref("b")])))
    shown = await ended(conform, eventually)
    ((_, (at, _)),) = await values(conform)
    assert shown.value("nap")["deadline"] == at and 0 <= await elapsed(conform) <= conform.limit(1) * 1000


@requirement("WF-080", "WF-083", "WF-084")
@pytest.mark.parametrize("new", [5, 600_000])
async def test_a_deadline_is_fixed_when_first_reached(conform, boundary, eventually, new):
    """Whatever a later pass asks for, sooner or later, the stored deadline counts; the entry stays the same, and no call is needed."""
    shown = await begun(conform, eventually, clocked("a"), op("wf.sleep", name="nap", ms=1500), told())
    deadline = shown.value("nap")["deadline"]
    replacement = [clocked("a"), op("wf.sleep", name="nap", ms=new), clocked("b"), told([ref("a"), ref("b")])]
    await replaced(conform, boundary, *replacement, send=False)
    again = await history(conform)
    assert (again.value("nap")["deadline"], again.ids["nap"]) == (deadline, shown.ids["nap"])
    await ended(conform, eventually)
    assert 1500 <= await elapsed(conform) <= 1500 + conform.limit(3) * 1000


@requirement("WF-083", "WF-086")
async def test_a_completed_sleep_is_not_waited_for_again(conform, boundary, eventually):
    """After a wake the sleep is over, and its entry is the one of before."""
    shown = await begun(conform, eventually, op("wf.sleep", name="nap", ms=50), WAIT, clocked("b"), told([ref("b"), ref("b")]))
    await woken(conform, boundary, send=True)
    after = await ended(conform, eventually)
    assert (after.value("nap"), after.ids["nap"]) == (shown.value("nap"), shown.ids["nap"])


@requirement("WF-043", "WF-170")
@pytest.mark.parametrize(
    ("options", "delays"),
    [
        ({}, [200, 400, 800]),
        ({"retryBackoffBase": 10}, [20, 40, 80]),
        ({"retryBackoffBase": 50, "retryBackoffMax": 150}, [100, 150, 150]),
        ({"retryBackoffMax": 60}, [60, 60, 60]),
        ({"retryBackoffBase": 0}, [0, 0, 0]),
    ],
    ids=["default", "small", "bounded", "below the base", "none"],
)
async def test_backoff(conform, eventually, options, delays):
    """min(maximum, base * 2^n) after the start of attempt n, without jitter; the hook is told delay and time, and only if it retries."""
    await play(workflow(conform, step("s", *failing(4, message="no"), **options), onWorkflowError=ERRORS))
    shown = await ended(conform, eventually, "failed")
    seen = await errors(conform, "step")
    assert [event.get("retryDelay") for event in seen] == [*delays, None]
    assert "retryAt" not in seen[-1] and "retryDelay" not in seen[-1]
    starts = [*(event["retryAt"] - event["retryDelay"] for event in seen[:-1]), shown.metadata["s"]["lastAttemptAt"]]
    for (start, following), delay in zip(itertools.pairwise(starts), delays, strict=True):
        assert delay <= following - start <= delay + conform.limit(1) * 1000
    assert shown.metadata["s"]["status"] == "EXHAUSTED"


@requirement("WF-043")
async def test_the_backoff_counts_from_the_start_of_the_attempt(conform, eventually):
    """An attempt that took longer than the delay is followed at once."""
    slow = [op("append", at="state.times", value={"$now": 0}), op("wait", ms=500), *failing(1, message="no")]
    await play(workflow(conform, step("s", *slow, retryBackoffBase=100)))
    shown = await ended(conform, eventually)
    first, second = await play(made(conform, NAME), op("value", value=ref("state.times")))
    assert 500 <= second - first < 700 + conform.limit(0.2) * 1000 - 200
    assert shown.metadata["s"]["lastAttemptAt"] >= second - 5


@requirement("WF-044", "WF-043", "WF-194")
async def test_the_count_of_attempts_survives_a_wake(conform, boundary, eventually):
    """Put to sleep in a back-off: count, error and status are those of before, and the next attempt has the next number."""
    await play(workflow(conform, step("s", *failing(2, message="no"), retryBackoffBase=1000), onWorkflowError=ERRORS))
    shown = await eventually(lambda: history(conform), until=lambda seen: seen.state == "sleeping", what="the back-off")
    before = shown.metadata["s"]
    assert (before["attempts"], before["status"], before["error"]) == (1, "FAILED", "Error: no")
    await woken(conform, boundary)
    again = (await history(conform)).metadata["s"]
    assert (again["attempts"], again["status"], again["lastAttemptAt"]) == (1, "FAILED", before["lastAttemptAt"])
    after = (await ended(conform, eventually)).metadata["s"]
    assert (after["attempts"], after["status"]) == (3, "COMPLETED") and not after["error"]
    assert after["createdAt"] == before["createdAt"]
    seen = await errors(conform, "step")
    assert [event["attempt"] for event in seen] == [1, 2]
    assert after["lastAttemptAt"] >= seen[1]["retryAt"] >= before["lastAttemptAt"] + 2000 + 4000


@requirement("WF-047", "WF-048")
async def test_the_timeout_is_of_one_attempt(conform, eventually):
    """Each attempt has the whole time for itself; one just below it is no time-out."""
    slow = [
        op("incr", at="state.tries"),
        op("wait", ms=200),
        op("if", value=ref("state.tries"), below=3, then=[op("throw", kind="internal")]),
    ]
    await play(workflow(conform, step("s", *slow, timeout=350, retryBackoffBase=1), told("end")))
    shown = await ended(conform, eventually)
    assert shown.metadata["s"]["attempts"] == 3 and await labels(conform) == ["told"]


@pytest.mark.timeout(150)
@requirement("WF-047")
async def test_the_default_timeout(conform, eventually):
    """Without one, an attempt may take 30 s and no more."""
    await play(workflow(conform, step("s", op("wait", ms=40_000)), onWorkflowError=ERRORS))
    shown = await ended(conform, eventually, "failed", timeout=60)
    (event,) = await errors(conform, "step")
    assert event["error"]["message"] == 'Step "s" timed out after 30000ms' and event["willRetry"] is False
    assert (shown.metadata["s"]["status"], shown.metadata["s"]["attempts"]) == ("EXHAUSTED", 1)
