"""What a person says about tests that newly fail or skip, and the entries made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.ledger.gate import ALLOWED
from harness.ledger.model import NO_VARIANT, Entry, EntryClass
from harness.verdicts import Verdict

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from harness.ledger.model import ExpectedSuite
    from harness.run.results import TestResult

OWN_CLASS = {
    Verdict.SKIP: EntryClass.UNSUPPORTED,
    Verdict.BLOCKED: EntryClass.BLOCKED,
    Verdict.FLAKY: EntryClass.FLAKY,
}
"""Verdicts that say by themselves of which class an entry is; of failures the person says it."""


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why tests newly fail or skip. The class follows the verdict; `kind` is that of failures."""

    reason: str
    link: str
    review_by: dt.date
    kind: EntryClass = EntryClass.FAILS
    rate: float | None = None

    def kind_of(self, verdict: Verdict) -> EntryClass:
        """The class of an entry that allows this verdict."""
        return OWN_CLASS.get(verdict, self.kind if verdict in ALLOWED[self.kind] else EntryClass.FAILS)

    def entry(self, test: str, kind: EntryClass, variants: list[str] | None = None) -> Entry:
        """The entry for one test.

        Raises:
            UsageError: it is of class flaky, and there is no rate.
        """
        if kind is EntryClass.FLAKY and self.rate is None:
            raise UsageError(f"{test}: an entry of class flaky needs the highest failure rate (--rate)")
        fields = {"test": test, "variants": variants, "class": kind, "reason": self.reason, "link": self.link, "review_by": self.review_by}
        return Entry.model_validate({**fields, "rate": self.rate if kind is EntryClass.FLAKY else None})


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
