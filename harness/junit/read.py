"""JUnit XML of whatever tool, read as its writer meant it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.events.results import RunReport, TestResult
from harness.junit import cases, document
from harness.junit.duplicates import Duplicates, settle
from harness.junit.identity import identify
from harness.text import utf8

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.identity import TestId
    from harness.junit.cases import Case


def read(paths: Sequence[Path], duplicates: Duplicates = Duplicates.ERROR) -> RunReport:
    """Read and merge JUnit files.

    What is not understood, counters that say more than the cases, ids that occur twice and files with nothing in them are problems of the
    report, each with its file.

    Raises:
        UsageError: a file is missing or is not JUnit XML.
    """
    report = RunReport(session={"event": "session", "target": "junit"})
    found: list[Case] = []
    for path in paths:
        one = cases.collect(document.load(path), path)
        report.problems += one.problems
        report.problems += [f"{path}: {case.outcome.problem}" for case in one.cases if case.outcome.problem is not None]
        # Ids are given over all files at once: two of them may have the same class, told apart by their suites.
        found += [case for case in one.cases if case.outcome.problem is None]
    results = [(_result(case, identity), case.file) for case, identity in zip(found, identify(found), strict=True)]
    report.results, problems = settle(results, duplicates)
    report.problems += problems
    if not report.results and not report.problems:
        report.problems.append(f"there is no result in {', '.join(map(str, paths))}")
    report.results.sort(key=lambda result: result.id)
    return report


def _result(case: Case, identity: TestId) -> TestResult:
    outcome = case.outcome
    return TestResult(
        identity,
        outcome.verdict,
        utf8(outcome.message),
        utf8(outcome.detail),
        case.seconds,
        outcome.attempts,
        standing=outcome.standing,
    )
