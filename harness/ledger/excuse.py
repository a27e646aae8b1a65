"""What a person says about tests that newly fail or skip, and the entries made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.events.verdict import Verdict
from harness.ledger.gate import ALLOWED
from harness.ledger.model import NO_VARIANT, Entry, EntryClass
from harness.ledger.rates import rate_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from harness.events.results import TestResult
    from harness.identity import TestId
    from harness.ledger.model import ExpectedSuite

OWN_CLASS = {
    Verdict.SKIP: EntryClass.UNSUPPORTED,
    Verdict.BLOCKED: EntryClass.BLOCKED,
    Verdict.FLAKY: EntryClass.FLAKY,
}
"""Verdicts that say by themselves of which class an entry is; of failures the person says it."""


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why tests newly fail or skip. The class follows the verdict; `kind` is that of failures.

    `measured` are the failures and runs of tests that were looped; flaky ones get their rate from there.
    """

    reason: str
    link: str
    review_by: dt.date
    kind: EntryClass = EntryClass.FAILS
    measured: Mapping[TestId, tuple[int, int]] = field(default_factory=dict)

    def kind_of(self, verdict: Verdict) -> EntryClass:
        """The class of an entry that allows this verdict."""
        # A person who says `fails` of all means the failures; a skip among them is unsupported all the same.
        return OWN_CLASS.get(verdict, self.kind if verdict in ALLOWED[self.kind] else EntryClass.FAILS)

    def entry(self, test: str, kind: EntryClass, variants: list[str] | None = None) -> Entry:
        """The entry for one test.

        Raises:
            UsageError: it is of class flaky, and its rate was not measured, or what was measured is no flake.
        """
        fields = {"test": test, "variants": variants, "class": kind, "reason": self.reason, "link": self.link, "review_by": self.review_by}
        # A rate is never typed: it is measured, or the entry is not made.
        stated = claim(test, self._counts(test, variants)) if kind is EntryClass.FLAKY else {}
        return Entry.model_validate({**fields, **stated})

    def _counts(self, test: str, variants: list[str] | None) -> tuple[int, int]:
        mine = [
            counts
            for one, counts in self.measured.items()
            if one.test == test and (variants is None or (one.variant or NO_VARIANT) in variants)
        ]
        return sum(failures for failures, _ in mine), sum(runs for _, runs in mine)


def claim(test: str, counts: tuple[int, int]) -> dict[str, float | EntryClass]:
    """What an entry says after a measurement of (failures, runs): flaky, or failing with a rate of passes, whichever is the rarer.

    Raises:
        UsageError: there is none, or it supports no rate.
    """
    failures, runs = counts
    if not runs:
        raise UsageError(
            f"{test}: nobody measured how often it fails; first: conform flake --only '{test}' --record, "
            "or give the result files of many runs with --duplicates attempts"
        )
    try:
        if 2 * failures > runs and failures < runs:
            return {"class": EntryClass.FAILS, "rate": rate_of(runs - failures, runs), "failures": failures, "runs": runs}
        return {"class": EntryClass.FLAKY, "rate": rate_of(failures, runs), "failures": failures, "runs": runs}
    except ValueError as error:
        raise UsageError(f"{test} cannot be listed as flaky: {error}") from error


def new_entries(results: Iterable[TestResult], excuse: Excuse, suites: Mapping[str, ExpectedSuite]) -> list[Entry]:
    """One entry per test and class; it lists variants unless it is about all that the ledger knows of the test."""
    found: dict[tuple[str, str], dict[EntryClass, list[str]]] = {}
    for result in results:
        kinds = found.setdefault((result.id.suite, result.id.name), {})
        kinds.setdefault(excuse.kind_of(result.verdict), []).append(result.id.variant or NO_VARIANT)
    return [
        excuse.entry(f"{suite}::{name}", kind, None if set(variants) == set(suites[suite].variants(name)) else sorted(variants))
        for (suite, name), kinds in sorted(found.items())
        for kind, variants in kinds.items()
    ]
