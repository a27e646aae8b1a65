"""Bringing a ledger up to date with a report, without inventing reasons."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.events.verdict import Verdict
from harness.ledger import store
from harness.ledger.excuse import new_entries
from harness.ledger.gate import Selection, allowed, judge, vanished
from harness.ledger.lookup import Lookup
from harness.ledger.model import NO_VARIANT, Entry, ExpectedCounts, ExpectedSuite, Ledger, Removed, usual

if TYPE_CHECKING:
    import datetime as dt

    from harness.events.results import RunReport, TestResult
    from harness.ledger.excuse import Excuse

MOST_LINES = 50


def update(
    ledger: Ledger, report: RunReport, selection: Selection, today: dt.date, excuse: Excuse | None = None, gone: str | None = None
) -> Ledger:
    """The ledger that the report passes.

    Counts and test names of the suites and variants that ran are taken over, entries that excuse nothing any more are dropped. Tests that
    newly fail or skip get an entry from `excuse`; tests that vanished are put down as removed, with the reason in `gone`.

    Raises:
        UsageError: tests newly fail, skip or vanished and nobody said why, only some tests ran, or what would be written does not pass the
            report (for instance because entries overlap or have expired).
    """
    _check_complete(report, selection)
    # Before anything else: whoever loses tests without noticing must not get a smaller ledger with a green gate.
    missing = vanished_for_a_reason(ledger, report, selection, gone)
    entries = _needed(ledger, report, selection, lost=True)
    lookup = Lookup(entries)
    unexplained = [result for result in report.results if not _explained(result, lookup.of(result.id))]
    if unexplained and excuse is None:
        said = [f"{result.id}: {result.verdict}: {result.message}" for result in unexplained]
        raise UsageError(f"these need a reason (--reason, --link, --review-by):\n{_lines(said)}")
    suites = _suites(ledger, report, selection)
    if excuse is not None:
        entries = [*entries, *new_entries(unexplained, excuse, suites)]
    # What is there again is not removed any more, be it named as a suite, a test or one variant.
    back = {name for result in report.results for name in (result.id.suite, result.id.test, str(result.id))}
    removed = [one for one in ledger.removed if one.what not in back and one.what not in missing]
    removed += [Removed(what=what, reason=str(gone), on=today) for what in missing]
    after = Ledger(target=ledger.target, suites=suites, entries=entries, removed=removed)
    # The rule of the whole file: a ledger is only written when the report that made it passes it.
    _check_passes(after, report, selection, today)
    return after


def merge(
    ledger: Ledger, report: RunReport, selection: Selection, today: dt.date, excuse: Excuse | None = None, gone: str | None = None
) -> Ledger:
    """The ledger with what a part of the corpus showed; suites that the report does not have stay as they are.

    Raises:
        UsageError: as `update`.
    """
    # The suites that ran, not those that were asked for: one that did not show up is missing, and must not be emptied.
    shown = frozenset(result.id.suite for result in report.results)
    part = Selection(suites=shown, variants=selection.variants, partial=selection.partial)
    return update(ledger, report, part, today, excuse, gone)


def prune(ledger: Ledger, report: RunReport, selection: Selection) -> Ledger:
    """The ledger without the entries that excuse nothing any more; nothing else changes.

    An entry about a test that vanished stays: that the test is missing is news, not a repair.

    Raises:
        UsageError: only some tests ran.
    """
    _check_complete(report, selection)
    return ledger.model_copy(update={"entries": _needed(ledger, report, selection, lost=False)})


def vanished_for_a_reason(ledger: Ledger, report: RunReport, selection: Selection, gone: str | None) -> list[str]:
    """What the ledger expects and the report does not show.

    Raises:
        UsageError: there is something, and nobody said why.
    """
    missing = list(vanished(ledger, report, selection))
    if missing and not gone:
        lines = _lines([f"{what}: {text}" for what, text in missing])
        raise UsageError(f"these vanished; run what is missing, or say why they are gone (--gone REASON):\n{lines}")
    return [what for what, _ in missing]


def diff(before: Ledger | None, after: Ledger) -> list[str]:
    """The change between two ledgers, line by line, as a unified diff without context noise."""
    old = store.dump(before).splitlines() if before is not None else []
    return list(difflib.unified_diff(old, store.dump(after).splitlines(), "before", "after", lineterm="", n=1))


def _check_complete(report: RunReport, selection: Selection) -> None:
    if selection.partial:
        raise UsageError("a ledger cannot be updated from a selection of tests; run whole suites")
    if report.status == 2:
        raise UsageError("a ledger cannot be updated from a run that was not complete:\n" + "\n".join(report.problems))


def _check_passes(ledger: Ledger, report: RunReport, selection: Selection, today: dt.date) -> None:
    fatal = [str(one) for one in judge(ledger, report, selection, today) if one.fatal]
    if fatal:
        raise UsageError(f"the new ledger would not pass this report; repair its entries first:\n{_lines(fatal)}")


def _lines(said: list[str]) -> str:
    shown = [f"  {one}" for one in said[:MOST_LINES]]
    return "\n".join([*shown, *([f"  ... and {len(said) - MOST_LINES} more"] if len(said) > MOST_LINES else [])])


def _explained(result: TestResult, entries: list[Entry]) -> bool:
    return result.verdict in allowed(entries[0]) if entries else result.verdict is Verdict.PASS


def _needed(ledger: Ledger, report: RunReport, selection: Selection, *, lost: bool) -> list[Entry]:
    """The entries that still say something.

    One goes when a test it is about does what it does not allow (it says too much), or when nothing it is about exists any more; of tests
    that the report lacks, when they are given up (`lost`).
    """
    lookup = Lookup(ledger.entries)
    runs, unfit, elsewhere = Counter[int](), set[int](), set[int]()
    for result in report.results:
        for entry in lookup.of(result.id):
            runs[id(entry)] += 1
            if result.verdict not in allowed(entry):
                unfit.add(id(entry))
    for test in ledger.known():
        if not lost or not selection.covers(test.suite, test.variant or NO_VARIANT):
            elsewhere |= {id(entry) for entry in lookup.of(test)}
    return [entry for entry in ledger.entries if id(entry) not in unfit and (runs[id(entry)] or id(entry) in elsewhere)]


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
        variants.setdefault(result.id.suite, {}).setdefault(result.id.name, set()).add(result.id.variant or NO_VARIANT)
    for (suite_name, variant), count in report.counts().items():
        expected = ExpectedCounts(collected=count.collected, passed=count.passed, skipped=count.skipped)
        counts.setdefault(suite_name, {})[variant or NO_VARIANT] = expected
    return {name: _suite(counts[name], variants[name]) for name in sorted(counts)}


def _suite(counts: dict[str, ExpectedCounts], variants: dict[str, set[str]]) -> ExpectedSuite:
    once = [test for test, found in sorted(variants.items()) if found == set(usual(counts, once=True))]
    usually = set(usual(counts, once=False))
    partly = {test: sorted(found) for test, found in sorted(variants.items()) if test not in once and found != usually}
    return ExpectedSuite(tests=sorted(variants), counts=dict(sorted(counts.items())), once=once, partly=partly)
