"""One self-contained HTML page of one or more runs: matrix, root causes, requirements, every test."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.report import timeline
from harness.report.markdown import name
from harness.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.requirements.model import Requirement
    from harness.run.results import RunReport, TestResult

LONGEST_TRANSCRIPT = 40_000
LONGEST_LOG = 10_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One suite in one column of the matrix."""

    counts: Mapping[Verdict, int]

    @property
    def total(self) -> int:
        """All tests of the cell."""
        return sum(self.counts.values())

    @property
    def passed(self) -> int:
        """The plain passes."""
        return self.counts.get(Verdict.PASS, 0)

    @property
    def tone(self) -> str:
        """How it is shown: good, skip (nothing failed, something was not run), flaky, bad."""
        bad = sum(count for verdict, count in self.counts.items() if not verdict.good and verdict is not Verdict.FLAKY)
        if bad:
            return "bad"
        if self.counts.get(Verdict.FLAKY):
            return "flaky"
        return "good" if self.passed == self.total else "skip"


@dataclass(frozen=True, slots=True)
class Failure:
    """A bad test with what it left behind."""

    result: TestResult
    target: str
    rerun: str
    picture: str
    transcript: str
    log: str


def render(reports: Sequence[RunReport], requirements: Sequence[Requirement]) -> str:
    """The page. Bundles are read where the runs say they are; those that are gone are left out."""
    environment = Environment(
        loader=PackageLoader("harness.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    columns = [(name(report), variant) for report in reports for variant in sorted({result.id.variant for result in report.results})]
    return environment.get_template("page.html.j2").render(
        runs=[_run(report) for report in reports],
        columns=columns,
        matrix=_matrix(reports),
        failures=[_failure(result, report) for report in reports for result in _causes_first(report.bad)],
        requirements=_requirements(reports, requirements),
        tests=_tests(reports),
        texts={one.id: one.text for one in requirements},
        Verdict=Verdict,
    )


def _run(report: RunReport) -> dict[str, Any]:
    verdicts = Counter(result.verdict for result in report.results)
    return {
        "name": name(report),
        "session": report.session,
        "problems": report.problems,
        "seconds": report.seconds,
        "total": len(report.results),
        "verdicts": [(verdict, verdicts[verdict]) for verdict in Verdict if verdicts[verdict]],
        "windows": sum(tries for result in report.results for _, tries in result.witnesses.values()),
        "hits": sum(hits for result in report.results for hits, _ in result.witnesses.values()),
    }


def _matrix(reports: Sequence[RunReport]) -> dict[str, dict[tuple[str, str], Cell]]:
    counted: dict[str, dict[tuple[str, str], Counter[Verdict]]] = {}
    for report in reports:
        for result in report.results:
            column = (name(report), result.id.variant)
            counted.setdefault(result.id.suite, {}).setdefault(column, Counter())[result.verdict] += 1
    return {suite: {column: Cell(counts) for column, counts in row.items()} for suite, row in sorted(counted.items())}


def _causes_first(bad: Sequence[TestResult]) -> list[TestResult]:
    return sorted(bad, key=lambda result: (bool(result.blocked_by), result.id))


def _failure(result: TestResult, report: RunReport) -> Failure:
    directory = Path(result.bundle) if result.bundle else None
    if directory is None or not directory.is_dir():
        return Failure(result, name(report), "", "", "", "")
    about = timeline.about(directory)
    return Failure(
        result,
        name(report),
        str(about.get("rerun", "")),
        timeline.draw(directory),
        _text(directory / "transcript.txt", LONGEST_TRANSCRIPT),
        _text(directory / "target.log", LONGEST_LOG),
    )


def _requirements(reports: Sequence[RunReport], requirements: Sequence[Requirement]) -> list[dict[str, Any]]:
    """The requirements that were tested, the broken ones first."""
    seen: dict[str, Counter[Verdict]] = {}
    for report in reports:
        for result in report.results:
            for one in result.requirements:
                seen.setdefault(one, Counter())[result.verdict] += 1
    summaries = {one.id: one.summary for one in requirements}
    rows = [
        {"id": one, "text": summaries.get(one, ""), "cell": Cell(counts), "verdicts": sorted(counts.items())}
        for one, counts in sorted(seen.items())
    ]
    return sorted(rows, key=lambda row: row["cell"].tone != "bad")


def _tests(reports: Sequence[RunReport]) -> dict[str, list[dict[str, Any]]]:
    """Per suite and test: its sentence and its verdict in every column."""
    suites: dict[str, dict[str, dict[str, Any]]] = {}
    for report in reports:
        for result in report.results:
            entry = suites.setdefault(result.id.suite, {}).setdefault(
                result.id.name, {"name": result.id.name, "doc": result.doc, "requirements": result.requirements, "verdicts": {}}
            )
            entry["verdicts"][name(report), result.id.variant] = result
    return {suite: [tests[one] for one in sorted(tests)] for suite, tests in sorted(suites.items())}


def _text(path: Path, most: int) -> str:
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")
    return text if len(text) <= most else f"{text[:most]}\n... ({len(text)} characters, see {path})"
