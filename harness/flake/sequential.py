"""Deciding about a failure rate while it is being measured, with an error that holds however often one looks.

A bound for a fixed number of runs, looked at after every run, is wrong far more often than it says. So evidence is counted instead as the
wealth of a gambler who bets against a claim. Let the claim be "the rate is at least b", and q < b another rate. Over runs of which some
fail,

    M = product of (q / b) per failure and ((1 - q) / (1 - b)) per pass

has a conditional mean of at most 1 per run whenever the claim is true: the factor of a failure is the smaller one, and at exactly b the bet
is fair. So M is a non-negative supermartingale that begins at 1, also when the rate differs from run to run as long as every run obeys the
claim, and also when the past decides whether and what is run next. Mixtures of such M over q are supermartingales too (Robbins 1970). By
Ville's inequality (1939) a true claim lets M *ever* reach 1/a with a chance of at most a. Rejecting it then is wrong with at most a,
whenever one stops.

A rate below b is found in the end with certainty, and so is one above by the mirror image. At exactly b neither may ever be. Over N tests
each gets a/N (Bonferroni), which needs no independence. Rates are failures per run, from 0 to 1; evidence is the natural logarithm of M.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ERROR = 0.05
"""The chance that a run states anything wrong, over all its tests."""
# Beyond that, alternatives differ from the bound by less than any number of runs that somebody waits for can show.
DEPTH = 12
"""How many alternatives are bet on. Each lies half as far from the bound as the one before and gets half its stake."""


class Decision(StrEnum):
    """What runs say of a bound: the rate is at most that, or more, or they do not tell yet."""

    BELOW = "below"
    ABOVE = "above"
    OPEN = "open"


def evidence_below(failures: int, runs: int, bound: float) -> float:
    """The evidence against "the rate is at least `bound`".

    The first and largest stake is on a test that never fails, so runs without a failure count for almost all they can.

    Raises:
        ValueError: the bound is not between 0 and 1, or the counts are impossible.
    """
    return _mixture(failures, runs, bound, _alternatives_below(bound))


def evidence_above(failures: int, runs: int, bound: float) -> float:
    """The evidence against "the rate is at most `bound`"; the mirror image of `evidence_below`.

    Raises:
        ValueError: the bound is not between 0 and 1, or the counts are impossible.
    """
    return evidence_below(runs - failures, runs, 1 - bound)


def decide(failures: int, runs: int, bound: float, error: float = ERROR) -> Decision:
    """Whether the rate is at most `bound` or more; wrong with a chance of at most `error`, whenever it is asked.

    Divide `error` by the number of tests that are decided side by side.
    """
    needed = -math.log(error)
    if evidence_below(failures, runs, bound) >= needed:
        return Decision.BELOW
    return Decision.ABOVE if evidence_above(failures, runs, bound) >= needed else Decision.OPEN


def clean_runs(bound: float, error: float = ERROR) -> int:
    """After how many runs without a failure `decide` says that the rate is at most `bound`."""
    # Doubled, then halved: evidence grows with every clean run, so the border is found in steps of a logarithm.
    high = 1
    while decide(0, high, bound, error) is Decision.OPEN:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if decide(0, middle, bound, error) is Decision.OPEN else (low, middle)
    return high


def evidence_of_history(blocks: Sequence[tuple[int, int]], bound: float) -> float:
    """The evidence against "the rate was at most `bound` all the time", from (failures, runs) in the order of time.

    A rate that rose later would be hidden behind a long good past. So the stakes are shared out over the blocks from which a gambler may
    begin to bet, 1/2 on the first, 1/6 on the second, 1/12, ..., which costs little and is again a mixture of supermartingales.
    """
    total, since = 0.0, [0.0] * len(_alternatives_below(1 - bound))
    alternatives = [1 - rate for rate in _alternatives_below(1 - bound)]
    parts = [math.log(1 / (len(blocks) + 1))]
    # From the last block backwards, so that what each beginning would have won by now is one more addition.
    for place in range(len(blocks), 0, -1):
        failures, runs = blocks[place - 1]
        _check(failures, runs, bound)
        since = [won + _gain(failures, runs, rate, bound) for won, rate in zip(since, alternatives, strict=True)]
        total = _log_sum(stake + won for stake, won in zip(_stakes(len(since)), since, strict=True))
        parts.append(total - math.log(place * (place + 1)))
    return _log_sum(parts)


def _alternatives_below(bound: float) -> list[float]:
    return [bound * (1 - 0.5**step) for step in range(DEPTH)]


def _stakes(count: int) -> list[float]:
    # The last two are equal, so that they add up to 1.
    return [-math.log(2) * min(step + 1, count - 1) for step in range(count)]


def _mixture(failures: int, runs: int, bound: float, alternatives: Sequence[float]) -> float:
    _check(failures, runs, bound)
    gains = (_gain(failures, runs, rate, bound) for rate in alternatives)
    return _log_sum(stake + gain for stake, gain in zip(_stakes(len(alternatives)), gains, strict=True))


def _gain(failures: int, runs: int, rate: float, bound: float) -> float:
    """The logarithm of what a bet on `rate` against `bound` has won."""
    won = 0.0
    # Apart from the passes, as zero failures at a rate of zero are certain, though the logarithm of zero is not a number.
    if failures:
        won += failures * math.log(rate / bound) if rate > 0 else -math.inf
    if runs > failures:
        won += (runs - failures) * (math.log1p(-rate) - math.log1p(-bound)) if rate < 1 else -math.inf
    return won


def _log_sum(logarithms: Iterable[float]) -> float:
    some = list(logarithms)
    # The greatest is taken out first, or the exponentials of hundreds of runs would be zero, all of them.
    most = max(some)
    return most if most == -math.inf else most + math.log(math.fsum(math.exp(one - most) for one in some))


def _check(failures: int, runs: int, bound: float) -> None:
    if not 0 < bound < 1:
        raise ValueError(f"bound {bound} is not between 0 and 1")
    if not 0 <= failures <= runs:
        raise ValueError(f"{failures} failures in {runs} runs")
