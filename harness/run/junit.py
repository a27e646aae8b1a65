"""JUnit XML, through junitparser: written from a report, read from anywhere, merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from junitparser import Error, Failure, Skipped
from junitparser.junitparser import JUnitXmlError
from junitparser.xunit2 import FlakyFailure, JUnitXml, TestCase, TestSuite

from harness.errors import UsageError
from harness.identity import TestId
from harness.run.results import RunReport, TestResult
from harness.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def write(path: Path, report: RunReport) -> None:
    """Write one `<testsuite>` per suite; a case is `test[variant]` with the suite as its class name."""
    document = JUnitXml(f"conform {report.session.get('target', '')}".strip())
    suites: dict[str, list[TestCase]] = {}
    for result in report.results:
        suites.setdefault(result.id.suite, []).append(_case(result))
    for name, cases in suites.items():
        suite = TestSuite(name)
        for case in cases:
            suite.add_testcase(case)
        document.append(suite)
    document.update_statistics()
    path.parent.mkdir(parents=True, exist_ok=True)
    document.write(str(path), pretty=True)


def read(paths: Sequence[Path]) -> RunReport:
    """Read and merge JUnit files, whoever wrote them. The suite of a case is its class name.

    A case that occurs more than once is a problem of the report, not silently one or the other.

    Raises:
        UsageError: a file is missing or is not JUnit XML.
    """
    report = RunReport(session={"event": "session", "target": "junit"})
    seen: set[TestId] = set()
    for path in paths:
        for suite in _document(path):
            for result in _results(suite):
                if result.id in seen:
                    report.problems.append(f"{result.id} occurs more than once in the JUnit files")
                seen.add(result.id)
                report.results.append(result)
    report.results.sort(key=lambda result: result.id)
    return report


def merge(paths: Sequence[Path], into: Path) -> None:
    """Merge JUnit files into one.

    Raises:
        UsageError: a file is missing or is not JUnit XML.
    """
    merged = JUnitXml()
    for path in paths:
        merged += _document(path)
    into.parent.mkdir(parents=True, exist_ok=True)
    merged.write(str(into), pretty=True)


def _document(path: Path) -> Any:
    try:
        return JUnitXml.fromfile(str(path))
    except (OSError, ParseError, JUnitXmlError) as error:
        raise UsageError(f"{path} is no JUnit XML: {error}") from error


def _case(result: TestResult) -> TestCase:
    variant = f"[{result.id.variant}]" if result.id.variant else ""
    case = TestCase(name=f"{result.id.name}{variant}", classname=result.id.suite, time=result.seconds)
    for requirement in result.requirements:
        case.add_property("requirement", requirement)
    if result.verdict is Verdict.PASS:
        return case
    if result.verdict is Verdict.FLAKY:
        # The convention of Maven and Jenkins for a pass after failures.
        case.add_property("attempts", str(result.attempts))
        case.add_interim_result(FlakyFailure(result.message, "flaky"))
        return case
    kind = {Verdict.SKIP: Skipped, Verdict.ERROR: Error}.get(result.verdict, Failure)
    outcome = kind(result.message, str(result.verdict))
    outcome.text = result.detail
    case.result = [outcome]
    return case


def _results(suite: Any) -> Iterator[TestResult]:
    # Iterating over a suite itself would also go through its inner suites.
    for case in suite.iterchildren(TestCase):
        yield _result(suite.name or "", case)
    for inner in suite.testsuites():
        yield from _results(inner)


def _result(suite: str, case: Any) -> TestResult:
    owner = (case.classname or suite or "unnamed").replace(":", ".")
    try:
        identity = TestId.parse(f"{owner}::{case.name or ''}")
    except ValueError as error:
        raise UsageError(str(error)) from error
    verdict, message, detail, attempts = Verdict.PASS, "", "", 1
    for outcome in case.result:
        message, detail = outcome.message or "", outcome.text or ""
        if isinstance(outcome, Skipped):
            verdict = Verdict.SKIP
        elif isinstance(outcome, Error):
            verdict = Verdict.ERROR
        else:
            verdict = {str(one): one for one in (Verdict.INCONCLUSIVE, Verdict.BLOCKED)}.get(outcome.type, Verdict.FAIL)
    if verdict is Verdict.PASS and case.is_flaky:
        flaky = [*case.flaky_failures(), *case.flaky_errors()]
        counted = [int(one.value) for one in case.properties() if one.name == "attempts"]
        verdict, message, attempts = Verdict.FLAKY, flaky[-1].message or "", (counted or [len(flaky) + 1])[0]
    return TestResult(identity, verdict, message, detail, float(case.time or 0.0), attempts)
