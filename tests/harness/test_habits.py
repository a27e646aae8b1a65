"""What a person who mends failures types: `-x`, `--maxfail N`, `--failed`."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest

from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.ledger.gate import excuses
from harness.ledger.model import Ledger
from harness.run.last_failed import FILE
from harness.run.max_fail import Limit
from harness.run.stop import Stop
from tests.harness.sample import write_corpus

SOON = str(datetime.datetime.now(tz=datetime.UTC).date() + datetime.timedelta(days=30))
FAKE = ("--target", "tests.harness.fake_target:make", "--storage", "memory", "--corpus", "corpus", "--jobs", "1")
JSON = ("--encoding", "json")
MANY = '''
@pytest.mark.parametrize("number", range(9))
@requirement("TASK-001")
async def test_many(conform, number):
    """Every third fails."""
    import time
    while number == 8 and pathlib.Path("held").exists():
        time.sleep(0.1)
    assert number % 3 or pathlib.Path("mended").exists(), "third"
'''
HELD = Path("held")
"""As long as it is there the last test does not end: the others may be over before a busy machine comes to end the run."""

NO_ENCODING = '''
from harness import any_encoding

@any_encoding
@requirement("TASK-001")
async def test_bad(conform):
    """Bad."""
    assert 0
'''


@pytest.fixture
def corpus(tmp_path) -> Path:
    return write_corpus(tmp_path / "corpus", alpha=MANY)


def result(number: int, verdict: str) -> dict[str, str]:
    return {"event": "result", "id": f"s::test_{number}[json-memory]", "verdict": verdict}


@pytest.mark.parametrize(("most", "ends"), [(1, 1), (2, 3), (3, None), (None, None)])
def test_the_nth_bad_verdict_asks_the_run_to_stop(most, ends):
    stop = Stop()
    limit = Limit(stop, most)
    asked = []
    for number, verdict in enumerate(("pass", "fail", "skip", "error", "pass")):
        limit.event({"event": "started", "id": f"s::test_{number}[json-memory]"})
        limit.event(result(number, verdict))
        asked.append(bool(stop.reason))
    assert (asked.index(True) if ends is not None else None) == ends
    assert any(asked) == (ends is not None)
    # More results of other workers on their way are no second, forceful asking.
    assert not stop.forced


def test_what_a_ledger_excuses_does_not_count():
    entry = {"test": "s::test_0", "class": "fails", "reason": "late", "link": "x", "review_by": SOON}
    suite = {"tests": ["test_0", "test_1"], "counts": {"json-memory": {"collected": 2, "passed": 1, "skipped": 0}}}
    excused = excuses(Ledger.model_validate({"target": "t", "suites": {"s": suite}, "entries": [entry]}))
    assert excused(TestId.parse("s::test_0[json-memory]"), Verdict.FAIL)
    assert not excused(TestId.parse("s::test_0[json-memory]"), Verdict.SKIP)
    stop = Stop()
    limit = Limit(stop, 1, excused)
    limit.event(result(0, "fail"))
    # New, so the gate only notes it.
    limit.event(result(2, "fail"))
    assert not stop.reason
    limit.event(result(1, "fail"))
    assert stop.reason


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(("flags", "least"), [(("-x",), 1), (("--maxfail", "2"), 2)])
def test_a_run_that_was_ended_says_what_was_not_run(conform, flags, least):
    HELD.touch()
    text = conform("run", *FAKE, *JSON, *flags, status=2)
    assert f"stopped after {least} bad verdict" in text
    (missing,) = re.findall(r"(\d+) of 9 tests were not run to their end", text)
    (collected, passed, failed, not_run) = map(
        int, re.findall(r"(\d+) collected, (\d+) passed, 0 skipped, (\d+) failed, (\d+) not run", text)[0]
    )
    assert collected == 9 == passed + failed + not_run
    assert not_run == int(missing) > 0
    assert failed >= least


@pytest.mark.usefixtures("corpus")
def test_a_limit_that_is_not_reached_changes_nothing(conform):
    assert "9 collected, 6 passed, 0 skipped, 3 failed in" in conform("run", *FAKE, *JSON, "--maxfail", "4", status=1)


def test_a_limit_reached_with_the_last_verdict_leaves_a_complete_account(conform, tmp_path):
    write_corpus(tmp_path / "corpus", alpha='\n@requirement("TASK-001")\nasync def test_bad(conform):\n    """Bad."""\n    assert 0\n')
    text = conform("run", *FAKE, *JSON, "-x", status=1)
    assert "1 collected, 0 passed, 0 skipped, 1 failed in" in text


@pytest.mark.usefixtures("corpus")
def test_a_gate_ends_at_failures_that_the_ledger_does_not_know(conform):
    ledger = ("--baselines", "b")
    conform("baseline", "init", *FAKE, *JSON, *ledger, "--reason", "r", "--link", "l", "--review-by", SOON, "--yes")
    assert "GATE PASSED" in conform("gate", *FAKE, *JSON, *ledger, "-x")
    Path("mended").touch()
    conform("baseline", "update", *FAKE, *JSON, *ledger, "--yes")
    Path("mended").unlink()
    HELD.touch()
    assert "stopped after 1 bad verdict" in conform("gate", *FAKE, *JSON, *ledger, "-x", status=2)


@pytest.mark.usefixtures("corpus")
def test_only_what_failed_last_time_is_run_again(conform):
    conform("run", *FAKE, *JSON, status=1)
    assert "3 collected, 0 passed, 0 skipped, 3 failed" in conform("run", *FAKE, *JSON, "--failed", status=1)
    # A run of other tests forgets nothing, and a part can be taken of it.
    assert "1 collected, 1 passed" in conform("run", *FAKE, *JSON, "--only", "alpha::test_many(1)")
    one = ("--only", "alpha::test_many(3)")
    assert "1 collected, 0 passed, 0 skipped, 1 failed" in conform("run", *FAKE, *JSON, "--failed", *one, status=1)
    Path("mended").touch()
    assert "1 collected, 1 passed" in conform("run", *FAKE, *JSON, "--failed", *one)
    assert "2 collected, 2 passed" in conform("run", *FAKE, *JSON, "--failed")
    assert "nothing failed last time" in conform("run", *FAKE, *JSON, "--failed", status=2)


@pytest.mark.usefixtures("corpus")
def test_a_gate_keeps_a_record_too_and_runs_what_failed(conform):
    ledger = ("--baselines", "b")
    conform("baseline", "init", *FAKE, *JSON, *ledger, "--reason", "r", "--link", "l", "--review-by", SOON, "--yes")
    assert not FILE.exists()
    conform("gate", *FAKE, *JSON, *ledger)
    assert "3 collected, 0 passed, 0 skipped, 3 failed" in conform("gate", *FAKE, *JSON, *ledger, "--failed")
    assert (FILE.parent / ".gitignore").read_text() == "*\n"


@pytest.mark.usefixtures("corpus")
def test_what_a_run_did_not_come_to_stays_as_it_was(conform):
    conform("run", *FAKE, *JSON, status=1)
    HELD.touch()
    conform("run", *FAKE, *JSON, "-x", status=2)
    assert len(json.loads(FILE.read_text())["targets"]["fake"]["bad"]) == 3


def test_no_record_is_a_fault_of_use(conform, corpus):
    assert "no record of target fake" in conform("run", *FAKE, *JSON, "--failed", status=2)
    conform("run", *FAKE, *JSON, status=1)
    other = ("--target", "tests.harness.fake_target:make", "--storage", "memory", "--corpus", "other", "--failed")
    write_corpus(corpus.parent / "other", alpha=MANY)
    assert f"is about the corpus {corpus}" in conform("run", *other, status=2)
    assert "in this selection" in conform("run", *FAKE, "--encoding", "cbor", "--failed", status=2)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 2, "targets": {}}', '{"version": 1, "targets": {"fake": {"corpus": "c", "bad": ["no test"]}}}', "\x00"],
)
@pytest.mark.usefixtures("corpus")
def test_a_record_that_cannot_be_read_says_what_to_do_and_is_replaced(conform, text):
    FILE.parent.mkdir()
    FILE.write_text(text)
    assert "run without --failed" in conform("run", *FAKE, *JSON, "--failed", status=2)
    conform("run", *FAKE, *JSON, status=1)
    assert "3 collected" in conform("run", *FAKE, *JSON, "--failed", status=1)


@pytest.mark.usefixtures("corpus")
def test_a_record_that_cannot_be_written_changes_no_verdict(conform):
    FILE.parent.write_text("a file in its place")
    text = conform("run", *FAKE, *JSON, "--only", "alpha::test_many(1)")
    assert f"note: {FILE} cannot be written" in text
    assert "1 passed" in text


def test_what_has_no_encoding_is_run_again_in_any(conform, tmp_path):
    write_corpus(tmp_path / "corpus", alpha=NO_ENCODING)
    conform("run", *FAKE, status=1)
    assert "FAIL alpha::test_bad[any-memory]" in conform("run", *FAKE, "--encoding", "cbor", "--failed", status=1)
