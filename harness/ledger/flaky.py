"""What a ledger may say of a flaky test, and what runs say of that.

The rate of an entry is a claim: the test fails in at most so many of its runs. It has to come with the runs in which it was measured, and
every gate holds it against new ones. All rates are failures per run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.flake.sequential import Decision, evidence_above, evidence_below, evidence_of_history
from harness.ledger.lookup import Lookup
from harness.ledger.model import EntryClass
from harness.ledger.rates import clearly_above, contradictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.identity import TestId
    from harness.ledger.model import Entry, Ledger

ERROR = 0.01
"""The chance that a gate says something wrong of any flaky test of a ledger."""
MEASURE = "measure it with: conform baseline measure"


def flaws(entry: Entry) -> Iterator[str]:
    """Why an entry of class flaky is no claim that a gate can check; nothing for other classes."""
    if entry.kind is not EntryClass.FLAKY or entry.rate is None:
        return
    # Under a pattern a test that always fails hides behind others that never do.
    if entry.test is None:
        yield f"a pattern has no rate of its own: one entry per test; {MEASURE}"
    if entry.failures is None or entry.runs is None:
        yield f"nobody measured the rate of {entry.rate:g}: failures and runs are missing; {MEASURE}"
        return
    yield from contradictions(entry.rate, entry.failures, entry.runs)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger says of one flaky test in one variant, and with which error a gate may decide about it."""

    test: TestId
    rate: float
    error: float

    def decide(self, failures: int, runs: int) -> Decision:
        """What the runs of one gate say, looked at after each: more than the rate, or not clearly more.

        `ABOVE` is wrong with at most `error` when the true rate is at most the stated one, `BELOW` when it is `clearly_above` that or more.
        """
        needed = -math.log(self.error)
        if evidence_above(failures, runs, self.rate) >= needed:
            return Decision.ABOVE
        return Decision.BELOW if evidence_below(failures, runs, clearly_above(self.rate)) >= needed else Decision.OPEN

    def contradicted_by(self, blocks: Sequence[tuple[int, int]]) -> bool:
        """Whether (failures, runs) of all gates and imports so far say that the rate is, or became, higher; wrong with at most `error`."""
        # Over all gates, as none of them alone has the runs to see that a rate crept up.
        return bool(blocks) and evidence_of_history(blocks, self.rate) >= -math.log(self.error)


def claims(ledger: Ledger, tests: Iterable[TestId]) -> dict[TestId, Claim]:
    """The claims of the ledger about these tests, by id; entries with flaws claim nothing.

    Half of the error is for what one gate sees, half for the history; each is shared out over all tests that the ledger calls flaky.
    """
    lookup = Lookup(entry for entry in ledger.entries if entry.kind is EntryClass.FLAKY and not any(flaws(entry)))
    # All flaky tests of the ledger, not only those that ran: the error is shared out over what could have been said.
    rates = {test: entry.rate for test in {*ledger.known(), *tests} for entry in lookup.of(test)[:1] if entry.rate is not None}
    wanted = set(tests)
    return {test: Claim(test, rate, ERROR / 2 / len(rates)) for test, rate in sorted(rates.items()) if test in wanted}
