"""Tests that lost their encoding, so that ledgers kept elsewhere follow.

A test that ran in every encoding may turn out to use none of them, and then runs once, as `test[any-storage]`. A ledger from before expects
it in each encoding; it is read as if it had been written since. What it says of the encoding that the client of such a test speaks is what
it says of the test; `conform baseline update` writes it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.events.verdict import Verdict
from harness.identity import ANY, TestId, Variant, has_no_encoding
from harness.ledger.gate import allowed
from harness.ledger.lookup import Lookup
from harness.ledger.model import Entry, ExpectedCounts, ExpectedSuite, Ledger
from harness.testing.marks import SPOKEN_BY_ANY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    from harness.events.results import RunReport

    Moves: TypeAlias = Mapping[TestId, list[TestId]]
    """New ids with the old ones, that of the encoding which the client speaks first."""


def apply(ledger: Ledger, report: RunReport) -> tuple[Ledger, list[str]]:
    """The ledger with the tests that the report shows without an encoding, and one line per suite in which there are new ones."""
    now = {result.id.test: result.verdict for result in report.results if has_no_encoding(result.id.variant)}
    moves = {name: found for name, suite in ledger.suites.items() if (found := _moves(name, suite, now))}
    if not moves:
        return ledger, []
    lookup = Lookup(ledger.entries)
    suites = {name: _suite(suite, moves.get(name, {}), lookup, now) for name, suite in ledger.suites.items()}
    after = ledger.model_copy(update={"suites": suites})
    kept = _still_used(ledger, after, lookup)
    made = [one for some in moves.values() for one in _replacements(some, lookup)]
    notes = [f"{name}: {len({one.name for one in some})} test(s) now run once, for all encodings" for name, some in sorted(moves.items())]
    return after.model_copy(update={"entries": kept + made}), notes


def _moves(name: str, suite: ExpectedSuite, now: Mapping[str, Verdict]) -> Moves:
    moves: dict[TestId, list[TestId]] = {}
    for test in suite.tests:
        if f"{name}::{test}" not in now:
            continue
        for variant in sorted(suite.variants(test), key=lambda one: (one.partition("-")[0] != SPOKEN_BY_ANY, one)):
            if not has_no_encoding(variant):
                new = TestId(name, test, str(Variant(ANY, variant.partition("-")[2])))
                moves.setdefault(new, []).append(TestId(name, test, variant))
    return moves


def _suite(suite: ExpectedSuite, moves: Moves, lookup: Lookup, now: Mapping[str, Verdict]) -> ExpectedSuite:
    counts = {variant: (count.collected, count.passed, count.skipped) for variant, count in suite.counts.items()}
    for new, old in moves.items():
        for one in old:
            # The counts are moved test by test, as they were written when it counted in each encoding.
            counts[one.variant] = _moved(counts[one.variant], _expected(lookup.of(one), now[new.test]), -1)
        counts[new.variant] = _moved(counts.get(new.variant, (0, 0, 0)), _expected(lookup.of(old[0]), now[new.test]), 1)
    tests = {one.name for one in moves}
    every = {
        variant: ExpectedCounts(collected=collected, passed=passed, skipped=skipped)
        for variant, (collected, passed, skipped) in sorted(counts.items())
        if collected
    }
    partly = {test: variants for test, variants in suite.partly.items() if test not in tests}
    return ExpectedSuite(tests=suite.tests, counts=every, once=sorted({*suite.once, *tests}), partly=partly)


def _moved(count: tuple[int, int, int], verdict: Verdict, by: int) -> tuple[int, int, int]:
    collected, passed, skipped = count
    return max(0, collected + by), max(0, passed + by * (verdict is Verdict.PASS)), max(0, skipped + by * (verdict is Verdict.SKIP))


def _expected(entries: list[Entry], now: Verdict) -> Verdict:
    """What the ledger expects of a test; where its entry allows several verdicts and nobody knows which was counted, today's will do."""
    if not entries:
        return Verdict.PASS
    verdicts = allowed(entries[0])
    # What stood in the counts cannot be known any more where an entry allows several verdicts.
    return now if now in verdicts else Verdict.SKIP if verdicts == {Verdict.SKIP} else Verdict.FAIL


def _still_used(before: Ledger, after: Ledger, lookup: Lookup) -> list[Entry]:
    """The entries without those that were about encodings only in which their tests do not run any more."""
    # By identity: two entries may be equal, and only one of them be about a test that moved.
    was, used = ({id(entry) for test in one.known() for entry in lookup.of(test)} for one in (before, after))
    return [entry for entry in before.entries if id(entry) in used or id(entry) not in was]


def _replacements(moves: Moves, lookup: Lookup) -> Iterable[Entry]:
    """Entries about the new ids, as there were about the old ones, where none is about both."""
    for new, old in moves.items():
        for entry in lookup.of(old[0]):
            if not entry.matches(new):
                yield entry.model_copy(update={"test": new.test, "match": None, "variants": [new.variant]})
