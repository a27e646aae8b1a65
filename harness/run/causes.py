"""Naming the cause of a flaky test from how often it failed under four conditions, or saying that they do not tell.

Each kind of flake is a model of the failure rates under the conditions:

    race    the same rate everywhere
    load    one rate on a calm machine, maybe zero, and odds at least three times as high on a busy one
    order   never alone on a fresh target, busy or not; some rate among other tests; after itself either never or at some rate
    none    never again: what made it fail while it was looped is not there any more

Rates that a model leaves open are equally likely from 0 to 1, and the kinds are equally likely beforehand. What was seen then gives each
kind a probability (Bayes' theorem). A cause is named when its probability is at least 95 %, so that, as far as the models hold, 95 % of
what is named is right, however many replays it took. `docs/attribution.md` has the confusion matrices that were measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.stats import CONFIDENCE
from harness.verdicts import Blame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

ODDS = 3.0
"""A test whose odds to fail a busy machine raises less than this is called a race: every race moves with load a little."""
GRID = tuple((place + 0.5) / 60 for place in range(60))
"""The rates over which models are averaged; fine enough for the hundreds of replays there are."""


class Condition(StrEnum):
    """How a test is replayed."""

    RESTART = "restart"
    """Alone, every time on a freshly started target."""
    ALONE = "alone"
    """Alone, again and again on the same target."""
    CONTENTION = "contention"
    """Alone and fresh, on a machine that is busy."""
    SHUFFLED = "shuffled"
    """With its suite, in random orders."""


class Cause(StrEnum):
    """What makes a test fail now and then."""

    HARNESS = "harness"
    RACE = "race in the target"
    LOAD = "load-sensitive"
    ORDER = "order-dependent"
    UNKNOWN = "not attributed"


@dataclass(frozen=True, slots=True)
class Observed:
    """Failures in runs under one condition."""

    failures: int = 0
    runs: int = 0

    def __add__(self, other: Observed) -> Observed:
        return Observed(self.failures + other.failures, self.runs + other.runs)


def judge(blames: Collection[str], seen: Mapping[Condition, Observed]) -> Cause:
    """Name the cause, or `UNKNOWN`. A test whose every failure is blamed on harness or adapter needs no replays."""
    if blames and set(blames) <= {str(Blame.HARNESS), str(Blame.ADAPTER)}:
        return Cause.HARNESS
    cause, chance = max(probabilities(seen).items(), key=lambda one: one[1])
    return cause if chance >= CONFIDENCE else Cause.UNKNOWN


def probabilities(seen: Mapping[Condition, Observed]) -> dict[Cause, float]:
    """How likely each kind is after what was seen; `UNKNOWN` is that the failure does not come back."""
    weights = {Cause.RACE: _race(seen), Cause.LOAD: _load(seen), Cause.ORDER: _order(seen), Cause.UNKNOWN: _none(seen)}
    most = max(weights.values())
    shares = {cause: math.exp(weight - most) for cause, weight in weights.items()}
    return {cause: share / math.fsum(shares.values()) for cause, share in shares.items()}


def _race(seen: Mapping[Condition, Observed]) -> float:
    return _mean(_likelihoods(_sum(seen.values())))


def _load(seen: Mapping[Condition, Observed]) -> float:
    busy = _likelihoods(seen[Condition.CONTENTION])
    calm = _sum(one for condition, one in seen.items() if condition is not Condition.CONTENTION)
    only_busy = _never(calm) + _mean(busy)
    worse: list[float] = []
    for rate, likelihood in zip(GRID, _likelihoods(calm), strict=True):
        raised = ODDS * rate / (1 - rate)
        higher = [one for other, one in zip(GRID, busy, strict=True) if other / (1 - other) >= raised]
        if higher:
            worse.append(likelihood + _mean(higher))
    return _mean([only_busy, _mean(worse)])


def _order(seen: Mapping[Condition, Observed]) -> float:
    alone = seen[Condition.ALONE]
    fresh = seen[Condition.RESTART] + seen[Condition.CONTENTION]
    return _never(fresh) + _mean(_likelihoods(seen[Condition.SHUFFLED])) + _mean([_never(alone), _mean(_likelihoods(alone))])


def _none(seen: Mapping[Condition, Observed]) -> float:
    return _never(_sum(seen.values()))


def _sum(some: Iterable[Observed]) -> Observed:
    return sum(some, Observed())


def _never(seen: Observed) -> float:
    """The log-likelihood of a rate of zero."""
    return -math.inf if seen.failures else 0.0


def _likelihoods(seen: Observed) -> list[float]:
    """The log-likelihood of every rate of the grid."""
    return [seen.failures * math.log(rate) + (seen.runs - seen.failures) * math.log1p(-rate) for rate in GRID]


def _mean(logarithms: Sequence[float]) -> float:
    """The logarithm of the mean of what the logarithms are of."""
    most = max(logarithms)
    return most if most == -math.inf else most + math.log(math.fsum(math.exp(one - most) for one in logarithms) / len(logarithms))
