"""Naming the cause of a flaky test from how often it failed under four conditions, or saying that they do not tell.

Each kind of flake is a model of the failure rates under the conditions:

    race    the same rate everywhere, but that a busy machine may raise the odds less than threefold: every race moves with load a little
    load    a busy machine raises the odds more than threefold, or it fails on a busy machine only
    order   never alone on a fresh target, busy or not; some rate among other tests; after itself either never or at some rate
    none    never again: what made it fail while it was looped is not there any more

Rates that a model leaves open are equally likely from 0 to 1, and the kinds are equally likely beforehand. What was seen then gives each
kind a probability (Bayes' theorem). A cause is named when its probability is at least 95 %, so that, as far as the models hold, 95 % of
what is named is right, however many replays it took. `docs/explanation/attribution.md` has the confusion matrices that were measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.events.verdict import Blame
from harness.flake.stats import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

RACE_RAISES = (1.0, 1.5, 2.0, 2.5)
LOAD_RAISES = (3.5, 6.0, 12.0, 50.0)
"""How often the odds are multiplied by a busy machine: a race, and a test that depends on load. Three, between them, is the border."""
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
    return _raised(seen, RACE_RAISES)


def _load(seen: Mapping[Condition, Observed]) -> float:
    only_busy = _never(_calm(seen)) + _mean(_likelihoods(seen[Condition.CONTENTION]))
    return _mean([only_busy, _raised(seen, LOAD_RAISES)])


def _raised(seen: Mapping[Condition, Observed], raises: Iterable[float]) -> float:
    calm, busy = _likelihoods(_calm(seen)), seen[Condition.CONTENTION]
    return _mean(
        [
            likelihood + _likelihood(busy, raised / (1 - rate + raised))
            for raising in raises
            for rate, likelihood in zip(GRID, calm, strict=True)
            for raised in [raising * rate]
        ]
    )


def _calm(seen: Mapping[Condition, Observed]) -> Observed:
    return _sum(one for condition, one in seen.items() if condition is not Condition.CONTENTION)


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
    return [_likelihood(seen, rate) for rate in GRID]


def _likelihood(seen: Observed, rate: float) -> float:
    return seen.failures * math.log(rate) + (seen.runs - seen.failures) * math.log1p(-rate)


def _mean(logarithms: Sequence[float]) -> float:
    """The logarithm of the mean of what the logarithms are of."""
    most = max(logarithms)
    return most if most == -math.inf else most + math.log(math.fsum(math.exp(one - most) for one in logarithms) / len(logarithms))
