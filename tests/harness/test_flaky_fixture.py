"""`conform flake` on a target that is flaky on purpose: how often, how sure, and why."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from harness.run.attribution import Cause, attribute
from harness.run.loops import Budget, loop
from harness.stats import lower_bound, upper_bound
from harness.targets import TargetOptions
from tests.harness.flaky_target import COINS, RARE
from tests.harness.sample import request, write_corpus

if TYPE_CHECKING:
    from tests.soak import Record

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]
RATE = '''
@requirement("TASK-001")
async def test_rare(conform):
    """Fails in one of ten runs."""
    assert (await conform.http.get("/rare")).status_code == 200, "wrong answer"

@requirement("TASK-001")
async def test_solid(conform):
    """Never fails."""
    assert (await conform.http.get("/")).status_code == 200
'''
WHY = '''
@requirement("TASK-001")
async def test_leaves(conform):
    """Passes, but may leave something behind."""
    assert (await conform.http.get("/leave")).status_code == 200

@requirement("TASK-001")
async def test_order(conform):
    """Fails when something was left behind."""
    assert (await conform.http.get("/find")).status_code == 200, "not alone"

@requirement("TASK-001")
async def test_race(conform):
    """Fails at random, whatever happens around it."""
    assert (await conform.http.get("/race")).status_code == 200, "lost"

@requirement("TASK-001")
async def test_load(conform):
    """Fails at random, and always on a busy machine."""
    assert (await conform.http.get("/load")).status_code == 200, "late"
'''
ROW = re.compile(r"^│ alpha::(\w+)\[json-memory\] +│ (\d+) +│ (\d+) +│ ([\d.]+)% \.\. ([\d.]+)%", re.MULTILINE)


def test_the_interval_contains_the_true_rate(conform, tmp_path, monkeypatch, record_property: Record):
    corpus = write_corpus(tmp_path / "corpus", alpha=RATE)
    (tmp_path / "coins").mkdir()
    monkeypatch.setenv(COINS, str(tmp_path / "coins"))
    target = ("--target", "tests.harness.flaky_target:make", "--storage", "memory", "--encoding", "json")
    how = ("--jobs", "2", "--loops", "30", "--attribute", "0", "--all")
    text = conform("flake", *target, "--corpus", str(corpus), *how, status=1)
    rows = {name: (int(failures), int(runs), float(low) / 100, float(high) / 100) for name, failures, runs, low, high in ROW.findall(text)}
    failures, runs, low, high = rows["test_rare"]
    assert runs == 30
    assert 0 < failures < runs
    # Both ends are printed in hundredths of a percent.
    assert low == pytest.approx(lower_bound(failures, runs), abs=1e-4)
    assert high == pytest.approx(upper_bound(failures, runs), abs=1e-4)
    assert low < RARE < high
    assert rows["test_solid"][:3] == (0, 30, 0.0)
    assert f"{failures}x fail: wrong answer" in text
    # The target was asked once per run and by nobody else.
    assert (tmp_path / "coins" / "rare").stat().st_size == runs
    record_property("figures", f"true rate {RARE:.0%}, {failures} of {runs} runs failed, interval {low:.1%} to {high:.1%}")


@pytest.fixture(scope="module")
def looped(tmp_path_factory):
    """The request, and what ten loops of it saw."""
    home = tmp_path_factory.mktemp("flaky")
    coins = home / "coins"
    coins.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(COINS, str(coins))
        wanted = request(write_corpus(home / "corpus", alpha=WHY), target=TargetOptions("tests.harness.flaky_target:make"), jobs=2)
        report = asyncio.run(loop(wanted, Budget(loops=10), lambda _: None))
        assert not report.problems
        yield wanted, {tally.id.name: tally for tally in report.tallies}


@pytest.mark.parametrize(("name", "cause"), [("test_race", Cause.RACE), ("test_order", Cause.ORDER), ("test_load", Cause.LOAD)])
def test_each_kind_of_flake_is_told_from_the_others(looped, name, cause, record_property: Record):
    wanted, tallies = looped
    assert 0 < tallies[name].failures < tallies[name].runs == 10
    assert tallies["test_leaves"].failures == 0
    found = asyncio.run(attribute(wanted, tallies[name], lambda _: None, most=9, burners=1))
    replays = ", ".join(f"{condition} {seen.failures}/{seen.runs}" for condition, seen in found.seen.items())
    record_property("figures", f"{tallies[name].failures} of 10 runs failed, {replays}: {found.cause}")
    assert found.cause is cause, found
