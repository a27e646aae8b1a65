"""JUnit XML, ours and others'."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.identity import TestId
from harness.run import junit
from harness.run.results import RunReport, TestResult
from harness.verdicts import Verdict

FOREIGN = """<?xml version="1.0"?>
<testsuites>
  <testsuite name="outer" tests="3">
    <testcase classname="pkg.Sleep" name="wakes" time="0.5"/>
    <testcase classname="pkg.Sleep" name="sleeps"><failure message="late" type="AssertionError">trace</failure></testcase>
    <testsuite name="inner"><testcase name="lonely"><skipped message="not here"/></testcase></testsuite>
  </testsuite>
</testsuites>"""


def identity(name: str) -> TestId:
    return TestId("alpha", name, "json-memory")


def essence(result: TestResult) -> tuple[object, ...]:
    return (result.id, result.verdict, result.message, result.attempts)


def test_every_verdict_reads_back(tmp_path):
    results = [
        TestResult(
            TestId("alpha", f"test_{verdict}", "json-memory"),
            verdict,
            "" if verdict is Verdict.PASS else "why",
            attempts=3 if verdict is Verdict.FLAKY else 1,
        )
        for verdict in Verdict
    ]
    junit.write(tmp_path / "out.xml", RunReport(results=results, session={"target": "x"}))
    found = junit.read([tmp_path / "out.xml"])
    assert {(one.id, one.verdict, one.message, one.attempts) for one in found.results} == {
        (one.id, one.verdict, one.message, one.attempts) for one in results
    }
    text = (tmp_path / "out.xml").read_text()
    assert '<testsuites name="conform x"' in text
    assert f'tests="{len(Verdict)}"' in text
    assert "<flakyFailure" in text


def test_files_of_others_are_read(tmp_path):
    (tmp_path / "foreign.xml").write_text(FOREIGN)
    found = {str(one.id): (str(one.verdict), one.message) for one in junit.read([tmp_path / "foreign.xml"]).results}
    assert found == {"pkg.Sleep::wakes": ("pass", ""), "pkg.Sleep::sleeps": ("fail", "late"), "inner::lonely": ("skip", "not here")}


def test_files_merge_without_loss_and_repetition_is_a_problem(tmp_path):
    for name in ("a", "b"):
        junit.write(tmp_path / f"{name}.xml", RunReport(results=[TestResult(identity(f"test_{name}"), Verdict.PASS)]))
    junit.merge([tmp_path / "a.xml", tmp_path / "b.xml"], tmp_path / "all.xml")
    merged = junit.read([tmp_path / "all.xml"])
    assert [one.id.name for one in merged.results] == ["test_a", "test_b"]
    assert not merged.problems
    assert junit.read([tmp_path / "all.xml", tmp_path / "a.xml"]).problems == [
        "alpha::test_a[json-memory] occurs more than once in the JUnit files"
    ]


@pytest.mark.parametrize("text", ["not xml", "<html/>"])
def test_what_is_no_junit_is_refused(tmp_path, text):
    (tmp_path / "bad.xml").write_text(text)
    with pytest.raises(UsageError, match="is no JUnit XML"):
        junit.read([tmp_path / "bad.xml"])
