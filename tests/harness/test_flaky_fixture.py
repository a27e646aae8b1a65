"""`conform flake` on a target that is flaky on purpose: how often, how sure, and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.flake.stats import lower_bound, upper_bound
from tests.harness.flaky_target import COINS, RARE
from tests.harness.sample import write_corpus

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
