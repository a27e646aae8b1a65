"""A crash at any commit of a workflow changes nothing of its result (WF-042, WF-140)."""

import functools
import tempfile
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from tests.runtime.workflow.crash_model import KILLS, PLANS, Join, Kill, Loop, Mortal, Plan, Race, Sleep, Step, Try
from tests.runtime.workflow.support import virtual

FIXED = {
    "steps": Plan((Step("a"), Step("b", failures=2), Sleep("s", 0.05), Step("c"))),
    "loop": Plan((Loop("l", 3, (Step("a"), Sleep("s", 0.02), Step("b", failures=1))), Step("z"))),
    "branches": Plan((Join("j", ((Step("a"), Step("b")), (Sleep("s", 0.05), Step("c", failures=1)))), Race("r", (Step("d"), Step("e"))))),
    "failures": Plan((Try("t", (Step("a"),), fails=True), Try("u", (Step("b"),), fails=False), Step("c"))),
    "rollback": Plan((Step("a", undo=True), Step("b"), Step("c", failures=1, undo=True)), fails=True),
}


async def perform(plan, kills=()):
    """The result of a plan under these crashes, checked against what was counted outside of the actor."""
    with tempfile.TemporaryDirectory() as directory:
        async with Mortal(directory) as mortal:
            result = await mortal.perform(plan, kills)
            for path, runs in mortal.settled.items():
                assert mortal.ran[path] == runs, f"{path} ran again although its completion was stored"
            assert not mortal.unsafe, f"the next step ran before {mortal.unsafe} was stored"
            return result, mortal


async def check(plan, kills):
    """With and without crashes the result is the same, and each run of a step beyond those is one that a crash cut off."""
    calm, quiet = await perform(plan)
    crashed, mortal = await perform(plan, kills)
    assert crashed == calm
    for path, runs in mortal.ran.items():
        assert runs <= quiet.ran[path] + mortal.crashes, f"{path} ran {runs} times in {mortal.crashes} crashes"
    return mortal


@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(PLANS, KILLS)
def test_random_crashes_of_random_workflows(plan, kills):
    """Random workflow, random kill points: same state, output, error and log; no completed step runs again (WF-042, WF-140)."""
    virtual(functools.partial(check, plan, kills))()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", FIXED)
@virtual
async def test_a_crash_at_every_commit(name):
    """Killed before and after each commit in turn."""
    plan = FIXED[name]
    _, quiet = await perform(plan)
    commits = quiet.commits_of_plan
    assert commits > 4
    crashes = 0
    for commit in range(1, commits + 1):
        for after in (False, True):
            crashes += (await check(plan, (Kill(commit, after),))).crashes
    assert crashes >= 2 * (commits - 2), "the kills did not meet the commits"


@virtual
async def test_effects_of_one_step_are_applied_once():
    """Every path of the plan is in the actor's log exactly once, however often the process died (WF-140)."""
    (_, _, _, log), mortal = await perform(FIXED["branches"], tuple(Kill(2, after=bool(index % 2)) for index in range(12)))
    assert mortal.crashes > 6
    assert Counter(log) == Counter(["j/b0/a", "j/b0/b", "j/b1/c", "r/quick/d", "r/quick/e"])
