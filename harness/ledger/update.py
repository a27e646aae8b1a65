"""Bringing a ledger up to date with a report, without inventing reasons."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.ledger import store
from harness.ledger.gate import ALLOWED
from harness.ledger.model import Entry, EntryClass, ExpectedCounts, ExpectedSuite, Ledger
from harness.verdicts import Verdict

if TYPE_CHECKING:
    import datetime as dt

    from harness.ledger.gate import Selection
    from harness.run.results import RunReport, TestResult


@dataclass(frozen=True, slots=True)
class Excuse:
    """What a person says about the tests that newly fail or skip; skips become `unsupported`, failures `kind` unless they are blocked."""

    reason: str
    link: str
    review_by: dt.date
    kind: EntryClass = EntryClass.FAILS
    rate: float | None = None

    def entry(self, test: str, verdicts: set[Verdict]) -> Entry:
        """The entry for one test."""
        kind = self.kind
        if len(verdicts) == 1:
            kind = {Verdict.SKIP: EntryClass.UNSUPPORTED, Verdict.BLOCKED: EntryClass.BLOCKED}.get(next(iter(verdicts)), self.kind)
        fields = {"match": test, "class": kind, "reason": self.reason, "link": self.link, "review_by": self.review_by}
        if kind is EntryClass.FLAKY:
            if self.rate is None:
                raise UsageError("an entry of class flaky needs the highest failure rate (--rate)")
            fields["rate"] = self.rate
        return Entry.model_validate(fields)


def update(ledger: Ledger, report: RunReport, selection: Selection, excuse: Excuse | None = None) -> Ledger:
    """The ledger that the report would pass.

    Counts and test names of the suites and variants that ran are taken over, entries that excuse nothing any more are dropped. Tests that
    newly fail or skip get an entry from `excuse`.

    Raises:
        UsageError: tests newly fail or skip and there is no excuse, or only some tests ran.
    """
    _check_complete(report, selection)
    entries = [entry for entry in ledger.entries if _still_needed(entry, ledger, report, selection)]
    unexplained = [result for result in report.results if not _explained(result, entries)]
    if unexplained and excuse is None:
        lines = "\n".join(f"  {result.id}: {result.verdict}: {result.message}" for result in unexplained)
        raise UsageError(f"these need a reason (--reason, --link, --review-by):\n{lines}")
    if excuse is not None:
        entries += _new_entries(unexplained, excuse, report)
    return Ledger(target=ledger.target, suites=_suites(ledger, report, selection), entries=entries)


def prune(ledger: Ledger, report: RunReport, selection: Selection) -> Ledger:
    """The ledger without the entries that excuse nothing any more; nothing else changes.

    Raises:
        UsageError: only some tests ran.
    """
    _check_complete(report, selection)
    return ledger.model_copy(update={"entries": [entry for entry in ledger.entries if _still_needed(entry, ledger, report, selection)]})


def _check_complete(report: RunReport, selection: Selection) -> None:
    if selection.partial:
        raise UsageError("a ledger cannot be updated from a selection of tests; run whole suites")
    if report.problems:
        raise UsageError("a ledger cannot be updated from a run that was not complete:\n" + "\n".join(report.problems))


def diff(before: Ledger | None, after: Ledger) -> list[str]:
    """The change between two ledgers, line by line, as a unified diff without context noise."""
    old = store.dump(before).splitlines() if before is not None else []
    return list(difflib.unified_diff(old, store.dump(after).splitlines(), "before", "after", lineterm="", n=1))


def _explained(result: TestResult, entries: list[Entry]) -> bool:
    matching = [entry for entry in entries if entry.matches(str(result.id))]
    return result.verdict in ALLOWED[matching[0].kind] if matching else result.verdict is Verdict.PASS


def _still_needed(entry: Entry, ledger: Ledger, report: RunReport, selection: Selection) -> bool:
    """An entry goes when a test it is about passes (it says too much), or when nothing it is about exists any more."""
    ran = [result for result in report.results if entry.matches(str(result.id))]
    if ran:
        return all(result.verdict in ALLOWED[entry.kind] for result in ran)
    return bool(selection.suites or selection.variants) and any(entry.matches(name) for name in ledger.known())


def _new_entries(results: list[TestResult], excuse: Excuse, report: RunReport) -> list[Entry]:
    """One entry per test when all its variants are alike, else one per variant."""
    made: list[Entry] = []
    by_test: dict[str, list[TestResult]] = {}
    for result in results:
        by_test.setdefault(result.id.test, []).append(result)
    for test, some in sorted(by_test.items()):
        everywhere = len(some) == sum(result.id.test == test for result in report.results)
        verdicts = {result.verdict for result in some}
        alike = verdicts == {Verdict.SKIP} or Verdict.SKIP not in verdicts
        if everywhere and alike and len(some) > 1:
            made.append(excuse.entry(f"{test}[*]", verdicts))
        else:
            made += [excuse.entry(str(result.id), {result.verdict}) for result in some]
    return made


def _suites(ledger: Ledger, report: RunReport, selection: Selection) -> dict[str, ExpectedSuite]:
    counts: dict[str, dict[str, ExpectedCounts]] = {}
    variants: dict[str, dict[str, set[str]]] = {}
    for name, suite in ledger.suites.items():
        kept = {variant: count for variant, count in suite.counts.items() if not selection.covers(name, variant)}
        if kept:
            counts[name] = kept
            # Of variants that did not run nothing new is known, so they stay.
            variants[name] = {test: found for test in suite.tests if (found := kept.keys() & suite.variants(test))}
    for result in report.results:
        variants.setdefault(result.id.suite, {}).setdefault(result.id.name, set()).add(result.id.variant or "-")
    for (suite_name, variant), count in report.counts().items():
        expected = ExpectedCounts(collected=count.collected, passed=count.passed, skipped=count.skipped)
        counts.setdefault(suite_name, {})[variant or "-"] = expected
    return {name: _suite(counts[name], variants[name]) for name in sorted(counts)}


def _suite(counts: dict[str, ExpectedCounts], variants: dict[str, set[str]]) -> ExpectedSuite:
    partly = {test: sorted(found) for test, found in sorted(variants.items()) if found != counts.keys()}
    return ExpectedSuite(tests=sorted(variants), counts=dict(sorted(counts.items())), partly=partly)
