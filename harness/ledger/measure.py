"""From measured runs to the entries of a ledger that have a rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.flake.stats import lower_bound
from harness.ledger.excuse import claim
from harness.ledger.lookup import Lookup
from harness.ledger.model import NO_VARIANT, Entry, EntryClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.identity import TestId
    from harness.ledger.model import Ledger

    Counts = Mapping[TestId, tuple[int, int]]


def flaky_tests(ledger: Ledger) -> list[TestId]:
    """Every test, in every variant, that has a rate in the ledger."""
    lookup = Lookup(entry for entry in ledger.entries if entry.rate is not None)
    return sorted(test for test in ledger.known() if lookup.of(test))


def remeasured(ledger: Ledger, counts: Counts) -> tuple[Ledger, list[str]]:
    """The ledger with one measured entry per flaky test, and a sentence about each test that has none any more.

    A test that never failed loses its entry, one that always did becomes `fails`, and one that fails in most runs does so with the rate of
    its passes. One that was not run, or too seldom to tell, keeps the old entry, which no gate passes as long as it is not measured.
    """
    notes: list[str] = []
    entries: list[Entry] = []
    for entry in ledger.entries:
        if entry.rate is None:
            entries.append(entry)
            continue
        by_test: dict[str, list[TestId]] = {}
        for one in ledger.known():
            if entry.matches(one):
                by_test.setdefault(one.test, []).append(one)
        for test, ids in by_test.items():
            entries += _entries(entry, test, ids, counts, notes)
    return ledger.model_copy(update={"entries": entries}), notes


def _entries(entry: Entry, test: str, ids: list[TestId], counts: Counts, notes: list[str]) -> list[Entry]:
    ran = [one for one in ids if one in counts]
    if not ran:
        notes.append(f"{test}: not run, its entry stays")
        return [_about(entry, test, ids, ids, _claim_of(entry))]
    made: list[Entry] = []
    for group in _alike(ran, counts):
        failures, runs = sum(counts[one][0] for one in group), sum(counts[one][1] for one in group)
        name = test if len(group) == len(ids) else f"{test}[{', '.join(one.variant or NO_VARIANT for one in group)}]"
        # A test that never failed in so many runs has nothing to excuse; if it was rare, the next gate says so.
        if not failures:
            notes.append(f"{name}: never failed in {runs} runs, so it is not listed any more")
        elif failures == runs:
            notes.append(f"{name}: failed in all of {runs} runs, so it is listed as fails")
            made.append(_about(entry, test, group, ids, {"class": EntryClass.FAILS}))
        else:
            made.append(_about(entry, test, group, ids, _claimed(name, entry, (failures, runs), notes)))
    rest = [one for one in ids if one not in counts]
    return made if not rest else [*made, _about(entry, test, rest, ids, _claim_of(entry))]


def _claim_of(entry: Entry) -> dict[str, object]:
    return {"rate": entry.rate, "failures": entry.failures, "runs": entry.runs}


def _claimed(name: str, entry: Entry, counts: tuple[int, int], notes: list[str]) -> dict[str, object]:
    try:
        return {**claim(name, counts)}
    except UsageError as error:
        notes.append(f"{error}; its entry stays, and no gate passes it")
        return {"rate": entry.rate}


def _alike(ran: list[TestId], counts: Counts) -> list[list[TestId]]:
    """All variants together, unless one of them fails clearly more often than all do: then each is on its own."""
    failures, runs = sum(counts[one][0] for one in ran), sum(counts[one][1] for one in ran)
    # Together as long as one may: the more runs, the closer the rate that they support.
    if any(lower_bound(*counts[one]) > failures / runs for one in ran):
        return [[one] for one in ran]
    return [ran]


def _about(entry: Entry, test: str, group: Iterable[TestId], ids: list[TestId], fields: Mapping[str, object]) -> Entry:
    listed = sorted(one.variant or NO_VARIANT for one in group)
    whole = len(listed) == len(ids) and entry.variants is None
    about = {"test": test, "variants": None if whole else listed, "class": entry.kind}
    said = {"reason": entry.reason, "link": entry.link, "review_by": entry.review_by}
    return Entry.model_validate({**about, **said, **fields})
