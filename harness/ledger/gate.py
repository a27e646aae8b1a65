"""The gate: a report against a ledger, one line per finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.ledger.model import EntryClass
from harness.verdicts import Verdict

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from harness.ledger.model import Entry, Ledger
    from harness.run.results import RunReport, TestResult

NOT_PASSING = {Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.BLOCKED}
ALLOWED = {
    EntryClass.FAILS: NOT_PASSING,
    EntryClass.FLAKY: {Verdict.PASS, Verdict.FLAKY, Verdict.FAIL, Verdict.INCONCLUSIVE},
    EntryClass.UNSUPPORTED: {Verdict.SKIP},
    EntryClass.BLOCKED: {*NOT_PASSING, Verdict.SKIP},
    EntryClass.OUT_OF_SCOPE: {*NOT_PASSING, Verdict.SKIP},
}
"""The verdicts each class excuses."""


class Kind(StrEnum):
    """What the gate can find."""

    NEW_FAILURE = "new failure"
    UNLISTED_SKIP = "unlisted skip"
    FLAKY_PASS = "flaky pass"
    VANISHED = "vanished"
    BELOW = "count below ledger"
    STALE = "stale entry"
    UNMATCHED = "entry matches nothing"
    OVERLAP = "overlapping entries"
    EXPIRED = "expired entry"
    NEW_TEST = "new test"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the gate. New tests are only noted; everything else fails it."""

    kind: Kind
    subject: str
    text: str = ""

    @property
    def fatal(self) -> bool:
        """Whether it fails the gate."""
        return self.kind is not Kind.NEW_TEST

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}" + (f": {self.text}" if self.text else "")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of the ledger a report covers. Empty means all; `partial` means that tests were picked by name."""

    suites: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    partial: bool = False

    def covers(self, suite: str, variant: str) -> bool:
        """Whether this suite in this variant was run as a whole."""
        return not self.partial and (not self.suites or suite in self.suites) and (not self.variants or variant in self.variants)


def judge(ledger: Ledger, report: RunReport, selection: Selection, today: dt.date) -> list[Finding]:
    """Compare a report with a ledger. An empty list, or one of only new tests, lets it pass."""
    found = [
        *_verdicts(ledger, report),
        *_vanished(ledger, report, selection),
        *_entries(ledger, report, selection, today),
        *_new_tests(ledger, report),
    ]
    # Counts are the last net: they only speak where nothing else explained the difference.
    explained = {one.subject.partition("::")[0] for one in found if one.fatal}
    return [*found, *(one for suite, one in _counts(ledger, report, selection) if suite not in explained)]


def _verdicts(ledger: Ledger, report: RunReport) -> Iterator[Finding]:
    # Root causes come first: what they block needs nothing but them to be repaired.
    for result in sorted(report.results, key=lambda one: one.verdict is Verdict.BLOCKED):
        entries = [entry for entry in ledger.entries if entry.matches(str(result.id))]
        if len(entries) > 1:
            yield Finding(Kind.OVERLAP, str(result.id), " and ".join(repr(entry.match) for entry in entries))
        yield from _verdict(result, entries[0] if entries else None)


def _verdict(result: TestResult, entry: Entry | None) -> Iterator[Finding]:
    verdict, name = result.verdict, str(result.id)
    if entry is not None and verdict in ALLOWED[entry.kind]:
        return
    listed = f" (listed as {entry.kind})" if entry is not None else ""
    if verdict is Verdict.PASS:
        if entry is not None:
            yield Finding(Kind.STALE, name, f"it passes, but is listed as {entry.kind}: {entry.reason}")
    elif verdict is Verdict.FLAKY:
        yield Finding(Kind.FLAKY_PASS, name, f"{result.message}{listed}")
    elif verdict is Verdict.SKIP:
        yield Finding(Kind.UNLISTED_SKIP, name, f"{result.message}{listed}")
    else:
        said = result.message if verdict is Verdict.BLOCKED else f"{verdict}: {result.message}"
        yield Finding(Kind.NEW_FAILURE, name, f"{said}{listed}")


def _vanished(ledger: Ledger, report: RunReport, selection: Selection) -> Iterator[Finding]:
    present = {(result.id.suite, result.id.name) for result in report.results}
    suites = {suite for suite, _ in present}
    for name, suite in sorted(ledger.suites.items()):
        if not any(selection.covers(name, variant) for variant in suite.counts):
            continue
        if name not in suites:
            yield Finding(Kind.VANISHED, name, f"the whole suite of {len(suite.tests)} tests")
            continue
        for test in sorted(suite.tests):
            due = any(selection.covers(name, variant) for variant in suite.variants(test))
            if due and (name, test) not in present:
                yield Finding(Kind.VANISHED, f"{name}::{test}", "the ledger has it, the corpus does not")


def _entries(ledger: Ledger, report: RunReport, selection: Selection, today: dt.date) -> Iterator[Finding]:
    ran = [str(result.id) for result in report.results]
    known = ledger.known()
    for entry in ledger.entries:
        if entry.review_by < today:
            yield Finding(Kind.EXPIRED, entry.match, f"to be reviewed by {entry.review_by}: {entry.reason}")
        if any(entry.matches(name) for name in ran):
            continue
        elsewhere = any(entry.matches(name) for name in known)
        if not selection.partial and not (elsewhere and (selection.suites or selection.variants)):
            yield Finding(Kind.UNMATCHED, entry.match, f"listed as {entry.kind}: {entry.reason}")


def _new_tests(ledger: Ledger, report: RunReport) -> Iterator[Finding]:
    named = {(suite, test) for suite, expected in ledger.suites.items() for test in expected.tests}
    new = {(result.id.suite, result.id.name) for result in report.results} - named
    for suite, test in sorted(new):
        yield Finding(Kind.NEW_TEST, f"{suite}::{test}", "not in the ledger yet")


def _counts(ledger: Ledger, report: RunReport, selection: Selection) -> Iterator[tuple[str, Finding]]:
    counted = report.counts()
    flaky = [entry for entry in ledger.entries if entry.kind is EntryClass.FLAKY]
    for name, suite in sorted(ledger.suites.items()):
        for variant, expected in suite.counts.items():
            if not selection.covers(name, variant):
                continue
            actual = counted.get((name, "" if variant == "-" else variant))
            got = (actual.collected, actual.passed, actual.skipped) if actual else (0, 0, 0)
            # A flaky test may pass or not; neither is news.
            slack = sum(
                any(entry.matches(str(result.id)) for entry in flaky)
                for result in report.results
                if (result.id.suite, result.id.variant or "-") == (name, variant)
            )
            checks = (
                ("collected", got[0], expected.collected, 0),
                ("passed", got[1], expected.passed, slack),
            )
            for what, have, want, allowed in checks:
                if have < want - allowed:
                    yield name, Finding(Kind.BELOW, f"{name}[{variant}]", f"{what} {have}, the ledger says {want}")
            if got[2] != expected.skipped and got[0] == expected.collected:
                yield name, Finding(Kind.BELOW, f"{name}[{variant}]", f"skipped {got[2]}, the ledger says {expected.skipped}")
