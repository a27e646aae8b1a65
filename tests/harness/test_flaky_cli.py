"""A flaky test from its first measurement to the gate that does not believe it any more, as a person types it."""

from __future__ import annotations

import datetime

import pytest

from tests.harness.sample import write_corpus

SOON = str(datetime.datetime.now(tz=datetime.UTC).date() + datetime.timedelta(days=30))
# Its coin is seeded and counted in a file, so that every run of this test sees the same.
SOURCE = '''
import random

@requirement("TASK-001")
async def test_race(conform):
    """Fails now and then."""
    with pathlib.Path("count").open("a") as file:
        file.write(".")
        number = file.tell()
    assert random.Random(f"coin {number}").random() >= RATE, "lost"

@requirement("TASK-002")
async def test_solid(conform):
    """Passes."""
'''


@pytest.fixture
def flaky(conform, tmp_path):
    target = ("--target", "tests.harness.fake_target:make", "--storage", "memory", "--encoding", "json", "--jobs", "1")

    def call(rate: float, *parts: str, status: int = 0) -> str:
        write_corpus(tmp_path / "corpus", alpha=SOURCE.replace("RATE", str(rate)))
        where = ("--corpus", str(tmp_path / "corpus"), "--baselines", str(tmp_path / "baselines"))
        return conform(*parts, *target, *where, status=status)

    return call


@pytest.mark.timeout(120)
@pytest.mark.soak
def test_a_flaky_test_is_measured_listed_gated_and_found_out(flaky, tmp_path):
    why = ("--reason", "a lost race", "--link", "https://example.org/7", "--review-by", SOON, "--class", "flaky")
    ledger = tmp_path / "baselines" / "fake.toml"
    assert "nobody measured how often it fails" in flaky(1.0, "baseline", "init", *why, status=2)
    assert "2 measurements written to" in flaky(0.3, "flake", "--loops", "20", "--attribute", "0", "--record", status=1)
    assert "needs a fixed number of loops" in flaky(0.3, "flake", "--bound", "0.1", "--record", status=2)
    text = flaky(1.0, "baseline", "init", *why)
    assert '+class = "flaky"' in text
    assert "+runs = 20" in text

    text = flaky(1.0, "gate", status=1)
    assert "gate: flaky rate contradicted: alpha::test_race[json-memory]:" in text
    history = tmp_path / "baselines" / "fake.history.ndjson"
    assert [line.count('"gate"') for line in history.read_text().splitlines()] == [0, 0, 1]

    # What a ledger of long ago says is read, passes no gate, and is mended by one command.
    old = ledger.read_text().replace('test = "alpha::test_race"', 'match = "alpha::*"').replace("version = 3", "version = 2")
    ledger.write_text("\n".join(line for line in old.splitlines() if not line.startswith(("failures", "runs"))) + "\n")
    text = flaky(0.2, "gate", status=1)
    assert "gate: unfounded flaky entry: alpha::*: a pattern has no rate of its own" in text
    text = flaky(0.2, "baseline", "measure", "--loops", "20")
    assert "alpha::test_solid: never failed in 20 runs, so it is not listed any more" in text
    assert '+test = "alpha::test_race"' in text
    text = flaky(0.2, "gate")
    assert "GATE PASSED" in text
