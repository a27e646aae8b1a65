"""The values that both halves of the harness speak: verdicts, results put together, and what a run's status is."""

from __future__ import annotations

import pytest

from harness.events.results import Counts, RunReport, TestResult, once
from harness.events.verdict import Verdict
from harness.identity import TestId


def result(name, verdict, variant="json-memory", **fields):
    return TestResult(TestId("s", name, variant), Verdict(verdict), **fields)


def test_only_pass_and_skip_are_good():
    assert {one for one in Verdict if one.good} == {Verdict.PASS, Verdict.SKIP}


@pytest.mark.parametrize(
    ("verdicts", "problems", "status"),
    [(["pass", "skip"], [], 0), (["pass", "fail"], [], 1), (["fail", "not-run"], [], 2), (["pass"], ["lost"], 2), ([], [], 2)],
)
def test_an_incomplete_account_goes_before_bad_verdicts(verdicts, problems, status):
    report = RunReport({}, [result(f"test_{place}", one) for place, one in enumerate(verdicts)], problems)
    assert report.status == status


def test_a_test_without_an_encoding_is_there_once_with_its_worst_result():
    merged = once([result("a", "pass", "any-memory"), result("b", "pass"), result("a", "fail", "any-memory"), result("b", "fail")])
    assert [(one.id.name, str(one.verdict)) for one in merged] == [("a", "fail"), ("b", "pass"), ("b", "fail")]


def test_counts_add_up_and_tell_failed_from_not_run():
    report = RunReport({}, [result("a", "error"), result("b", "inconclusive"), result("c", "not-run"), result("d", "flaky")])
    assert report.counts() == {("s", "json-memory"): Counts(collected=4, flaky=1, failed=2, not_run=1)}
    assert Counts(1, 1) + Counts(2, 0, 1) == Counts(3, 1, 1)


def test_timing_tests_that_passed_without_a_window_are_named_once():
    passed = [result("a", "pass", variant, timing=True) for variant in ("json-memory", "cbor-memory")]
    others = [result("b", "pass", timing=True, witnesses={"w": (1, 1)}), result("c", "fail", timing=True), result("d", "pass")]
    assert RunReport({}, [*passed, *others]).without_window == ["s::a"]
