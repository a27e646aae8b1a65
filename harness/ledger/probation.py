"""Which results of a run the gate decides by, and which are only shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.events.verdict import Verdict
from harness.requirements.sets import Standing

if TYPE_CHECKING:
    from harness.events.results import RunReport, TestResult
    from harness.ledger.model import Ledger

MOST = 3


@dataclass(frozen=True, slots=True)
class Split:
    """A report in two.

    Attributes:
        deciding: the report without what decides nothing.
        probation: the results of tests on probation.
    """

    deciding: RunReport
    probation: tuple[TestResult, ...] = ()

    def __str__(self) -> str:
        """One line for the end of a gate; empty without tests on probation."""
        tests = sorted({result.id.test for result in self.probation})
        if not tests:
            return ""
        failed = sorted({result.id.test for result in self.probation if not result.verdict.good})
        shown = failed or tests
        more = f" and {len(shown) - MOST} more" if len(shown) > MOST else ""
        count = f"{len(tests)} new test{'s' if len(tests) > 1 else ''} on probation ({len(failed)} failed)"
        return f"{count}, which decide nothing until the set of the profile is raised: {', '.join(shown[:MOST])}{more}"


def split(report: RunReport, ledger: Ledger) -> Split:
    """Take out what decides nothing: tests on probation, and skips beyond the profile of the target.

    A test that the ledger has is one that its owner took over, and decides.
    """
    known = {(suite, test) for suite, expected in ledger.suites.items() for test in expected.tests}
    deciding: list[TestResult] = []
    probation: list[TestResult] = []
    for result in report.results:
        # The ledger first: whoever listed a test wants it judged, whatever the sets say.
        if (result.id.suite, result.id.name) in known or result.standing is Standing.DECIDES:
            deciding.append(result)
        elif result.standing is Standing.PROBATION:
            probation.append(result)
        # Beyond the profile, and run: the target declared the capability, so that it is held to it.
        elif result.verdict is not Verdict.SKIP:
            deciding.append(result)
    return Split(replace(report, results=deciding), tuple(probation))
