"""Decisions that hold although they are looked for after every run: exactly, by simulation, and against what was there before."""

from __future__ import annotations

import functools
import math
import random

import pytest

from harness.flake.sequential import DEPTH, ERROR, Decision, clean_runs, decide, evidence_above, evidence_below, evidence_of_history
from harness.flake.stats import lower_bound, upper_bound

HORIZON = 600


def peeking(failures: int, runs: int, bound: float, error: float) -> Decision:
    """What bounds for a fixed number of runs say when they are looked at after every run."""
    if upper_bound(failures, runs, 1 - error) <= bound:
        return Decision.BELOW
    return Decision.ABOVE if lower_bound(failures, runs, 1 - error) > bound else Decision.OPEN


def chances(rate: float, bound: float, error: float, rule=decide, horizon: int = HORIZON) -> tuple[float, float]:
    """The exact chances of BELOW and ABOVE within `horizon` runs at a true rate, looking after each: a walk over all (failures, runs)."""
    alive, stated = {0: 1.0}, {Decision.BELOW: 0.0, Decision.ABOVE: 0.0, Decision.OPEN: 0.0}
    for runs in range(1, horizon + 1):
        reached: dict[int, float] = {}
        for failures, chance in alive.items():
            reached[failures] = reached.get(failures, 0.0) + chance * (1 - rate)
            reached[failures + 1] = reached.get(failures + 1, 0.0) + chance * rate
        alive = {}
        for failures, chance in reached.items():
            if chance > 1e-9:
                decision = rule(failures, runs, bound, error)
                stated[decision] += chance
                if decision is Decision.OPEN:
                    alive[failures] = chance
    return stated[Decision.BELOW], stated[Decision.ABOVE]


@pytest.mark.parametrize("bound", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("factor", [0.5, 0.999, 1.001, 1.5])
def test_the_exact_error_stays_below_five_percent_on_both_sides_of_the_bound_and_beyond(bound, factor):
    below, above = chances(bound * factor, bound, ERROR)
    wrong = above if factor < 1 else below
    assert 0 < wrong < ERROR
    # The rule is not idle either.
    if factor == 0.5 and bound >= 0.1:
        assert below > 0.9


def test_bounds_for_fixed_counts_would_err_several_times_as_often():
    below, _ = chances(0.2001, 0.2, ERROR, peeking, horizon=60)
    assert below > 2 * ERROR


@pytest.mark.parametrize(("bound", "rate"), [(0.05, 0.0499), (0.05, 0.0501), (0.3, 0.299), (0.3, 0.301), (0.3, 0.6)])
def test_wrong_statements_on_simulated_streams(bound, rate):
    """A thousand streams, looked at after every run: the share of wrong statements is below 5 %, far below beyond the bound."""
    draw = random.Random(f"{bound} {rate}")
    look = functools.cache(lambda failures, runs: decide(failures, runs, bound))
    wrong = 0
    for _ in range(1000):
        failures = 0
        for runs in range(1, 301):
            failures += draw.random() < rate
            if (said := look(failures, runs)) is not Decision.OPEN:
                wrong += said is (Decision.ABOVE if rate <= bound else Decision.BELOW)
                break
    assert wrong / 1000 < ERROR


def test_rates_that_change_from_run_to_run_are_covered_too():
    """Whatever the past made of the next run: as long as each rate is at least the bound, the rate is rarely called lower."""
    draw, wrong = random.Random(7), 0
    look = functools.cache(lambda failures, runs: decide(failures, runs, 0.2))
    for _ in range(1000):
        failures, rate = 0, 0.2
        for runs in range(1, 200):
            failed = draw.random() < rate
            failures += failed
            rate = 0.2 if failed else 0.9
            if look(failures, runs) is Decision.BELOW:
                wrong += 1
                break
    assert wrong / 1000 < ERROR


@pytest.mark.parametrize("bound", [0.01, 0.3, 0.9])
def test_a_bet_is_fair_at_the_bound_and_loses_beyond(bound):
    """The mean of the evidence over one more run, which is what the theorem needs."""
    for evidence, beyond in ((evidence_below, (1 + bound) / 2), (evidence_above, bound / 2)):
        for failures, runs in ((0, 0), (0, 7), (3, 10), (10, 10)):
            # With no wealth left there is nothing to multiply.
            now = math.exp(evidence(failures, runs, bound))
            won, lost = math.exp(evidence(failures + 1, runs + 1, bound)), math.exp(evidence(failures, runs + 1, bound))
            assert bound * won + (1 - bound) * lost == pytest.approx(now)
            assert beyond * won + (1 - beyond) * lost <= now * (1 + 1e-12)


def test_evidence_begins_at_nothing_and_sides_mirror_each_other():
    assert evidence_below(0, 0, 0.2) == pytest.approx(0)
    assert evidence_above(3, 10, 0.2) == evidence_below(7, 10, 0.8)
    assert evidence_below(0, 10**6, 0.2) > 10**5


@pytest.mark.parametrize(
    ("bound", "tests", "runs"), [(0.01, 1, 357), (0.01, 100, 825), (0.01, 1000, 1055), (0.05, 1, 70), (0.1, 1000, 101)]
)
def test_the_runs_that_a_clean_test_needs(bound, tests, runs):
    assert clean_runs(bound, ERROR / tests) == runs
    assert decide(0, runs - 1, bound, ERROR / tests) is Decision.OPEN
    assert decide(0, runs, bound, ERROR / tests) is Decision.BELOW


def test_a_history_that_turns_bad_is_noticed_behind_a_long_good_past():
    good, bad = [(0, 1)] * 300, [(1, 1)] * 30
    assert evidence_of_history(good, 0.1) <= 0
    assert evidence_of_history([*good, *bad], 0.1) > 40
    # Without the stakes on later beginnings the good past would hide it.
    assert evidence_above(30, 330, 0.1) < 0


def test_the_evidence_of_a_history_is_fair_too():
    for past in ([], [(0, 4)], [(1, 3), (2, 2)]):
        now = math.exp(evidence_of_history(past, 0.3))
        nxt = {failures: math.exp(evidence_of_history([*past, (failures, 1)], 0.3)) for failures in (0, 1)}
        assert 0.3 * nxt[1] + 0.7 * nxt[0] == pytest.approx(now)
    assert evidence_of_history([], 0.3) == pytest.approx(0)


@pytest.mark.parametrize(("failures", "runs", "bound"), [(2, 1, 0.5), (-1, 3, 0.5), (0, 1, 0.0), (0, 1, 1.0)])
def test_impossible_questions_are_refused(failures, runs, bound):
    with pytest.raises(ValueError):
        evidence_below(failures, runs, bound)
    assert DEPTH > 2
