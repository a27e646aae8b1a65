"""What cannot pass without another test is blocked when that one went wrong; root causes come first."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace

import pytest

from harness import junit
from harness.cli import summary
from harness.cli.console import out
from harness.events import stream
from harness.events.verdict import Verdict
from harness.ledger.excuse import Excuse
from harness.ledger.gate import Selection, judge
from harness.ledger.model import EntryClass, Ledger
from harness.ledger.update import update
from harness.report.compare import compare
from harness.shards import durations
from harness.shards.split import share
from harness.standard_corpus import standard_corpus
from tests.harness.sample import request, run, write_corpus

SUITE = '''
from harness import depends_on
pytestmark.append(depends_on("alpha::test_basic"))

@requirement("TASK-001")
async def test_a_first(conform):
    """Needs the basics, and comes before them."""
    assert not BROKEN, "no basics"

@requirement("TASK-001")
async def test_basic(conform):
    """The basics."""
    assert not BROKEN, "the basics are broken"

@requirement("TASK-001")
async def test_needs_nothing_after_all(conform):
    """Passes without."""
'''
OTHER = '''
from harness import depends_on

@requirement("TASK-001")
@depends_on("alpha::test_a_first")
async def test_elsewhere(conform):
    """Behind a test that is blocked itself."""
    assert 0, "elsewhere"

@requirement("TASK-001")
async def test_own_fault(conform):
    """Fails by itself."""
    assert 0, "own fault"
'''
DAY = datetime.date(2030, 1, 1)


@pytest.fixture(scope="module", params=[1, 3])
def report(request, tmp_path_factory):
    corpus = write_corpus(tmp_path_factory.mktemp("blocked") / "corpus", alpha="BROKEN = True\n" + SUITE, beta=OTHER)
    return run(corpus, jobs=request.param)


def test_the_verdict_is_blocked_and_the_reason_names_the_root_cause(report):
    root = "alpha::test_basic[json-memory]"
    found = {result.id.name: (str(result.verdict), result.blocked_by, result.message) for result in report.results}
    assert found == {
        "test_a_first": ("blocked", root, f"blocked by {root}; fail: no basics"),
        "test_basic": ("fail", "", "the basics are broken"),
        "test_needs_nothing_after_all": ("pass", "", ""),
        "test_elsewhere": ("blocked", root, f"blocked by {root}; fail: elsewhere"),
        "test_own_fault": ("fail", "", "own fault"),
    }
    assert report.status == 1
    assert [count.failed for count in report.counts().values()] == [2, 2]


def test_whole_basics_block_nothing(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", alpha="BROKEN = False\n" + SUITE)
    assert {result.verdict for result in run(corpus).results} == {Verdict.PASS}


def test_summary_and_gate_list_root_causes_first(report):
    with out.capture() as captured:
        summary.show(report, None)
    order = re.findall(r"^(?:FAIL|BLOCKED) \w+::(\w+)", captured.get(), re.MULTILINE)
    assert order == ["test_basic", "test_own_fault", "test_a_first", "test_elsewhere"]
    findings = judge(Ledger(target="fake"), report, Selection(), DAY)
    lines = [str(one) for one in findings if one.fatal]
    assert [line.split("::")[1].partition("[")[0] for line in lines] == order
    assert lines[-1] == "new failure: beta::test_elsewhere[json-memory]: blocked by alpha::test_basic[json-memory]; fail: elsewhere"


def test_blocked_survives_files_and_becomes_a_ledger_entry(report, tmp_path):
    stream.write(tmp_path / "run.ndjson", report)
    junit.write(tmp_path / "run.xml", report)
    for again in (stream.read(tmp_path / "run.ndjson"), junit.read([tmp_path / "run.xml"])):
        assert {str(one.id): one.verdict for one in again.results} == {str(one.id): one.verdict for one in report.results}
    ledger = update(Ledger(target="fake"), report, Selection(), DAY, Excuse("late", "https://example.org/1", DAY))
    kinds = {str(entry.test).partition("::")[2]: entry.kind for entry in ledger.entries}
    assert kinds["test_basic"] is EntryClass.FAILS
    assert kinds["test_a_first"] is EntryClass.BLOCKED
    assert not [one for one in judge(ledger, report, Selection(), DAY) if one.fatal]


def test_every_prerequisite_of_the_corpus_exists(collected):
    known = {event["id"].partition("[")[0] for event in collected}
    wanted = {test for event in collected for test in event["depends"]}
    assert wanted
    assert wanted <= known


def test_no_prerequisite_is_circular(collected):
    depends = {event["id"].partition("[")[0]: event["depends"] for event in collected}

    def below(test: str, path: tuple[str, ...] = ()) -> None:
        assert test not in path, (*path, test)
        for one in depends[test]:
            below(one, (*path, test))

    for test in depends:
        below(test)


def test_suites_with_prerequisites_elsewhere_share_a_shard(tmp_path, collected):
    suites = {event["suite"] for event in collected}
    together = {(event["suite"], test.partition("::")[0]) for event in collected for test in event["depends"]}
    place = share(suites, together, durations.load(standard_corpus() / "durations.toml"), 3)
    assert all(place[one] == place[other] for one, other in together)
    assert request(tmp_path).part == (0, 1)


def test_a_difference_knows_blocked(report):
    fixed = replace(report, results=[replace(one, verdict=Verdict.PASS, blocked_by="") for one in report.results])
    assert compare(fixed, report).worse
    assert not compare(report, fixed).worse
