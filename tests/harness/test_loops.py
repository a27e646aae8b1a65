"""Loops over synthetic workers: what is counted, when they stop, and that what they state holds over all tests of a run."""

from __future__ import annotations

import asyncio

import pytest

from harness.cli.commands.flake import _messages
from harness.flake import loops
from harness.flake.loops import Budget, Tally, loop, within
from harness.flake.sequential import Decision, clean_runs
from harness.identity import TestId
from harness.run.request import RunRequest
from tests.harness.synthetic import Workers

TESTS = {"test_solid": 0.0, "test_race": 0.3}


@pytest.fixture
def looped(monkeypatch, tmp_path):
    def run(workers: Workers, budget: Budget, start=(), jobs=1):
        monkeypatch.setattr(loops, "run_lanes", workers)
        report = asyncio.run(loop(RunRequest(corpus=tmp_path, jobs=jobs), budget, lambda _: None, start))
        return report, {tally.id.name: tally for tally in report.tallies}

    return run


def test_a_fixed_number_of_loops_counts_everything(looped):
    report, tallies = looped(Workers(TESTS), Budget(40))
    assert report.loops == 40
    assert (tallies["test_solid"].failures, tallies["test_solid"].runs) == (0, 40)
    assert tallies["test_race"].messages == {"fail: lost": tallies["test_race"].failures}
    assert tallies["test_race"].floor < 0.3 < tallies["test_race"].bound
    assert report.decisions == {}


def test_the_table_of_a_loop_holds_the_beginnings_of_few_messages():
    huge = {f"fail: {number} " + "word " * 200_000: 1 for number in range(20)}
    text = _messages(Tally(TestId("a", "test_x"), runs=20, failures=20, messages=huge))
    assert len(text) < 2_000
    assert text.count("fail: ") == 5 and text.endswith("and 15 other messages")


def test_decided_tests_take_no_part_in_later_loops(looped):
    workers = Workers(TESTS)
    report, tallies = looped(workers, Budget(1000, within(0.02)))
    assert [one.id.name for one in report.decided(Decision.ABOVE)] == ["test_race"]
    assert [one.id.name for one in report.decided(Decision.BELOW)] == ["test_solid"]
    assert tallies["test_race"].runs < tallies["test_solid"].runs == report.loops == clean_runs(0.02, 0.05 / 2)
    assert workers.selections[-1] == ("alpha::test_solid[json-memory]",)


def test_what_the_budget_did_not_decide_is_open(looped):
    report, _ = looped(Workers(TESTS), Budget(10, within(0.001)))
    assert [one.id.name for one in report.decided(Decision.OPEN)] == ["test_solid"]
    report, _ = looped(Workers(TESTS), Budget(10, seconds=1e-9))
    assert report.loops == 1


def test_earlier_runs_count(looped):
    workers = Workers({"test_solid": 0.0})
    known = Tally(loops.TestId("alpha", "test_solid", "json-memory"), runs=clean_runs(0.02) - 3)
    report, tallies = looped(workers, Budget(10, within(0.02)), start=[known])
    assert report.loops == 3
    assert tallies["test_solid"].runs == clean_runs(0.02)


def test_blocked_results_count_neither_for_nor_against_a_test(looped):
    workers = Workers({"test_base": 0.5, "test_above": 1.0}, {"test_above": "test_base"}, seed=3)
    _, tallies = looped(workers, Budget(200))
    above, base = tallies["test_above"], tallies["test_base"]
    assert above.blocked == base.failures
    assert above.runs == above.failures == 200 - base.failures


def test_a_decided_prerequisite_stays_as_long_as_somebody_depends_on_it(looped):
    """It fails always and is out at once; alone, its dependant would look as if it failed by itself."""
    workers = Workers({"test_base": 1.0, "test_above": 1.0, "test_solid": 0.0}, {"test_above": "test_base"})
    report, tallies = looped(workers, Budget(60, within(0.1)))
    assert report.decisions[tallies["test_base"].id] is Decision.ABOVE
    assert tallies["test_above"].runs == 0
    assert tallies["test_above"].blocked == 60
    assert [one.id.name for one in report.decided(Decision.OPEN)] == ["test_above"]
    assert workers.selections[-1] == ("alpha::test_above[json-memory]", "alpha::test_base[json-memory]")


def test_skipped_loops_are_no_runs_and_loops_over_nothing_are_a_problem(looped):
    report, tallies = looped(Workers({**TESTS, "test_lacking": 0.0}, skipped=("test_lacking",)), Budget(5))
    assert tallies["test_lacking"].runs == 0
    assert not report.problems
    nothing = "nothing was collected: no test matches the selection"
    for workers, said in ((Workers({}), nothing), (Workers({"test_lacking": 0.0}, skipped=("test_lacking",)), loops.NOTHING)):
        report, _ = looped(workers, Budget(1000, within(0.01)))
        assert report.problems == [said]
        assert report.loops == 1


@pytest.mark.parametrize("rate", [0.19, 0.21])
def test_over_all_tests_of_a_run_a_wrong_statement_is_rarer_than_five_percent(looped, rate):
    """Runs of 8 tests each, all close to the bound on one side, looked at after every loop: one wrong statement spoils a run."""
    wrong = Decision.ABOVE if rate < 0.2 else Decision.BELOW
    spoilt = 0
    for seed in range(100):
        report, _ = looped(Workers({f"test_{n}": rate for n in range(8)}, seed=seed), Budget(40, within(0.2)))
        spoilt += bool(report.decided(wrong))
    assert spoilt < 5
