"""One self-contained HTML page of one or more runs: matrix, root causes, every test with its timeline, requirements."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.errors import UsageError
from harness.events.verdict import Verdict
from harness.evidence import bundle
from harness.report import picture
from harness.report.markdown import name
from harness.text import short, xml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.events.results import RunReport, TestResult
    from harness.requirements.model import Requirement

LONGEST_TRANSCRIPT = 40_000
LONGEST_LOG = 10_000
MOST_SEARCHED = 2000
"""Characters of a message that the filter looks at."""


@dataclass(frozen=True, slots=True)
class Column:
    """One variant of one run."""

    number: int
    run: int
    target: str
    name: str
    variant: str
    short: str


@dataclass(frozen=True, slots=True)
class Cell:
    """The verdicts of some tests, for instance of one suite in one column."""

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
        """How it is shown: pass, skip (nothing failed, something was not run), flaky, fail."""
        bad = sum(count for verdict, count in self.counts.items() if not verdict.good and verdict is not Verdict.FLAKY)
        if bad:
            return "fail"
        if self.counts.get(Verdict.FLAKY):
            return "flaky"
        return "pass" if self.passed == self.total else "skip"

    @property
    def words(self) -> str:
        """Everything in it, for a reader who does not see colours."""
        return ", ".join(f"{self.counts[one]} {one}" for one in Verdict if self.counts.get(one))


@dataclass(frozen=True, slots=True)
class Shown:
    """One result in one column, with what the run left behind."""

    result: TestResult
    column: Column
    rerun: str = ""
    transcript: str = ""
    log: str = ""

    @property
    def drawing(self) -> str:
        """The timeline as safe SVG; empty when none was recorded."""
        return picture.draw(self.result.timeline, f"timeline of {self.result.id}")


@dataclass(slots=True)
class Entry:
    """One test in all columns."""

    number: int
    suite: str
    name: str
    doc: str
    requirements: tuple[str, ...]
    shown: list[Shown] = field(default_factory=list)

    def verdict(self, column: Column) -> str:
        """Its verdict in a column, the worst if it occurs twice there; "" where it does not occur."""
        found = [one.result.verdict for one in self.shown if one.column == column]
        return str(max(found, key=lambda one: (not one.good, list(Verdict).index(one)))) if found else ""

    @property
    def bad(self) -> list[Shown]:
        """The results that are neither pass nor skip."""
        return [one for one in self.shown if not one.result.verdict.good]

    @property
    def cause(self) -> str:
        """The test behind its failures, when there is one behind each of them; else it is a cause itself."""
        causes = {one.result.blocked_by.partition("[")[0] for one in self.bad}
        # Only when each of its failures has one: a test that also fails by itself is a cause, too.
        return min(causes) if causes and "" not in causes else ""

    @property
    def text(self) -> str:
        """What the text filter looks at."""
        messages = " ".join(dict.fromkeys(short(one.result.message, MOST_SEARCHED) for one in self.shown))
        return f"{self.suite}::{self.name} {self.doc} {' '.join(self.requirements)} {messages}".lower()


def render(reports: Sequence[RunReport], requirements: Sequence[Requirement], evidence: Path | None = None) -> str:
    """The page.

    Args:
        reports: One per run; several become columns beside each other.
        requirements: The sentences behind the ids, as far as they are known.
        evidence: Where the bundles are now, when they are not where the runs left them. Those that are gone are left out.
    """
    # Strict, so that a name which the template misspells ends the page instead of leaving a hole in it.
    environment = Environment(
        loader=PackageLoader("harness.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"time": picture.time, "prose": _prose, "place": _place}
    places = _columns(reports)
    columns = list(places.values())
    entries = _entries(reports, places, evidence)
    bad = [entry for entry in entries if entry.bad]
    blocked: dict[str, list[Entry]] = {}
    for entry in bad:
        if entry.cause:
            blocked.setdefault(entry.cause, []).append(entry)
    causes = [entry for entry in bad if not entry.cause]
    # By how much they block: mending the first of them clears the most.
    causes.sort(key=lambda entry: (-len(blocked.get(f"{entry.suite}::{entry.name}", ())), entry.number))
    suites: dict[str, list[Entry]] = {}
    for entry in entries:
        suites.setdefault(entry.suite, []).append(entry)
    page = environment.get_template("page.html.j2").render(
        runs=[_run(report) for report in reports],
        columns=columns,
        suites=suites,
        matrix={suite: {column.number: _cell(some, column) for column in columns} for suite, some in suites.items()},
        total={column.number: _cell(entries, column) for column in columns},
        verdicts=_verdicts(reports),
        failures=causes + [entry for entry in bad if entry.cause],
        causes=len(causes),
        blocked=blocked,
        requirements=_requirements(entries, requirements),
        texts={one.id: " ".join(one.text.split()) for one in requirements},
    )
    # At the end and once: whatever a target said, the page can be parsed.
    return xml(page)


def _run(report: RunReport) -> dict[str, Any]:
    at = report.session.get("at")
    windows = [counts for result in report.results for counts in result.witnesses.values()]
    return {
        "name": name(report),
        "session": report.session,
        "began": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC" if isinstance(at, (int, float)) else "",
        "problems": report.problems,
        "seconds": report.seconds,
        "cell": Cell(Counter(result.verdict for result in report.results)),
        "hits": (sum(hits for hits, _ in windows), sum(tries for _, tries in windows)),
    }


def _columns(reports: Sequence[RunReport]) -> dict[tuple[int, str], Column]:
    """By number of the run and variant. A storage that all variants of a run share goes without saying."""
    columns: dict[tuple[int, str], Column] = {}
    for run, report in enumerate(reports):
        variants = sorted({result.id.variant for result in report.results})
        # A word that stands in every head of a table says nothing.
        alone = len({variant.partition("-")[2] for variant in variants}) == 1
        for variant in variants:
            short = variant.partition("-")[0] if alone else variant
            columns[run, variant] = Column(len(columns), run, name(report), str(report.session.get("target", "?")), variant, short or "all")
    return columns


def _entries(reports: Sequence[RunReport], columns: Mapping[tuple[int, str], Column], evidence: Path | None) -> list[Entry]:
    found: dict[tuple[str, str], Entry] = {}
    for run, report in enumerate(reports):
        for result in report.results:
            place = result.id.suite, result.id.name
            entry = found.setdefault(place, Entry(0, *place, result.doc, result.requirements))
            entry.doc = entry.doc or result.doc
            entry.requirements = tuple(dict.fromkeys([*entry.requirements, *result.requirements]))
            entry.shown.append(_shown(result, columns[run, result.id.variant], evidence))
    entries = [found[place] for place in sorted(found)]
    for number, entry in enumerate(entries):
        entry.number = number
    return entries


def _shown(result: TestResult, column: Column, evidence: Path | None) -> Shown:
    if not result.bundle:
        return Shown(result, column)
    directory = Path(result.bundle) if evidence is None else bundle.place(evidence, str(result.id))
    try:
        about = bundle.load(directory)
    except UsageError:
        return Shown(result, column)
    # A bundle is named for its test, so a later run may have left another in its place. What blocks a test is known only later.
    message = str(about.get("message", ""))
    if about["test"] != str(result.id) or not (result.message == message or (result.blocked_by and result.message.endswith(message))):
        return Shown(result, column)
    transcript, log = _text(directory / "transcript.txt", LONGEST_TRANSCRIPT), _text(directory / "target.log", LONGEST_LOG)
    return Shown(result, column, str(about.get("rerun", "")), transcript, log)


def _cell(entries: Sequence[Entry], column: Column) -> Cell:
    return Cell(Counter(one.result.verdict for entry in entries for one in entry.shown if one.column == column))


def _verdicts(reports: Sequence[RunReport]) -> list[tuple[Verdict, int]]:
    counts = Counter(result.verdict for report in reports for result in report.results)
    return [(one, counts[one]) for one in Verdict if counts[one]]


def _requirements(entries: Sequence[Entry], requirements: Sequence[Requirement]) -> list[dict[str, Any]]:
    """The requirements that were tested, the broken ones first."""
    known = {one.id: one for one in requirements}
    tests: dict[str, list[Entry]] = {}
    for entry in entries:
        for one in entry.requirements:
            tests.setdefault(one, []).append(entry)
    rows = [
        {
            "id": one,
            "level": str(known[one].level) if one in known else "",
            "text": known[one].summary if one in known else "",
            "cell": Cell(Counter(shown.result.verdict for entry in some for shown in entry.shown)),
            "tests": some,
        }
        for one, some in sorted(tests.items())
    ]
    return sorted(rows, key=lambda row: row["cell"].tone != "fail")


def _place(path: str) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _prose(text: str) -> Markup:
    """A sentence of the specification; of its Markdown only code matters here."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 -- escaped before


def _text(path: Path, most: int) -> str:
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")
    return text if len(text) <= most else f"{text[:most]}\n... ({len(text)} characters in all)"
