"""What a ledger may say of a test that does not always end the same way, and what runs say of that.

The rate of an entry is a claim: a flaky test fails in at most so many of its runs, one that is listed as failing passes in at most so many.
It has to come with the runs in which it was measured, and every gate holds it against new ones. Why one that mostly fails is not flaky at a
high rate: a rate near 1 excuses everything, so that no run could ever contradict it; the rate of its passes can be contradicted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.events.verdict import Verdict
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
    """Why the rate of an entry is no claim that a gate can check; nothing without a rate."""
    if entry.rate is None:
        return
    # Under a pattern a test that always fails hides behind others that never do.
    if entry.test is None:
        yield f"a pattern has no rate of its own: one entry per test; {MEASURE}"
    if entry.failures is None or entry.runs is None:
        yield f"nobody measured the rate of {entry.rate:g}: failures and runs are missing; {MEASURE}"
        return
    yield from contradictions(entry.rate, entry.rare(entry.failures, entry.runs), entry.runs, entry.rare_outcome)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger says of one test in one variant, and with which error a gate may decide about it.

    Counts are failures and runs, as everywhere; a claim `of_passes` turns them over by itself.
    """

    test: TestId
    rate: float
    error: float
    of_passes: bool = False

    @property
    def rare_outcome(self) -> str:
        """What the rate counts, in the plural."""
        return "passes" if self.of_passes else "failures"

    def rare(self, failures: int, runs: int) -> int:
        """How many of these runs ended in what the rate is about."""
        return runs - failures if self.of_passes else failures

    def surprised_by(self, verdict: Verdict) -> bool:
        """Whether a verdict is of the rare kind, so that the claim has to be looked at."""
        return verdict in (Verdict.PASS, Verdict.FLAKY) if self.of_passes else not verdict.good and verdict is not Verdict.FLAKY

    def decide(self, failures: int, runs: int) -> Decision:
        """What the runs of one gate say, looked at after each: more than the rate, or not clearly more.

        `ABOVE` is wrong with at most `error` when the true rate is at most the stated one, `BELOW` when it is `clearly_above` that or more.
        """
        needed, rare = -math.log(self.error), self.rare(failures, runs)
        if evidence_above(rare, runs, self.rate) >= needed:
            return Decision.ABOVE
        return Decision.BELOW if evidence_below(rare, runs, clearly_above(self.rate)) >= needed else Decision.OPEN

    def contradicted_by(self, blocks: Sequence[tuple[int, int]]) -> bool:
        """Whether (failures, runs) of all gates and imports so far say that the rate is, or became, higher; wrong with at most `error`."""
        # Over all gates, as none of them alone has the runs to see that a rate crept up.
        turned = [(self.rare(*block), block[1]) for block in blocks]
        return bool(turned) and evidence_of_history(turned, self.rate) >= -math.log(self.error)


def claims(ledger: Ledger, tests: Iterable[TestId]) -> dict[TestId, Claim]:
    """The claims of the ledger about these tests, by id; entries with flaws claim nothing.

    Half of the error is for what one gate sees, half for the history; each is shared out over all tests that have a rate in the ledger.
    """
    lookup = Lookup(entry for entry in ledger.entries if entry.rate is not None and not any(flaws(entry)))
    # All such tests of the ledger, not only those that ran: the error is shared out over what could have been said.
    found = {test: entry for test in {*ledger.known(), *tests} for entry in lookup.of(test)[:1]}
    wanted, error = set(tests), ERROR / 2 / max(1, len(found))
    return {
        test: Claim(test, entry.rate, error, of_passes=entry.kind is EntryClass.FAILS)
        for test, entry in sorted(found.items())
        if test in wanted and entry.rate is not None
    }
