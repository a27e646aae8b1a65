"""The cause of a flake: what is named is right, over many seeds and several rates of every kind, and else nothing is named."""

from __future__ import annotations

import asyncio

import pytest

from harness.flake.attribution import settle
from harness.flake.causes import Cause, Condition, Observed, judge, probabilities
from harness.flake.loops import Tally
from harness.flake.stats import CONFIDENCE
from harness.identity import TestId
from tests.harness.kinds import MODELS, RIGHT, by_kind, matrix, right_when_said

DRAWS = 25
"""Per model; each kind has at least two models. `docs/explanation/attribution.md` shows a thousand."""


def _seen(restart=(0, 10), alone=(0, 10), contention=(0, 10), shuffled=(0, 10)) -> dict[Condition, Observed]:
    return {Condition(name): Observed(*counts) for name, counts in locals().items()}


@pytest.mark.parametrize(
    ("seen", "cause"),
    [
        (_seen((12, 40), (11, 40), (13, 40), (12, 40)), Cause.RACE),
        (_seen(contention=(4, 10)), Cause.LOAD),
        (_seen((1, 30), (0, 30), (25, 30), (0, 30)), Cause.LOAD),
        (_seen((3, 9), (3, 9), (9, 9), (2, 9)), Cause.LOAD),
        (_seen(shuffled=(6, 10)), Cause.ORDER),
        (_seen(alone=(9, 10), shuffled=(4, 10)), Cause.ORDER),
        # What never comes back has no cause to name, whatever it did before, and neither have few runs.
        (_seen(), Cause.UNKNOWN),
        (_seen((0, 100), (0, 100), (0, 100), (0, 100)), Cause.UNKNOWN),
        (_seen((0, 3), (1, 3), (1, 3), (0, 3)), Cause.UNKNOWN),
        (_seen((1, 6), (1, 6), (2, 6), (1, 6)), Cause.UNKNOWN),
        (_seen((0, 0), (0, 0), (0, 0), (0, 0)), Cause.UNKNOWN),
    ],
)
def test_a_cause_is_named_when_it_is_clear(seen, cause):
    assert judge({"target"}, seen) is cause


def test_blame_alone_tells_a_fault_of_the_harness():
    assert judge({"harness", "adapter"}, _seen()) is Cause.HARNESS
    assert judge({"harness", "target"}, _seen()) is Cause.UNKNOWN


def test_probabilities_are_some_and_an_alone_failure_excludes_order():
    found = probabilities(_seen((1, 10)))
    assert sum(found.values()) == pytest.approx(1)
    assert found[Cause.ORDER] == found[Cause.UNKNOWN] == 0
    even = probabilities(_seen((0, 0), (0, 0), (0, 0), (0, 0)))
    assert list(even.values()) == pytest.approx([0.25] * 4)


def test_the_confusion_matrix():
    """Over 25 seeds of every model: of each cause that is named 95 % is right, and of each kind most is named."""
    kinds = by_kind(matrix(DRAWS))
    right = right_when_said(kinds)
    for cause in (Cause.RACE, Cause.LOAD, Cause.ORDER, Cause.HARNESS):
        assert right[cause] >= CONFIDENCE, (cause, kinds)
    for kind, said in kinds.items():
        assert said.total() >= 2 * DRAWS
        assert said[RIGHT[kind]] / said.total() >= 0.9, (kind, said)


def test_too_few_replays_name_nothing_rather_than_something_wrong():
    """With six replays per condition a race of one in two that lacks its failures by chance was once taken for load."""
    found = matrix(60, [model for model in MODELS if model.kind in ("race", "load")], most=6)
    wrong = sum(said[cause] for model, said in found.items() for cause in said if cause not in (RIGHT[model.kind], Cause.UNKNOWN))
    assert wrong / sum(said.total() for said in found.values()) <= 1 - CONFIDENCE


def test_replays_end_with_the_cause_and_with_the_budget():
    asked: list[int] = []

    async def replay(condition: Condition, numbers: range) -> Observed:
        asked.append(len(numbers))
        return Observed(0, len(numbers))

    tally = Tally(TestId("alpha", "test_x"), 10, 3, blames={"target"})
    found = asyncio.run(settle(tally, replay, 20))
    assert (found.cause, found.seen[Condition.ALONE]) == (Cause.UNKNOWN, Observed(0, 20))
    assert asked == [9] * 4 + [9] * 4 + [2] * 4
    asked.clear()
    tally.blames = {"harness"}
    assert asyncio.run(settle(tally, replay, 20)).cause is Cause.HARNESS
    assert asked == []
