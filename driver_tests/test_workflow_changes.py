"""Suite workflow-changes: code that changed under a history: divergence, removed marks, version gates."""

from __future__ import annotations

import pytest

from driver_tests.workflow_history import NAME, ended, history, workflow
from driver_tests.workflow_programs import WAIT, begun, bounded, replaced, told, values, waits, woken, workflow_error
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import labels, made, op, play, ref, step, trace

pytestmark = [suite("workflow-changes"), timing, any_encoding, capability("inspector")]

KINDS = {
    "step": step("x", trace("x")),
    "loop": op("wf.loop", name="x", do=[step("in"), op("break")]),
    "sleep": op("wf.sleep", name="x", ms=1),
    "rollback_checkpoint": op("wf.checkpoint", name="x"),
    "join": op("wf.join", name="x", branches={"a": [step("in")]}),
    "race": op("wf.race", name="x", branches={"a": [step("in")]}),
    "removed": op("wf.removed", name="x", type="step"),
    "version_check": op("wf.version", name="x", latest=1),
}


def turn(*first):
    """A loop of one iteration that begins with these entries, passes a step and then waits."""
    return op("wf.loop", name="l", do=[*first, step("there"), WAIT, op("break")])


async def at_the_wait(conform, eventually, *program):
    """A workflow that waits behind the step of `turn`: the shortest sleep is a wait, too, and over a moment later."""
    await begun(conform, eventually, *program)
    return await eventually(
        lambda: history(conform),
        until=lambda shown: shown.state == "sleeping" and "l/~0/there" in shown.entries,
        what="the wait behind the entries",
    )


CODE = [kind for kind in KINDS if kind != "removed"]


@requirement("WF-033", "WF-166", "WF-036")
@pytest.mark.parametrize(("stored", "code"), [(one, CODE[(n + by) % len(CODE)]) for n, one in enumerate(KINDS) for by in (1, 3)])
async def test_another_kind_at_a_location(conform, boundary, eventually, stored, code):
    """The workflow fails and names both kinds and the place; tryStep does not catch it, and nothing is executed."""
    await at_the_wait(conform, eventually, turn(KINDS[stored]))
    before = await labels(conform)
    entry = KINDS[code] if code != "step" else op("wf.tryStep", name="x", do=[trace("never")])
    await replaced(conform, boundary, turn(entry), told("never"))
    await ended(conform, eventually, "failed")
    what = {"version_check": code, "rollback_checkpoint": 'rollback checkpoint "x"'}.get(code, f'{code} "x"')
    assert await workflow_error(conform, eventually) == {
        "name": "HistoryDivergedError",
        "message": f"Expected {what} at l/~0/x, found {stored}",
    }
    assert await labels(conform) == before


@requirement("WF-033", "WF-030")
@pytest.mark.parametrize("code", CODE)
async def test_the_same_kind_at_a_location(conform, boundary, eventually, code):
    """After a wake each kind is met at its place, as the entry that it was."""
    shown = await at_the_wait(conform, eventually, turn(KINDS[code]), told())
    await woken(conform, boundary, send=True)
    after = await ended(conform, eventually)
    assert after.ids["l/~0/x"] == shown.ids["l/~0/x"] and (await labels(conform))[-1] == "told"


@requirement("WF-161", "WF-160", "WF-167", "WF-034")
@pytest.mark.parametrize("kind", [*KINDS, "message"])
@pytest.mark.parametrize("marked", [True, False])
async def test_every_kind_can_be_removed(conform, boundary, eventually, kind, marked):
    """With its mark the iteration ends well and the stored entry stays as it was; without, it is a divergence."""
    gone = KINDS.get(kind, op("wf.nextBatch", name="x", names=["other"], timeout=1))
    shown = await at_the_wait(conform, eventually, turn(gone), told())
    entries = [path for path in shown.entries if path.startswith("l/~0/x") and path.count("/") == 2]
    marks = [
        op("wf.removed", name=path.rpartition("/")[2], type="sleep" if path.endswith(":deadline") else kind) for path in sorted(entries)
    ]
    await replaced(conform, boundary, turn(*marks if marked else []), told())
    after = await ended(conform, eventually, "completed" if marked else "failed")
    assert [label for label in await labels(conform) if label != "x"] == (["told"] if marked else [])
    assert marks and all(after.entries[path] == shown.entries[path] and after.ids[path] == shown.ids[path] for path in entries)
    if not marked:
        error = await workflow_error(conform, eventually)
        assert error["name"] == "HistoryDivergedError" and error["message"].startswith('Entry "l/~0/x')


@requirement("WF-160")
async def test_a_mark_without_an_entry(conform, boundary, eventually):
    """It is recorded with the kind that it stands for, once, and is met again in later passes, also as another one's mark."""
    shown = await begun(conform, eventually, op("wf.removed", name="x", type="join"), WAIT, told())
    assert (shown.tag("x"), shown.value("x")["originalType"]) == ("Removed", "join")
    await replaced(conform, boundary, op("wf.removed", name="x", type="step"), WAIT, told())
    after = await ended(conform, eventually)
    assert (after.ids["x"], after.value("x")["originalType"]) == (shown.ids["x"], "join")


@requirement("WF-160", "WF-036")
async def test_a_mark_of_another_kind(conform, boundary, eventually):
    """It says what it expected and what it found; a block does not catch that."""
    await begun(conform, eventually, op("wf.try", name="t", do=[KINDS["step"], WAIT]), told())
    await replaced(conform, boundary, op("wf.try", name="t", do=[op("wf.removed", name="x", type="sleep"), WAIT]), told("never"))
    await ended(conform, eventually, "failed")
    text = "Expected sleep or removed at t/x, found step"
    assert await workflow_error(conform, eventually) == {"name": "HistoryDivergedError", "message": text} and await labels(conform) == ["x"]


def gate(latest, name="gate", **more):
    """A version gate, kept as `v`."""
    return op("wf.version", name=name, latest=latest, as_="v", **more)


@requirement("WF-162", "WF-163")
async def test_a_version_is_stable(conform, boundary, eventually):
    """A new instance gets the latest; it stays so when the code goes on, in every later pass, and other gates are their own."""
    shown = await begun(conform, eventually, step("s"), gate(3), WAIT)
    assert shown.tag("gate") == "VersionCheck" and shown.value("gate") == {"resolved": 3, "latest": 3}
    again = {**gate(7, "second"), "as": "w"}
    await replaced(conform, boundary, step("s"), gate(5), WAIT, again, told([ref("v"), ref("w")]))
    after = await ended(conform, eventually)
    assert await values(conform) == [("told", [3, 7])]
    assert after.value("gate") == {"resolved": 3, "latest": 3} and after.ids["gate"] == shown.ids["gate"]


@requirement("WF-163", "WF-162")
@pytest.mark.parametrize("latest", [1, 2, 9])
async def test_an_old_instance_gets_the_first_version(conform, boundary, eventually, latest):
    """Where entries behind the gate are stored already the version is 1, and stays so in the passes after."""
    await begun(conform, eventually, step("s"), WAIT, told(0, "told0"))
    await replaced(conform, boundary, gate(latest), step("s"), WAIT, op("wf.sleep", name="nap", ms=150), told(ref("v")))
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", 1)] and shown.value("gate") == {"resolved": 1, "latest": latest}


@requirement("WF-163")
@pytest.mark.parametrize("scope", ["join", "try", "loop"])
async def test_only_the_entries_of_the_scope_count(conform, boundary, eventually, scope):
    """A gate in a scope that the instance has not entered yet is new, whatever is stored beside it or in front of it."""
    gated = [gate(4), told(ref("v"))]
    inner = {
        "join": op("wf.join", name="j", branches={"new": gated}),
        "try": op("wf.try", name="t", do=gated),
        "loop": op("wf.loop", name="l", do=[*gated, op("break")]),
    }[scope]
    await begun(conform, eventually, step("s"), WAIT)
    # The step stands behind the scope in the new code, so it is stored and not visited yet when the gate is reached.
    await replaced(conform, boundary, inner, step("s"), WAIT)
    await ended(conform, eventually)
    assert await values(conform) == [("told", 4)]


@requirement("WF-165")
async def test_each_iteration_decides(conform, boundary, eventually):
    """The iteration that was begun under old code gets 1, and those after it the latest."""
    old = op("wf.loop", name="l", do=[step("x", *bounded(3)), WAIT, op("continue")])
    await begun(conform, eventually, old)
    ends = op("if", value=ref("n"), is_=3, then=[op("break")])
    new = op("wf.loop", name="l", do=[gate(2), {**step("x", *bounded(3)), "as": "n"}, told(ref("v")), WAIT, ends])
    await replaced(conform, boundary, new)
    for count in (2, 3):
        await eventually(lambda: labels(conform), until=lambda seen, n=count: len(seen) == n, what="an iteration")
        await waits(conform, eventually)
        await made(conform, NAME).send("jobs", None)
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", 1), ("told", 2), ("told", 2)]
    assert [shown.value(f"l/~{n}/gate")["resolved"] for n in range(3)] == [1, 2, 2]


@requirement("WF-164")
@pytest.mark.parametrize("latest", [0, -1, 1.5])
async def test_senseless_versions(conform, eventually, latest):
    """It must be a whole number of at least 1; the error is the code's own, and nothing is recorded."""
    await play(workflow(conform, op("try", do=[gate(latest)], as_="out"), told(ref("out.error.message"))))
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", f'getVersion("gate", {latest}): latest must be an integer >= 1')]
    assert set(shown.entries) == {"told"}


@requirement("WF-167", "WF-160")
async def test_a_gate_is_retired(conform, boundary, eventually):
    """Old and new instances may meet the mark: where there was a gate it stays, where there was none the mark is recorded."""
    shown = await at_the_wait(conform, eventually, turn(gate(2), step("x", trace("x"))), told())
    assert shown.value("l/~0/gate")["resolved"] == 2
    await replaced(conform, boundary, turn(op("wf.removed", name="gate", type="version_check"), step("x", trace("never"))), told())
    after = await ended(conform, eventually)
    assert after.tag("l/~0/gate") == "VersionCheck" and await labels(conform) == ["x", "told"]


@requirement("WF-036", "WF-029", "WF-184")
async def test_code_that_fits_again(conform, boundary, eventually):
    """A workflow that failed for its code goes on at the next wake when the code fits again."""
    await at_the_wait(conform, eventually, turn(step("x", trace("x"))), told())
    await replaced(conform, boundary, turn(), told())
    await ended(conform, eventually, "failed")
    await replaced(conform, boundary, turn(step("x", trace("never"))), told(), send=False)
    await ended(conform, eventually)
    assert await labels(conform) == ["x", "told"]
