"""How much of a ledger a report looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.ledger.model import NO_VARIANT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.events.results import RunReport
    from harness.ledger.gate import Selection
    from harness.ledger.model import Ledger


@dataclass(frozen=True, slots=True)
class Coverage:
    """Tests of the ledger, each in each variant.

    Attributes:
        seen: those that the report has.
        asked: those in the variants that were asked for.
        variants: these variants; empty when all were.
        elsewhere: how many there are in each of the others.
    """

    seen: int
    asked: int
    variants: tuple[str, ...]
    elsewhere: Mapping[str, int]

    @property
    def whole(self) -> bool:
        """Whether nothing was left out."""
        return self.seen == self.asked and not self.elsewhere

    @property
    def extent(self) -> str:
        """How much was looked at, such as `for 1 of 1053 tests in json-sqlite`; empty when it was everything."""
        where = f" in {', '.join(self.variants)}" if self.variants else ""
        return "" if self.whole else f"for {self.seen} of {self.asked} tests{where}"

    @property
    def rest(self) -> str:
        """What was not looked at; empty when that is nothing."""
        left = [f"{self.asked - self.seen} of these"] if self.seen < self.asked else []
        left += [f"{count} in {variant}" for variant, count in sorted(self.elsewhere.items())]
        return f"not looked at: {', '.join(left)}" if left else ""


def coverage(ledger: Ledger, report: RunReport, selection: Selection) -> Coverage:
    """Count what the report shows of what the ledger knows."""
    present = {result.id for result in report.results}
    asked = seen = 0
    variants: set[str] = set()
    elsewhere: Counter[str] = Counter()
    for test in ledger.known():
        variant = test.variant or NO_VARIANT
        # Told apart: tests of a variant that was not asked for are no gap of this run, but a reader should know that they exist.
        if selection.variants and variant not in selection.variants:
            elsewhere[variant] += 1
        else:
            asked += 1
            variants.add(variant)
            seen += test in present
    return Coverage(seen, asked, tuple(sorted(variants)) if elsewhere else (), elsewhere)
