"""Flaky tests of every kind as failure rates under each condition, and how often their cause is named right: a confusion matrix.

The real rule replays the real number of times; only a coin stands for the run of a test.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

from harness.flake.attribution import MOST, settle
from harness.flake.causes import Cause, Condition, Observed
from harness.flake.loops import Tally
from harness.identity import TestId

LOOPS = 20


@dataclass(frozen=True)
class Model:
    """Failure rates of one test: while it is looped, and under each condition."""

    kind: str
    looped: float
    restart: float
    alone: float
    contention: float
    shuffled: float
    blames: frozenset[str] = frozenset({"target"})

    def rate(self, condition: Condition) -> float:
        return getattr(self, condition.value)


def race(rate: float, **more) -> Model:
    return Model("race", rate, rate, rate, rate, rate, **more)


def load(calm: float, busy: float) -> Model:
    """What never fails on a calm machine failed because something else was going on in the loops."""
    return Model("load", calm or 0.1, calm, calm, busy, calm)


def order(among: float, after_itself: float = 0.0) -> Model:
    return Model("order", among, 0.0, after_itself, 0.0, among)


def gone(rate: float) -> Model:
    return Model("none", rate, 0.0, 0.0, 0.0, 0.0)


def ours(rate: float) -> Model:
    made = race(rate, blames=frozenset({"harness"}))
    return Model("harness", *(getattr(made, name) for name in ("looped", "restart", "alone", "contention", "shuffled", "blames")))


MODELS = (
    *(race(rate) for rate in (0.05, 0.1, 0.3, 0.5, 0.8)),
    *(load(calm, busy) for calm, busy in ((0.0, 0.3), (0.0, 0.9), (0.05, 0.3), (0.1, 0.5), (0.3, 1.0))),
    *(order(among, after) for among, after in ((0.2, 0.0), (0.5, 0.0), (0.9, 0.0), (0.5, 0.5), (0.3, 0.9))),
    *(gone(rate) for rate in (0.05, 0.2)),
    *(ours(rate) for rate in (0.1, 0.5)),
)
BORDER = (
    Model("race", 0.2, 0.2, 0.2, 0.33, 0.2),
    Model("load", 0.2, 0.2, 0.2, 0.43, 0.2),
    Model("load", 0.2, 0.2, 0.2, 0.5, 0.2),
    Model("load", 0.2, 0.2, 0.2, 0.6, 0.2),
    order(0.05),
    Model("race", 0.02, 0.02, 0.02, 0.02, 0.02),
)
"""Odds raised 2, 3, 4 and 6 times, and failures so rare that eighty replays see few."""
RIGHT = {"race": Cause.RACE, "load": Cause.LOAD, "order": Cause.ORDER, "harness": Cause.HARNESS, "none": Cause.UNKNOWN}


def attributed(model: Model, seed: int, most: int = MOST) -> Cause:
    """What is said of one test of this kind that failed at least once in the loops."""
    draw = random.Random(f"{model}:{seed}")

    def runs(rate: float, count: int) -> Observed:
        return Observed(sum(draw.random() < rate for _ in range(count)), count)

    looped = Observed()
    while not looped.failures:
        looped = runs(model.looped, LOOPS)

    async def replay(condition: Condition, numbers: range) -> Observed:
        return runs(model.rate(condition), len(numbers))

    tally = Tally(TestId("alpha", "test_x"), looped.runs, looped.failures, blames=set(model.blames))
    return asyncio.run(settle(tally, replay, most)).cause


def matrix(draws: int, models=MODELS, most: int = MOST) -> dict[Model, Counter[Cause]]:
    """How often each cause is named, per model."""
    return {model: Counter(attributed(model, seed, most) for seed in range(draws)) for model in models}


def by_kind(found: dict[Model, Counter[Cause]]) -> dict[str, Counter[Cause]]:
    kinds: dict[str, Counter[Cause]] = {}
    for model, said in found.items():
        kinds[model.kind] = kinds.get(model.kind, Counter()) + said
    return kinds


def right_when_said(kinds: dict[str, Counter[Cause]]) -> dict[Cause, float]:
    """Of what is said, how much is right, when every kind is as frequent as every other."""
    shares = {kind: {cause: count / said.total() for cause, count in said.items()} for kind, said in kinds.items()}
    return {
        cause: shares[kind].get(cause, 0.0) / total
        for kind, cause in RIGHT.items()
        if (total := sum(one.get(cause, 0.0) for one in shares.values()))
    }
