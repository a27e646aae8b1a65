"""How sure a count of failures makes us of a failure rate, when the number of runs was fixed beforehand.

What looks at the counts while they grow needs `harness.flake.sequential`.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95


def upper_bound(failures: int, runs: int, confidence: float = CONFIDENCE) -> float:
    """The exact (Clopper-Pearson) one-sided upper bound of a failure rate.

    For runs of different tests together it bounds the mean of their rates: for independent runs of unequal rates the tail is no larger than
    for equal ones (Hoeffding 1956).

    It is the rate at which seeing `failures` or fewer in `runs` independent runs has probability `1 - confidence`. With no failures it is
    `1 - (1 - confidence) ** (1 / runs)`, about `3 / runs`.

    Raises:
        ValueError: there are no runs, or more failures than runs.
    """
    if runs <= 0 or not 0 <= failures <= runs:
        raise ValueError(f"{failures} failures in {runs} runs")
    if failures == runs:
        return 1.0
    # By halving and without scipy: one function is no reason for a library that is larger than all of the rest.
    tail = 1 - confidence
    if failures == 0:
        return 1 - math.pow(tail, 1 / runs)
    low, high = failures / runs, 1.0
    # The distribution function falls strictly in the rate; 60 halvings exhaust a double.
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(failures, runs, middle) > tail:
            low = middle
        else:
            high = middle
    return high


def lower_bound(failures: int, runs: int, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided lower bound of a failure rate; the mirror image of `upper_bound`.

    Raises:
        ValueError: there are no runs, or more failures than runs.
    """
    return 1 - upper_bound(runs - failures, runs, confidence)


def runs_for_bound(rate: float, confidence: float = CONFIDENCE) -> int:
    """How many runs without a failure it takes to bound the failure rate by `rate`.

    Raises:
        ValueError: the rate is not between 0 and 1.
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate {rate} is not between 0 and 1")
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))


def _at_most(failures: int, runs: int, rate: float) -> float:
    """Probability of at most `failures` in `runs`, summed in logarithms so that large counts do not overflow."""
    if rate >= 1.0:
        return 0.0
    total = 0.0
    for count in range(failures + 1):
        log = math.lgamma(runs + 1) - math.lgamma(count + 1) - math.lgamma(runs - count + 1)
        total += math.exp(log + count * math.log(rate) + (runs - count) * math.log1p(-rate))
    return total
