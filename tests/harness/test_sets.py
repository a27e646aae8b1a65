"""Frozen sets and probation: new tests break no gate of others, for one release at most, and never spare the reference."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness import junit
from harness.capabilities import PROFILES
from harness.cli.app import app
from harness.errors import UsageError
from harness.events import stream
from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.junit.write import write as write_junit
from harness.ledger.gate import Selection, judge
from harness.ledger.model import ExpectedCounts, ExpectedSuite, Ledger
from harness.ledger.probation import split
from harness.requirements import sets
from harness.requirements.model import summaries
from harness.requirements.sets import FrozenSet, Sets, Standing
from harness.targets import TargetOptions, resolve
from tests.harness.sample import PLAIN, request, run, write_corpus

ROOT = Path(__file__).parents[2]
SETS = Sets(
    release="1.0",
    sets={
        "peer-2.3": FrozenSet(requirements={"TASK-001", "TASK-002"}, tests={"alpha": {"test_one"}}),
        "seed": FrozenSet(requirements={"TASK-003"}, tests={"alpha": {"test_full"}}),
    },
)
LATER = '''
@requirement("TASK-009")
async def test_later(conform):
    """Written after the set was frozen."""
    assert conform.encoding == "morse"
'''


class Test:
    __test__ = False

    def __init__(self, name, *requirements):
        self.id, self.requirements = TestId("alpha", name, "json-memory"), requirements


@pytest.mark.parametrize(
    ("test", "peer", "seed"),
    [
        (Test("test_one", "TASK-001"), "decides", "decides"),
        (Test("test_one(7)", "TASK-001"), "decides", "decides"),
        (Test("test_full", "TASK-003"), "beyond", "decides"),
        (Test("test_later", "TASK-001"), "probation", "probation"),
        # An old test that checks more than it did is new again.
        (Test("test_one", "TASK-001", "TASK-009"), "probation", "probation"),
    ],
)
def test_what_a_test_says_about_a_target(test, peer, seed):
    assert [str(SETS.standing(test, profile, "mine")) for profile in PROFILES] == [peer, seed]
    assert SETS.standing(test, "seed", "reference") is SETS.standing(test, "seed", "reference-process") is Standing.DECIDES
    assert Sets().standing(test, "peer-2.3", "mine") is Standing.DECIDES  # a corpus without sets


def _result(name: str, verdict: str, standing: str) -> TestResult:
    return TestResult(TestId("alpha", name, "json-memory"), Verdict(verdict), standing=Standing(standing))


def _ledger(*tests: str) -> Ledger:
    counts = {"json-memory": ExpectedCounts(collected=len(tests), passed=len(tests), skipped=0)}
    return Ledger(target="mine", suites={"alpha": ExpectedSuite(tests=list(tests), counts=counts)} if tests else {})


def _findings(ledger: Ledger, *results: TestResult) -> list[str]:
    parts = split(RunReport({"target": "mine"}, list(results)), ledger)
    return [str(one) for one in judge(ledger, parts.deciding, Selection(), dt.date(2026, 1, 1)) if one.fatal]


def test_a_test_on_probation_fails_no_gate_and_is_named():
    one, later = _result("test_one", "pass", "decides"), _result("test_later", "fail", "probation")
    assert _findings(_ledger("test_one"), one, later) == []
    assert _findings(_ledger("test_one"), one, replace(later, standing=Standing.DECIDES)) == [
        "new failure: alpha::test_later[json-memory]: fail: "
    ]
    said = str(split(RunReport({}, [one, later, _result("test_newer", "pass", "probation")]), _ledger("test_one")))
    assert said == "2 new tests on probation (1 failed), which decide nothing until the set of the profile is raised: alpha::test_later"
    assert str(split(RunReport({}, [one]), _ledger())) == ""


def test_a_test_that_the_ledger_has_decides_though_it_is_on_probation():
    assert _findings(_ledger("test_later"), _result("test_later", "fail", "probation")) != []


def test_a_skip_beyond_the_profile_needs_no_entry_and_a_failure_there_decides():
    assert _findings(_ledger(), _result("test_full", "skip", "beyond")) == []
    assert _findings(_ledger(), _result("test_full", "skip", "decides")) != []
    assert _findings(_ledger(), _result("test_full", "fail", "beyond")) != []


def test_the_standing_survives_streams_and_junit_files(tmp_path):
    report = RunReport(
        {"event": "session", "target": "t", "version": 1}, [_result("test_a", "fail", "probation"), _result("test_b", "pass", "beyond")]
    )
    stream.write(tmp_path / "e.ndjson", report)
    write_junit(tmp_path / "j.xml", report)
    for back in (stream.read(tmp_path / "e.ndjson"), junit.read([tmp_path / "j.xml"])):
        assert [one.standing for one in back.results] == [Standing.PROBATION, Standing.BEYOND]


def test_sets_are_raised_from_what_there_is(tmp_path):
    def event(name, capabilities, *requirements):
        return {"id": f"alpha::{name}[json-memory]", "capabilities": capabilities, "requirements": list(requirements)}

    collected = [
        event("test_one(1)", [], "A-001"),
        event("test_one(2)", ["metrics"], "A-001"),
        event("test_full", ["overload"], "A-001", "A-002"),
    ]
    sets.save(tmp_path, sets.raised(collected, "2.0"))
    loaded = sets.load(tmp_path)
    assert (loaded.release, loaded.sets["peer-2.3"].tests, loaded.sets["seed"].tests) == (
        "2.0",
        {"alpha": {"test_one"}},
        {"alpha": {"test_full"}},
    )
    assert (loaded.sets["peer-2.3"].requirements, loaded.sets["seed"].requirements) == ({"A-001"}, {"A-002"})
    before = (tmp_path / sets.FILE).read_text()
    sets.save(tmp_path, loaded)
    assert (tmp_path / sets.FILE).read_text() == before


def test_no_test_is_on_probation_for_more_than_one_release():
    assert SETS.overdue("1.0") == ""
    assert "sets are of release 1.0 and this is 1.1: no test may stay on probation" in SETS.overdue("1.1")
    # The rule holds for this project: who raises its version raises the sets.
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert sets.load(ROOT / "driver_tests").overdue(version) == ""


def test_the_sets_of_the_corpus_are_of_this_specification():
    frozen = sets.load(ROOT / "driver_tests")
    assert len(frozen.sets["peer-2.3"].requirements) > 800
    assert {one for each in frozen.sets.values() for one in each.requirements} <= set(summaries())
    assert "overload" in frozen.sets["seed"].tests


def test_broken_sets_and_profiles_are_refused(tmp_path):
    (tmp_path / sets.FILE).write_text('release = "1"\n[seed]\ntest = 1\n')
    with pytest.raises(UsageError, match=r"sets\.toml holds no sets"):
        sets.load(tmp_path)
    with pytest.raises(UsageError, match=r"no profile 'peer'; there are: peer-2.3, seed"):
        resolve(TargetOptions("http://h", profile="peer"))


def test_from_the_corpus_to_the_gate(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", alpha=PLAIN)
    before = run(corpus)
    sets.save(
        corpus, sets.raised([{"id": str(one.id), "capabilities": [], "requirements": one.requirements} for one in before.results], "1.0")
    )
    ledger = str(tmp_path / "fake.toml")
    common = ["--target", request(corpus).target.spec, "--corpus", str(corpus), "--encoding", "json", "--jobs", "1", "--ledger", ledger]
    gate = ["gate", *common, "--evidence", str(tmp_path / "e")]

    def conform(status: int, *arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == status, done.output
        return done.output

    conform(0, "baseline", "init", *common, "--yes")
    write_corpus(corpus, alpha=PLAIN + LATER)
    shown = conform(0, *gate)
    assert "GATE PASSED" in shown
    assert "1 new test on probation (1 failed), which decide nothing until the set of the profile is raised: alpha::test_later" in shown
    # Bringing the ledger up to date does not take it over, and needs no reason.
    assert "is up to date" in conform(0, "baseline", "update", *common, "--yes")
    (corpus / sets.FILE).unlink()
    sets.load.cache_clear()
    assert "gate: new failure: alpha::test_later" in conform(1, *gate)
