"""From what pytest saw of a test to its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from harness.errors import Blocked, HarnessError, Inconclusive, SchemaViolation, TargetError, TimedOut, TimingMissed
from harness.events.verdict import Blame, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


_RANK = {Verdict.PASS: 0, Verdict.SKIP: 1, Verdict.INCONCLUSIVE: 2, Verdict.BLOCKED: 3, Verdict.FAIL: 4, Verdict.ERROR: 5}


class NoExpectedFailure(HarnessError):
    """A test is marked as failing, or says so itself."""

    def __init__(self) -> None:
        super().__init__("xfail is no verdict of the corpus; what fails on a target is listed in its ledger")


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase (setup, call, teardown) contributes."""

    verdict: Verdict
    message: str = ""
    detail: str = ""
    blame: Blame = Blame.NOBODY
    blocked_by: str = ""


def phase_verdict(report: pytest.TestReport, raised: BaseException | None) -> Phase:
    """Judge one phase of one test.

    A failing assertion is the target's fault only while the test itself runs: what goes wrong before and after is the harness's.
    """
    if report.passed:
        return Phase(Verdict.PASS)
    message = _message(report, raised)
    if report.skipped:
        return Phase(Verdict.SKIP, message)
    if isinstance(raised, Blocked):
        return Phase(Verdict.BLOCKED, str(raised), blame=Blame.ADAPTER, blocked_by=raised.by)
    if isinstance(raised, Inconclusive):
        return Phase(Verdict.INCONCLUSIVE, message)
    if isinstance(raised, SchemaViolation):
        return Phase(Verdict.FAIL, message, report.longreprtext, Blame.TARGET)
    if report.when != "call" or _is_ours(raised):
        blame = Blame.ADAPTER if isinstance(raised, TargetError) else Blame.HARNESS
        return Phase(Verdict.ERROR, message, report.longreprtext, blame)
    return Phase(Verdict.FAIL, message, report.longreprtext, Blame.TARGET)


def refuse_xfail(report: pytest.TestReport) -> HarnessError | None:
    """Make an expected failure, met or not, a plain one, and say why: what is expected of a target is written in its ledger."""
    if not hasattr(report, "wasxfail"):
        return None
    del report.wasxfail
    refused = NoExpectedFailure()
    report.outcome, report.longrepr = "failed", str(refused)
    return refused


LATE = (TimingMissed, TimedOut, TimeoutError, httpx.TimeoutException)
"""What a machine that stood still can do to a test: a limit of time passes, or timers that are due together fire in another order."""


def excuse_stall(phase: Phase, seconds: float, raised: BaseException | None) -> Phase:
    """A test that came too late while the machine stood still proves nothing; a wrong value is wrong all the same.

    A pass stays a pass: standing still makes nothing happen earlier, and what must not happen meanwhile is proved by a witness.
    """
    if phase.verdict is not Verdict.FAIL or not _late(raised):
        return phase
    return Phase(Verdict.INCONCLUSIVE, f"the machine stood still for {seconds:.2f} s meanwhile: {phase.message}", phase.detail)


def _late(raised: BaseException | None) -> bool:
    if isinstance(raised, BaseExceptionGroup):
        return all(_late(one) for one in raised.exceptions)
    return isinstance(raised, LATE)


def excuse_leftovers(phase: Phase, earlier: Sequence[Phase], raised: BaseException | None) -> Phase:
    """A warning in the teardown of a test that went wrong before: what it left behind has the cause of its failure."""
    if isinstance(raised, Warning) and any(not one.verdict.good for one in earlier):
        return Phase(Verdict.PASS)
    return phase


def combine(phases: Sequence[Phase]) -> Phase:
    """The phase that decides the test: the worst, the first of equals."""
    return max(phases, key=lambda phase: _RANK[phase.verdict])


def _is_ours(raised: BaseException | None) -> bool:
    """Whether the test or the harness is at fault: also when a warning was raised, or one of a group is such."""
    if isinstance(raised, BaseExceptionGroup):
        return any(_is_ours(one) for one in raised.exceptions)
    return isinstance(raised, (HarnessError, Warning))


def _message(report: pytest.TestReport, raised: BaseException | None) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    if raised is None:
        return report.longreprtext.strip().splitlines()[-1] if report.longreprtext.strip() else str(report.outcome)
    first = (str(raised).strip().splitlines() or [""])[0]
    name = type(raised).__name__
    return first if isinstance(raised, (AssertionError, Inconclusive)) and first else f"{name}: {first}".rstrip(": ")
