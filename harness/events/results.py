"""What a run found, as values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.events.verdict import Verdict
from harness.identity import has_no_encoding
from harness.requirements.sets import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.identity import TestId


@dataclass(frozen=True, slots=True)
class TestResult:
    """The verdict of one test in one variant."""

    __test__ = False

    id: TestId
    verdict: Verdict
    message: str = ""
    detail: str = ""
    seconds: float = 0.0
    attempts: int = 1
    failures: int | None = None
    """How many of the attempts failed, when each was a run of its own; None when attempts only went on until one passed."""
    requirements: tuple[str, ...] = ()
    doc: str = ""
    timing: bool = False
    witnesses: Mapping[str, Any] = field(default_factory=dict)
    blame: str = ""
    bundle: str = ""
    stall: float = 0.0
    blocked_by: str = ""
    timeline: Sequence[Mapping[str, Any]] = ()
    encoded: bool | None = None
    """Whether the test made use of its encoding; None when nobody looked."""
    standing: Standing = Standing.DECIDES


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests of one suite in one variant ended how."""

    collected: int = 0
    passed: int = 0
    skipped: int = 0
    flaky: int = 0
    failed: int = 0
    not_run: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """The numbers in the order of the fields."""
        return (self.collected, self.passed, self.skipped, self.flaky, self.failed, self.not_run)


@dataclass(slots=True)
class RunReport:
    """Everything one run found.

    Attributes:
        session: the `session` event of the run (target, time, profile, ...).
        results: one per collected test, in the order of the corpus.
        problems: what kept the run from being complete; not verdicts but faults of the environment or of the use.
        seconds: real time of the whole run.
    """

    session: dict[str, Any] = field(default_factory=dict)
    results: list[TestResult] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def bad(self) -> list[TestResult]:
        """The results that are neither pass nor skip."""
        return [result for result in self.results if not result.verdict.good]

    @property
    def without_window(self) -> list[str]:
        """The timing tests, whatever their variants, that passed although no window was seen of them."""
        lacking = [result for result in self.results if result.timing and result.verdict is Verdict.PASS and not result.witnesses]
        return sorted({result.id.test for result in lacking})

    @property
    def status(self) -> int:
        """The exit status: 2 when the account is incomplete, else 1 when a verdict is bad, else 0."""
        # An incomplete account before bad verdicts: a run that lost half of its tests must not look like one with two failures.
        if self.problems or not self.results or any(result.verdict is Verdict.NOT_RUN for result in self.results):
            return 2
        return 1 if self.bad else 0

    def counts(self) -> dict[tuple[str, str], Counts]:
        """Counts per suite and variant, sorted."""
        tally: dict[tuple[str, str], Counter[str]] = {}
        for result in self.results:
            tally.setdefault((result.id.suite, result.id.variant), Counter())[result.verdict] += 1
        return {
            place: Counts(
                collected=verdicts.total(),
                passed=verdicts[Verdict.PASS],
                skipped=verdicts[Verdict.SKIP],
                flaky=verdicts[Verdict.FLAKY],
                failed=verdicts[Verdict.FAIL] + verdicts[Verdict.ERROR] + verdicts[Verdict.INCONCLUSIVE] + verdicts[Verdict.BLOCKED],
                not_run=verdicts[Verdict.NOT_RUN],
            )
            for place, verdicts in sorted(tally.items())
        }


def once(results: Iterable[TestResult]) -> list[TestResult]:
    """The results, those of one test without an encoding put together: of runs in several encodings each has it, and the worst counts."""
    kept: list[TestResult] = []
    places: dict[TestId, int] = {}
    for result in results:
        # Only those without an encoding: another double result is a fault that must be seen.
        place = places.setdefault(result.id, len(kept)) if has_no_encoding(result.id.variant) else len(kept)
        if place == len(kept):
            kept.append(result)
        elif _badness(result) > _badness(kept[place]):
            kept[place] = result
    return kept


def _badness(result: TestResult) -> tuple[bool, int]:
    return not result.verdict.good, list(Verdict).index(result.verdict)
