"""What a gate does about tests that the ledger calls flaky: count their runs, run failing ones again, hold the rate against all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.interruptible import run_interruptibly
from harness.cli.progress import RunProgress
from harness.flake.recheck import recheck
from harness.flake.sequential import Decision
from harness.ledger import history
from harness.ledger.flaky import MEASURE, Claim, claims
from harness.ledger.gate import Finding, Kind
from harness.ledger.history import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.events.results import RunReport
    from harness.identity import TestId
    from harness.ledger.model import Ledger
    from harness.run.request import RunRequest

    Counts = dict[TestId, tuple[int, int]]


def settle(ledger: Ledger, path: Path, report: RunReport, request: RunRequest | None, files: Sequence[Path]) -> list[Finding]:
    """Decide about the tests of a report that have a rate, and write down what was seen.

    With a request, tests are run again until they are decided. Results of files cannot be, so what they add to the history decides.

    Raises:
        UsageError: the history cannot be read or written.
    """
    stated = claims(ledger, [result.id for result in report.results])
    # A run that is not complete fails as it is, and says nothing of rates.
    if not stated or report.problems:
        return []
    place = history.place(path)
    past = history.read(place)
    # Also those that passed: a rate is failures per run, and runs that went well are most of them.
    counts: Counts = {one.id: got for one in report.results if one.id in stated and (got := history.counted(one)) is not None}
    odd = {one.id for one in report.results if one.id in counts and stated[one.id].surprised_by(one.verdict)}
    found: list[Finding] = []
    if request is None:
        sources, kind = history.of_files(files), Source.IMPORT
        # Test by test, as a file may have been counted for one ledger entry before another was written.
        known = {(one.test, digest) for one in past for digest in one.sources}
        counts = {test: got for test, got in counts.items() if not any((str(test), digest) in known for digest in sources)}
    else:
        sources, kind = history.of_run(), Source.GATE
        found = _repeat(request, {test: stated[test] for test in odd}, counts, report)
    lines = [history.line(test, kind, got, sources) for test, got in sorted(counts.items())]
    # Written whatever the verdict: leaving out gates that failed would make every rate look lower than it is.
    history.append(place, lines)
    # One finding per test: what this gate decided goes before what the history says.
    decided = {one.subject for one in found}
    return [*found, *(one for one in _remembered(stated, [*past, *lines], odd) if one.subject not in decided)]


def _repeat(request: RunRequest, suspects: dict[TestId, Claim], counts: Counts, report: RunReport) -> list[Finding]:
    """Run again what ended in its rarer way; `counts` take in what that shows, `report` what went wrong."""
    if not suspects:
        return []
    with RunProgress(f"again: {len(suspects)} tests that do not always end the same way") as progress:
        asked = {test: claim.decide for test, claim in suspects.items()}
        looped = run_interruptibly(lambda stop: recheck(request, asked, counts, progress.event, stop))
    report.problems += looped.problems
    # The repeated runs go into the history as well, with the failure that made the test a suspect.
    counts |= {tally.id: (tally.failures, tally.runs) for tally in looped.tallies if tally.id in suspects}
    return [_finding(suspects[test], looped.decisions.get(test, Decision.OPEN), counts[test]) for test in sorted(suspects)]


def _finding(claim: Claim, decision: Decision, counts: tuple[int, int]) -> Finding:
    seen = f"{claim.rare(*counts)} {claim.rare_outcome} in {counts[1]} runs"
    if decision is Decision.ABOVE:
        return Finding(Kind.CONTRADICTED, str(claim.test), f"{seen} are more than the rate of {claim.rate:g} explains; {MEASURE}")
    if decision is Decision.OPEN:
        return Finding(Kind.UNDECIDED, str(claim.test), f"{seen} neither fit the rate of {claim.rate:g} nor contradict it; {MEASURE}")
    return Finding(Kind.FLAKE, str(claim.test), f"{seen}; its rate of {claim.rate:g} allows that")


def _remembered(stated: dict[TestId, Claim], lines: list[history.Line], odd: set[TestId]) -> Iterator[Finding]:
    for test, claim in stated.items():
        blocks = history.since_measured(lines, test)
        seen = (
            f"{sum(claim.rare(*one) for one in blocks)} {claim.rare_outcome} in {sum(one[1] for one in blocks)} runs of {len(blocks)} gates"
        )
        if claim.contradicted_by(blocks):
            yield Finding(Kind.CONTRADICTED, str(test), f"{seen} are more than the rate of {claim.rate:g} explains; {MEASURE}")
        elif test in odd:
            yield Finding(Kind.FLAKE, str(test), f"{seen} do not contradict the rate of {claim.rate:g}")
