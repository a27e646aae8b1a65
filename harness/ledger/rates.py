"""Which rate a measurement of a flaky test supports. All rates are failures per run, with the number of runs fixed beforehand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.flake.stats import lower_bound, upper_bound

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_RATE = 0.5
"""What fails more often than it passes is broken, not flaky."""
SURE = 0.99
"""The confidence with which a measurement contradicts a rate."""


def contradictions(rate: float, failures: int, runs: int, counted: str = "failures") -> Iterator[str]:
    """Why a measurement is no evidence for a rate, as sentences; nothing when it is. `counted` is the word for what was counted."""
    seen = f"{failures} {counted} in {runs} runs"
    # One that never failed, or never passed, was not seen to be flaky, whatever the numbers allow.
    if not 0 < failures < runs:
        yield f"{seen}: a flaky test was seen to fail and to pass"
        return
    low, high = lower_bound(failures, runs, SURE), upper_bound(failures, runs, SURE)
    if rate > MOST_RATE:
        yield f"a rate of {rate:g} is above {MOST_RATE:g}: the test is broken rather than flaky"
    elif low > rate:
        yield f"{seen} contradict a rate of {rate:g}: it is at least {low:.3f}"
    elif high < rate:
        yield f"nobody measured a rate of {rate:g}: {seen} are at most {high:.3f}"
    # A measurement of two runs would otherwise support nearly every rate.
    elif upper_bound(failures, runs) > clearly_above(rate):
        yield f"{seen} are too few to tell a rate of {rate:g} from one of {clearly_above(rate):g}"


def rate_of(failures: int, runs: int) -> float:
    """The rate to state after a measurement: its upper bound at 95 %, at most `MOST_RATE`.

    Raises:
        ValueError: the measurement supports none; the message is a sentence.
    """
    # Rounded up, so that a ledger reads well.
    rate = min(MOST_RATE, math.ceil(upper_bound(failures, runs) * 1000) / 1000) if runs else MOST_RATE
    for sentence in contradictions(rate, failures, runs):
        raise ValueError(sentence)
    return rate


def clearly_above(rate: float) -> float:
    """Halfway from a rate to failing always: the nearest rate that one gate must not take for it."""
    return (rate + 1) / 2
