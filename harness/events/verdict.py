"""How a test can end, and whose fault that is."""

from __future__ import annotations

from enum import StrEnum


# In this order: of several bad results of one test the one whose verdict stands last here counts.
class Verdict(StrEnum):
    """The outcome of one test in one variant.

    `FLAKY` is a pass that needed a rerun; it is never reported as a plain pass. `BLOCKED` went wrong as a test did without which it cannot
    pass, or found the target dead. `NOT_RUN` was collected, but the run ended before the test did; a report with it is incomplete.
    """

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    FLAKY = "flaky"
    BLOCKED = "blocked"
    NOT_RUN = "not-run"

    @property
    def good(self) -> bool:
        """Whether a run with only such verdicts ends with status 0."""
        return self in (Verdict.PASS, Verdict.SKIP)


class Blame(StrEnum):
    """Whose fault a verdict is: the runtime under test, the tests and their harness, or what starts and reaches the runtime."""

    TARGET = "target"
    HARNESS = "harness"
    ADAPTER = "adapter"
    NOBODY = ""
