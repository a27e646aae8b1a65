"""The bound on a failure rate."""

from __future__ import annotations

import math

import pytest

from harness.flake.stats import lower_bound, runs_for_bound, upper_bound


@pytest.mark.parametrize(
    ("failures", "runs", "bound"),
    # Exact one-sided 95 % Clopper-Pearson bounds: BetaInv(0.95; k + 1, n - k).
    [
        (0, 1, 0.95),
        (0, 10, 0.258866),
        (0, 20, 0.139108),
        (0, 100, 0.029513),
        (1, 10, 0.394163),
        (1, 100, 0.046560),
        (5, 20, 0.455582),
        (10, 10, 1.0),
    ],
)
def test_known_bounds(failures, runs, bound):
    assert upper_bound(failures, runs) == pytest.approx(bound, abs=1e-5)


@pytest.mark.parametrize(("failures", "runs"), [(1, 7), (3, 50), (40, 1000), (2, 100_000)])
def test_the_bound_is_where_so_few_failures_have_five_percent(failures, runs):
    bound = upper_bound(failures, runs)
    probability = math.fsum(math.comb(runs, k) * bound**k * (1 - bound) ** (runs - k) for k in range(failures + 1))
    assert probability == pytest.approx(0.05, rel=1e-6)


def test_the_rule_of_three():
    assert upper_bound(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert runs_for_bound(0.01) == 299
    assert upper_bound(0, 299) <= 0.01 < upper_bound(0, 298)


@pytest.mark.parametrize(("failures", "runs"), [(0, 0), (2, 1), (-1, 5)])
def test_impossible_counts_are_refused(failures, runs):
    with pytest.raises(ValueError, match="failures in"):
        upper_bound(failures, runs)


def test_the_interval_holds_the_true_rate_as_often_as_promised():
    """Over all outcomes of 20 runs at a rate of 0.3 each bound fails with at most 5 %, and both are not idle."""
    chance = [math.comb(20, k) * 0.3**k * 0.7 ** (20 - k) for k in range(21)]
    assert 0 < sum(p for k, p in enumerate(chance) if lower_bound(k, 20) > 0.3) <= 0.05
    assert 0 < sum(p for k, p in enumerate(chance) if upper_bound(k, 20) < 0.3) <= 0.05


def test_the_pooled_bound_holds_for_tests_of_unequal_rates():
    """Ten runs each at 0, 0.1 and 0.5: the mean rate is 0.2, and the bound of the sum misses it with at most 5 %."""
    chance = {0: 1.0}
    for rate in [0.0, 0.1, 0.5] * 10:
        chance = {k: chance.get(k, 0) * (1 - rate) + chance.get(k - 1, 0) * rate for k in range(len(chance) + 1)}
    assert 0 < sum(p for k, p in chance.items() if upper_bound(k, 30) < 0.2) <= 0.05
