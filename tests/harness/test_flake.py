"""Flaky on purpose: the rate interval is right, and so is the cause."""

from __future__ import annotations

import asyncio

import pytest

from harness.flake import attribution
from harness.flake.attribution import attribute, runs_needed
from harness.flake.causes import Cause, Condition
from harness.flake.contention import VARIABLE, contention
from harness.flake.loops import Tally
from harness.identity import TestId
from tests.harness.sample import request, write_corpus

FLAKY = '''
import os, random, sys

@requirement("TASK-001")
async def test_solid(conform):
    """Never fails."""

@requirement("TASK-001")
async def test_race(conform):
    """Fails in three of ten runs, whatever happens around it."""
    assert random.SystemRandom().random() >= 0.3, "lost the race"

@requirement("TASK-001")
async def test_order(conform):
    """Fails when test_solid ran before it on the same target."""
    assert (await conform.http.get("/count")).text == "1", "somebody was here"

@requirement("TASK-001")
async def test_load(conform):
    """Fails on a busy machine."""
    assert "CONFORM_CONTENTION" not in os.environ, "too slow"

@requirement("TASK-001")
async def test_ours(conform):
    """The test itself is at fault."""
    if random.SystemRandom().random() < 0.5:
        raise HarnessError("misused")
'''
# The order test sees what an earlier test left on the target.
FLAKY = FLAKY.replace('"""Never fails."""', '"""Never fails."""\n    await conform.http.get("/count")')


def _tally(failures: int, runs: int, **more) -> Tally:
    return Tally(TestId("alpha", "test_x", "json-memory"), runs, failures, **more)


def test_replays_are_as_many_as_a_failure_needs():
    assert runs_needed(_tally(1, 2), 40) == 5
    assert runs_needed(_tally(3, 10), 40) == 9
    assert runs_needed(_tally(1, 1000), 40) == 40
    assert runs_needed(_tally(5, 5), 40) == attribution.FEWEST


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("flaky") / "corpus", alpha=FLAKY)


def _ignore(_event) -> None:
    pass


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("name", "rate", "cause"),
    [
        ("test_order", 1.0, Cause.ORDER),
        # Making the machine busy makes it so for all tests beside this one, too.
        pytest.param("test_load", 0.5, Cause.LOAD, marks=pytest.mark.soak),
        ("test_ours", 0.5, Cause.HARNESS),
    ],
)
def test_the_cause_of_a_flaky_test_is_found(corpus, name, rate, cause):
    failures = round(rate * 10)
    blames = {"harness"} if name == "test_ours" else {"target"}
    tally = Tally(TestId("alpha", name, "json-memory"), 10, failures, blames=blames)
    found = asyncio.run(attribute(request(corpus, jobs=2), tally, _ignore, most=10, burners=1))
    assert found.cause is cause, found
    assert set(found.seen) == set(Condition)


async def test_contention_ends_with_its_block(monkeypatch):
    import os

    async with contention(1):
        assert os.environ[VARIABLE] == "1"
    assert VARIABLE not in os.environ


def test_repeats_share_a_target_and_shuffles_differ(corpus):
    from harness.run.lanes.lane import Lane
    from harness.run.runner import run_lanes

    (outcome,) = asyncio.run(
        run_lanes(request(corpus, only=("alpha::test_order",)), [Lane("r", extra=("--repeat=3",))], _ignore, at_once=1)
    )
    results = [event["verdict"] for event in outcome.events if event["event"] == "result"]
    assert results == ["pass", "fail", "fail"]
    assert {event["id"] for event in outcome.events if event["event"] == "result"} == {"alpha::test_order[json-memory]"}
    lanes = [Lane(str(seed), extra=(f"--shuffle={seed}",)) for seed in (1, 2, 1)]
    outcomes = asyncio.run(run_lanes(request(corpus), lanes, _ignore, at_once=2))
    orders = [[event["id"] for event in one.events if event["event"] == "started"] for one in outcomes]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
