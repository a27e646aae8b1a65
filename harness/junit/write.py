"""JUnit XML of a report, through junitparser."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from junitparser import Error, Failure, Skipped
from junitparser.xunit2 import FlakyFailure, JUnitXml, TestCase, TestSuite

from harness.events.verdict import Verdict
from harness.junit.outcome import PROBLEM, STANDING
from harness.requirements.model import summaries
from harness.requirements.sets import Standing
from harness.text import xml

if TYPE_CHECKING:
    from pathlib import Path

    from harness.events.results import RunReport, TestResult

RUN = "(run)"
"""The suite of what kept the run from being complete, one case per problem."""


def write(path: Path, report: RunReport) -> None:
    """Write one `<testsuite>` per suite; a case is `test[variant]` with the suite as its class name. A problem is an error of its own."""
    document = JUnitXml(xml(f"conform {report.session.get('target', '')}".strip()))
    suites: dict[str, list[TestCase]] = {}
    for result in report.results:
        suites.setdefault(xml(result.id.suite), []).append(_case(result))
    if report.problems:
        # As a case that fails: a reader of JUnit knows nothing else, and an incomplete file must not look green.
        suites[RUN] = [*suites.get(RUN, ()), *(_problem(number, text) for number, text in enumerate(report.problems, 1))]
    for name, cases in suites.items():
        suite = TestSuite(name)
        for case in cases:
            suite.add_testcase(case)
        document.append(suite)
    document.update_statistics()
    # Not with its own pretty printer, which loses line breaks in attributes.
    text = io.BytesIO()
    document.write(text)
    tree = ElementTree.ElementTree(ElementTree.fromstring(text.getvalue()))  # noqa: S314 -- written a line ago
    ElementTree.indent(tree)
    path.parent.mkdir(parents=True, exist_ok=True)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _case(result: TestResult) -> TestCase:
    variant = f"[{result.id.variant}]" if result.id.variant else ""
    case = TestCase(name=xml(f"{result.id.name}{variant}"), classname=xml(result.id.suite), time=result.seconds)
    for requirement in result.requirements:
        case.add_property("requirement", xml(requirement))
    if result.standing is not Standing.DECIDES:
        case.add_property(STANDING, str(result.standing))
    if result.verdict is Verdict.PASS:
        return case
    if result.verdict is Verdict.FLAKY:
        # The convention of Maven and Jenkins for a pass after failures.
        case.add_property("attempts", str(result.attempts))
        case.add_interim_result(FlakyFailure(xml(result.message), "flaky"))
        return case
    kind = {Verdict.SKIP: Skipped, Verdict.ERROR: Error, Verdict.NOT_RUN: Error}.get(result.verdict, Failure)
    outcome = kind(xml(result.message), str(result.verdict))
    outcome.text = xml(result.detail)
    # What the target should have done; the text of the failure stays what the test said.
    must = [] if result.verdict.good else [f"{one}: {summaries()[one]}" for one in result.requirements if one in summaries()]
    if must:
        case.system_out = xml("\n".join(must))
    case.result = [outcome]
    return case


def _problem(number: int, text: str) -> TestCase:
    case = TestCase(name=f"problem {number}", classname=RUN)
    lines = text.splitlines() or [""]
    outcome = Error(xml(lines[0]), PROBLEM)
    outcome.text = xml(text)
    case.result = [outcome]
    return case
