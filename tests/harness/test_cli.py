"""The `conform` command as a person types it."""

from __future__ import annotations

import datetime
import json

import pytest

from tests.harness.sample import PLAIN, write_corpus

SOON = str(datetime.datetime.now(tz=datetime.UTC).date() + datetime.timedelta(days=30))
FAKE = "tests.harness.fake_target:make"
FAILING = '''
@requirement("TASK-009")
async def test_bad(conform):
    """Bad."""
    assert conform.encoding != "cbor", "no cbor"
'''


@pytest.fixture
def conform(conform, tmp_path):
    """Run a sub-command on the sample corpus with the fake target."""
    write_corpus(tmp_path / "corpus", alpha=PLAIN, beta_timing=PLAIN)

    def call(command: str, *arguments: str, status: int = 0, target: str = FAKE) -> str:
        parts = command.split()
        options = [] if parts[-1] in ("show", "diff") else ["--corpus", str(tmp_path / "corpus")]
        if parts[-1] not in ("list", "show", "diff"):
            options += ["--jobs", "2", *(["--storage", "memory"] if target == FAKE else [])]
        if parts[-1] not in ("list", "diff"):
            options += ["--target", target]
        if parts[0] in ("gate", "baseline") and parts[-1] != "diff":
            options += ["--baselines", str(tmp_path / "baselines")]
        return conform(*parts, *options, *arguments, status=status)

    return call


def test_run_reports_counts_per_suite_and_encoding(conform, tmp_path):
    text = conform("run", "--junit", "out/junit.xml", "--events", "out/events.ndjson")
    assert [line.split()[1] for line in text.splitlines() if "   2 /   2 /  0 /  0" in line] == ["alpha", "beta-timing"]
    assert "fake (virtual time): 12 collected, 12 passed, 0 skipped, 0 failed" in text
    assert (tmp_path / "out/junit.xml").read_text().count("<testcase") == 12
    events = [json.loads(line) for line in (tmp_path / "out/events.ndjson").read_text().splitlines()]
    footer = {"event": "end", "status": 0, "collected": 12, "verdicts": {"pass": 12}}
    assert {name: events[-1][name] for name in footer} == footer


def test_a_failure_names_the_requirement_and_the_command_to_rerun(conform, tmp_path):
    write_corpus(tmp_path / "corpus", gamma=FAILING)
    text = conform("run", "--encoding", "json,cbor", status=1)
    assert "FAIL gamma::test_bad[cbor-memory] [TASK-009] (blame: target)" in text
    assert "AssertionError: no cbor" in text
    variant = f"--time virtual --encoding cbor --storage memory --corpus {tmp_path}/corpus"
    assert f"rerun: conform run --target {FAKE} {variant} --only gamma::test_bad" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--encoding", "xml"), "unknown encoding xml"),
        (("--time", "lunar"), "cannot run in 'lunar' time"),
        (("--storage", "tape"), "has no storage tape"),
        (("--target", "nonsense"), "unknown target nonsense"),
        (("--target", "tests.harness.nowhere:make"), "No module named"),
        (("--suite", "delta"), "no such suite: delta; there are: alpha, beta-timing"),
        (("--target", "http://127.0.0.1:9", "--time", "virtual"), "cannot run in 'virtual' time"),
        (("-k", "nothing_like_it"), "nothing was collected"),
        (("--jobs", "0"), "--jobs"),
    ],
)
def test_faults_of_use_have_status_2_and_say_what_is_possible(conform, arguments, message):
    assert message in conform("run", *arguments, status=2)


def test_an_unknown_suite_is_said_once_and_no_test_is_blamed(conform):
    lines = conform("run", "--suite", "delta", status=2).splitlines()
    assert lines[0] == "problem: no such suite: delta; there are: alpha, beta-timing"
    assert len(lines) == 2
    assert "0 collected, 0 passed, 0 skipped, 0 failed" in lines[1]


def test_the_gate_in_the_life_of_a_ledger(conform, tmp_path):
    assert "no ledger at" in conform("gate", status=2)
    assert "conform baseline init" in conform("baseline update", status=2)
    assert "not written" in conform("baseline init", "--dry-run")
    assert "+[suites.alpha.counts." in conform("baseline init")
    assert "bring it up to date with" in conform("baseline init", status=2)
    assert "GATE PASSED" in conform("gate")
    partial = conform("gate", "-k", "test_one", "--suite", "alpha", "--encoding", "json", "--events", "one.ndjson").strip().splitlines()[-1]
    left = "not looked at: 3 of these, 4 in bare-memory, 4 in cbor-memory"
    assert partial.startswith("GATE PASSED for 1 of 4 tests in json-memory against")
    assert partial.endswith(f"({left})")
    assert conform("gate", "--events-in", "one.ndjson").strip().splitlines()[-1] == partial

    corpus = tmp_path / "corpus"
    write_corpus(
        corpus,
        alpha=PLAIN.replace('async def test_one(conform):\n    """One."""', 'async def test_one(conform):\n    """One."""\n    assert 0'),
    )
    text = conform("gate", status=1)
    assert "gate: new failure: alpha::test_one[cbor-memory]: fail: assert 0" in text
    assert "conform baseline update" in text

    write_corpus(
        corpus,
        alpha=PLAIN.replace(
            'async def test_one(conform):\n    """One."""', 'async def test_one(conform):\n    """One."""\n    pytest.skip("tired")'
        ),
    )
    assert "gate: unlisted skip: alpha::test_one[bare-memory]: tired" in conform("gate", status=1)

    write_corpus(corpus, alpha=PLAIN.partition('@requirement("TASK-002")')[0])
    assert "gate: vanished: alpha::test_two: the ledger has it, the corpus does not" in conform("gate", status=1)

    (corpus / "test_alpha.py").unlink()
    assert "gate: vanished: alpha: the whole suite of 2 tests" in conform("gate", status=1)
    assert "GATE PASSED" in conform("gate", "--suite", "beta-timing", "--encoding", "cbor")


def test_known_failures_need_a_reason_and_then_pass_the_gate(conform, tmp_path):
    write_corpus(tmp_path / "corpus", gamma=FAILING)
    assert "need a reason" in conform("baseline init", status=2)
    text = conform("baseline init", "--reason", "cbor is late", "--link", "https://example.org/1", "--review-by", SOON)
    assert '+test = "gamma::test_bad"' in text
    assert "GATE PASSED" in conform("gate")
    assert "cbor is late" in conform("baseline show")
    write_corpus(tmp_path / "corpus", gamma=FAILING.replace('!= "cbor"', '!= "morse"'))
    assert "gate: stale entry: gamma::test_bad[cbor-memory]: it passes, but is listed as fails: cbor is late" in conform("gate", status=1)
    ledger = tmp_path / "baselines" / "fake.toml"
    before = tmp_path / "before.toml"
    before.write_bytes(ledger.read_bytes())
    assert '-test = "gamma::test_bad"' in conform("baseline prune")
    assert "cbor is late" in conform("baseline diff", str(before), str(ledger), status=1)
    assert "say the same" in conform("baseline diff", str(ledger), str(ledger))
    # Pruning drops entries only: the count of passing tests is still what it was.
    assert "GATE PASSED" in conform("gate")


def test_a_renamed_test_keeps_its_place_in_the_ledger(conform, tmp_path):
    corpus = tmp_path / "corpus"
    write_corpus(corpus, gamma=FAILING)
    conform("baseline init", "--reason", "cbor is late", "--link", "https://example.org/1", "--review-by", SOON)
    write_corpus(corpus, gamma=FAILING.replace("test_bad", "test_cbor"))
    assert "gate: vanished: gamma::test_bad" in conform("gate", status=1)
    (corpus / "renames.toml").write_text('[renames]\n"gamma::test_bad" = "gamma::test_cbor"\n')
    text = conform("gate")
    assert "note: gamma::test_bad is now gamma::test_cbor" in text
    assert "GATE PASSED" in text
    assert '+test = "gamma::test_cbor"' in conform("baseline update")
    assert "is now" not in conform("gate")


def test_a_junit_file_is_gated_like_a_run(conform, tmp_path):
    conform("run", "--junit", "a.xml", "--suite", "alpha")
    conform("run", "--junit", "b.xml", "--suite", "beta-timing")
    conform("baseline init", "--junit-in", "a.xml", "--junit-in", "b.xml")
    assert "GATE PASSED" in conform("gate", "--junit-in", "a.xml", "--junit-in", "b.xml", "--junit", "all.xml")
    assert (tmp_path / "all.xml").read_text().count("<testcase") == 12
    assert "gate: vanished: beta-timing: the whole suite of 2 tests" in conform("gate", "--junit-in", "a.xml", status=1)


def test_flake_counts_failures_and_bounds_their_rate(conform, tmp_path):
    assert "4 tests, 3 loops, 12 runs, 0 failures" in conform("flake", "--loops", "3", "--encoding", "json")
    flaky = '''
@requirement("TASK-009")
async def test_sometimes(conform):
    """Fails every second time."""
    tally = pathlib.Path("tally")
    tally.write_text((tally.read_text() if tally.exists() else "") + ".")
    assert len(tally.read_text()) % 2, "even"
'''
    write_corpus(tmp_path / "corpus", gamma=flaky)
    # The causes of flakes have tests of their own.
    text = conform("flake", "--loops", "4", "--encoding", "json", "--suite", "gamma", "--jobs", "1", "--attribute", "0", status=1)
    assert "gamma::test_sometimes[json-memory]" in text
    assert "90.24%" in text
    assert "2x fail: even" in text


def test_list_shows_suites_tests_and_requirements(conform):
    text = conform("list")
    assert "beta-timing" in text
    assert "4 tests, 12 with variants, 2 requirements" in text
    assert "alpha::test_one  [TASK-001]  One." in conform("list", "--tests")
    assert "TASK-002  alpha::test_two, beta-timing::test_two" in conform("list", "--requirements")


def test_a_url_target_runs_in_real_time(conform, fake_url):
    text = conform("run", "--encoding", "json", "--capabilities", "all", "--target-name", "mine", target=fake_url)
    assert "mine (real time): 4 collected, 4 passed" in text
