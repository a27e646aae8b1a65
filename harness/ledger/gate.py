"""The gate: a report against a ledger, one line per finding."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.events.results import Counts
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.ledger.flaky import flaws
from harness.ledger.lookup import Lookup
from harness.ledger.model import NO_VARIANT, EntryClass
from harness.text import plain, short

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from typing import TypeAlias

    from harness.events.results import RunReport, TestResult
    from harness.ledger.model import Entry, Ledger

    Matched: TypeAlias = tuple[TestResult, list[Entry]]

NOT_PASSING = {Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.BLOCKED}
ALLOWED = {
    EntryClass.FAILS: NOT_PASSING,
    # No error and no skip: a flaky test fails now and then, but it runs.
    EntryClass.FLAKY: {Verdict.PASS, Verdict.FLAKY, Verdict.FAIL, Verdict.INCONCLUSIVE},
    EntryClass.UNSUPPORTED: {Verdict.SKIP},
    EntryClass.BLOCKED: {*NOT_PASSING, Verdict.SKIP},
    EntryClass.OUT_OF_SCOPE: {*NOT_PASSING, Verdict.SKIP},
}
"""The verdicts each class excuses."""
LONGEST = 500
"""Characters of a message on the line of a finding."""


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
    FAR = "review date too far"
    UNFOUNDED = "unfounded flaky entry"
    CONTRADICTED = "flaky rate contradicted"
    UNDECIDED = "flaky rate undecided"
    NEW_TEST = "new test"
    FLAKE = "known flake"


NOTES = {Kind.NEW_TEST, Kind.FLAKE}
LONGEST_REVIEW = dt.timedelta(days=366)
"""How far away the review of an entry may be; a year, leap or not."""


def allowed(entry: Entry) -> set[Verdict]:
    """The verdicts that an entry excuses; with a rate also a pass, as the rate is held against many runs and not against one."""
    return ALLOWED[entry.kind] if entry.rate is None else ALLOWED[entry.kind] | ALLOWED[EntryClass.FLAKY]


def excuses(ledger: Ledger) -> Callable[[TestId, Verdict], bool]:
    """Whether a bad verdict, once it has come, can still leave the gate passed: an entry allows it, or the test is new."""
    # Once for the run; the question is asked with every bad verdict while it goes on.
    known, entries = set(ledger.known()), Lookup(ledger.entries)

    def excused(test: TestId, verdict: Verdict) -> bool:
        return test not in known or any(verdict in allowed(entry) for entry in entries.of(test))

    return excused


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the gate. New tests and known flakes are only noted; everything else fails it."""

    kind: Kind
    subject: str
    text: str = ""

    @property
    def fatal(self) -> bool:
        """Whether it fails the gate."""
        return self.kind not in NOTES

    def __str__(self) -> str:
        text = short(plain(self.text), LONGEST)
        return f"{self.kind}: {plain(self.subject)}" + (f": {text}" if text else "")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of the ledger a report covers. Empty means all; `partial` means that tests were picked by name."""

    suites: Collection[str] = ()
    variants: Collection[str] = ()
    partial: bool = False

    @property
    def whole(self) -> bool:
        """Whether all of the ledger is covered."""
        return not (self.suites or self.variants or self.partial)

    def covers(self, suite: str, variant: str) -> bool:
        """Whether this suite in this variant was run as a whole."""
        # Of a suite that was run in part nothing can be missing; only whole ones are held against the counts.
        return not self.partial and self.includes(suite, variant)

    def includes(self, suite: str, variant: str) -> bool:
        """Whether this suite in this variant was run, if only in part."""
        return (not self.suites or suite in self.suites) and (not self.variants or variant in self.variants)


def judge(ledger: Ledger, report: RunReport, selection: Selection, today: dt.date) -> list[Finding]:
    """Compare a report with a ledger. An empty list, or one of only new tests, lets it pass."""
    lookup = Lookup(ledger.entries)
    matched = [(result, lookup.of(result.id)) for result in report.results]
    missing = vanished(ledger, report, selection)
    found = [
        *_verdicts(matched),
        *(Finding(Kind.VANISHED, subject, text) for subject, text in missing),
        *_entries(ledger, matched, lookup, selection, today),
        *_new_tests(ledger, report),
    ]
    # Counts are the last net: they only speak where nothing else explained the difference.
    explained = {one.subject.partition("::")[0] for one in found if one.fatal}
    return [*found, *(one for suite, one in _counts(ledger, report, matched, selection) if suite not in explained)]


def vanished(ledger: Ledger, report: RunReport, selection: Selection) -> Iterator[tuple[str, str]]:
    """What the ledger expects and the report does not show: a suite, a test, or a test in one variant; with a sentence."""
    present: dict[str, dict[str, set[str]]] = {}
    for result in report.results:
        present.setdefault(result.id.suite, {}).setdefault(result.id.name, set()).add(result.id.variant or NO_VARIANT)
    for name, suite in sorted(ledger.suites.items()):
        if not any(selection.covers(name, variant) for variant in suite.counts):
            continue
        if name not in present:
            yield name, f"the whole suite of {len(suite.tests)} tests"
            continue
        for test in sorted(suite.tests):
            due = [variant for variant in suite.variants(test) if selection.covers(name, variant)]
            gone = [variant for variant in due if variant not in present[name].get(test, ())]
            # Gone in every variant is one finding: three lines would say the same of a test that was deleted.
            if gone and test not in present[name]:
                yield f"{name}::{test}", "the ledger has it, the corpus does not"
            else:
                for variant in gone:
                    one = TestId(name, test, "" if variant == NO_VARIANT else variant)
                    yield str(one), "the ledger has it in this variant, the corpus does not"


def _verdicts(matched: list[Matched]) -> Iterator[Finding]:
    # Root causes come first: what they block needs nothing but them to be repaired.
    for result, entries in sorted(matched, key=lambda one: one[0].verdict is Verdict.BLOCKED):
        if len(entries) > 1:
            yield Finding(Kind.OVERLAP, str(result.id), " and ".join(repr(entry.subject) for entry in entries))
        yield from _verdict(result, entries[0] if entries else None)


def _verdict(result: TestResult, entry: Entry | None) -> Iterator[Finding]:
    verdict, name = result.verdict, str(result.id)
    # First of all: an allowed verdict says nothing, also when it is a pass of a flaky test.
    if entry is not None and verdict in allowed(entry):
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


def _entries(ledger: Ledger, matched: list[Matched], lookup: Lookup, selection: Selection, today: dt.date) -> Iterator[Finding]:
    used = {id(entry) for _, entries in matched for entry in entries}
    # An entry about tests that were not run is not wrong; one about tests that nobody knows is.
    elsewhere = set() if selection.whole else {id(entry) for test in ledger.known() for entry in lookup.of(test)}
    for entry in ledger.entries:
        if entry.review_by < today:
            yield Finding(Kind.EXPIRED, entry.subject, f"to be reviewed by {entry.review_by}: {entry.reason}")
        # A date that nobody will live to see is no review; otherwise it would be the way to silence an entry for good.
        elif entry.review_by > today + LONGEST_REVIEW:
            yield Finding(Kind.FAR, entry.subject, f"to be reviewed by {entry.review_by}; a year from now is the latest")
        for flaw in flaws(entry):
            yield Finding(Kind.UNFOUNDED, entry.subject, flaw)
        if not selection.partial and id(entry) not in used and id(entry) not in elsewhere:
            yield Finding(Kind.UNMATCHED, entry.subject, f"listed as {entry.kind}: {entry.reason}")


def _new_tests(ledger: Ledger, report: RunReport) -> Iterator[Finding]:
    known = set(ledger.known())
    tests = {test.test for test in known}
    new = {
        result.id if result.id.test in tests else TestId(result.id.suite, result.id.name)
        for result in report.results
        if result.id not in known
    }
    for test in sorted(new):
        yield Finding(Kind.NEW_TEST, str(test), "not in the ledger yet")


def _counts(ledger: Ledger, report: RunReport, matched: list[Matched], selection: Selection) -> Iterator[tuple[str, Finding]]:
    counted = report.counts()
    # A test with a rate may pass or not; neither is news.
    slack = Counter((result.id.suite, result.id.variant) for result, entries in matched if any(entry.rate is not None for entry in entries))
    for name, suite in sorted(ledger.suites.items()):
        for variant, expected in suite.counts.items():
            if not selection.covers(name, variant):
                continue
            place = (name, "" if variant == NO_VARIANT else variant)
            got = counted.get(place, Counts())
            checks = (("collected", got.collected, expected.collected, 0), ("passed", got.passed, expected.passed, slack[place]))
            for what, have, want, allowed in checks:
                # Only below: more tests than the ledger has are new ones, which are noted by name.
                if have < want - allowed:
                    yield name, Finding(Kind.BELOW, f"{name}[{variant}]", f"{what} {have}, the ledger says {want}")
            # Both ways: fewer skips than listed can be tests that vanished behind others that were added.
            if got.skipped != expected.skipped and got.collected == expected.collected:
                yield name, Finding(Kind.BELOW, f"{name}[{variant}]", f"skipped {got.skipped}, the ledger says {expected.skipped}")
