"""Results that something else produced, through the commands: gate, baseline, report."""

from __future__ import annotations

import datetime
import re
import shutil
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import junit
from harness.errors import UsageError
from harness.events import stream
from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.junit import Duplicates
from harness.ledger import history, store
from harness.ledger.excuse import Excuse
from harness.ledger.gate import Selection, judge
from harness.ledger.history import Source
from harness.ledger.model import Ledger
from harness.ledger.update import update
from harness.run import results_of_others
from harness.text import xml

SAMPLES = Path(__file__).parent / "junit"
SOON = datetime.datetime.now(tz=datetime.UTC).date() + datetime.timedelta(days=100)
EXCUSE = ("--reason", "known", "--link", "#1", "--review-by", str(SOON))
LEDGER = ("--ledger", "ledger.toml")
TODAY = datetime.date(2026, 6, 1)
WORKING = {"jest-junit", "gotestsum"}
"""Samples that are a problem by themselves are not gated."""
SESSION = {"event": "session", "target": "x", "time": "real", "encodings": ["json"], "storages": ["sqlite"]}


@pytest.fixture
def sample(tmp_path):
    """A copy of a sample in the directory of the test."""

    def copy(name: str) -> str:
        shutil.copy(SAMPLES / f"{name}.xml", tmp_path / f"{name}.xml")
        return f"{name}.xml"

    return copy


def measure(ledger: Path, report: RunReport) -> None:
    """Somebody looped the flaky tests of a report."""
    flaky = [one.id for one in report.results if one.verdict is Verdict.FLAKY]
    history.append(history.place(ledger), [history.line(one, Source.MEASURED, (3, 30), ["run:1"]) for one in flaky])


def suite(*cases: str) -> str:
    return f'<testsuite name="s">{"".join(cases)}</testsuite>'


def case(name: str, *children: str) -> str:
    return f'<testcase name="{name}">{"".join(children)}</testcase>'


def last(text: str) -> str:
    return text.strip().splitlines()[-1]


@pytest.mark.parametrize("name", sorted({path.stem for path in SAMPLES.glob("*.xml")} - WORKING))
def test_a_ledger_passes_the_file_it_was_made_of(name, sample, conform):
    file = sample(name)
    measure(Path("ledger.toml"), junit.read([Path(file)]))
    conform("baseline", "init", "--junit-in", file, *LEDGER, *EXCUSE)
    assert "GATE PASSED against ledger.toml" in last(conform("gate", "--junit-in", file, *LEDGER))
    assert "ledger.toml is up to date" in conform("baseline", "update", "--junit-in", file, *LEDGER)


def test_a_test_that_is_switched_off_fails_the_gate(sample, conform):
    conform("baseline", "init", "--junit-in", sample("disabled-before"), *LEDGER)
    text = conform("gate", "--junit-in", sample("disabled-after"), *LEDGER, status=1)
    assert "gate: unlisted skip: factorial::negative: status=disabled" in text
    assert last(text).startswith("GATE FAILED: 1 finding(s)")


def test_a_suite_that_failed_fails_the_gate(sample, conform):
    conform("baseline", "init", "--junit-in", sample("pass-ab"), *LEDGER)
    text = conform("gate", "--junit-in", sample("suite-error"), *LEDGER, status=1)
    assert "gate: new failure: s::(suite): error: after-all hook threw" in text


def test_a_known_skip_does_not_excuse_a_failure(sample, conform, tmp_path):
    (tmp_path / "skips.xml").write_text(suite(case("skip_in_teardown", "<skipped/>")))
    conform("baseline", "init", "--junit-in", "skips.xml", *LEDGER, *EXCUSE)
    text = conform("gate", "--junit-in", sample("fail-and-skip"), *LEDGER, status=1)
    assert "new failure: s::skip_in_teardown: fail: assert 1 == 2 (listed as unsupported)" in text


def test_a_star_in_a_name_is_no_pattern(sample, conform, tmp_path):
    conform("baseline", "init", "--junit-in", sample("star"), *LEDGER, *EXCUSE)
    assert sorted(str(one.test) for one in store.load(tmp_path / "ledger.toml").entries) == [
        "calc::evaluates 2 * 3",
        "calc::evaluates 2 * 3 * 3",
        "calc::glob *",
    ]


def test_a_flaky_test_that_nobody_measured_is_a_fault_of_use(sample, conform, tmp_path):
    file = sample("flaky-and-fail")
    assert "s::a: nobody measured how often it fails" in conform("baseline", "init", "--junit-in", file, *LEDGER, *EXCUSE, status=2)
    assert not (tmp_path / "ledger.toml").exists()
    measure(tmp_path / "ledger.toml", junit.read([tmp_path / file]))
    conform("baseline", "init", "--junit-in", file, *LEDGER, *EXCUSE)
    assert {one.test: str(one.kind) for one in store.load(tmp_path / "ledger.toml").entries} == {"s::a": "flaky", "s::b": "fails"}


def runs_of_a_flaky_test(directory, failing, runs):
    """A file for each run; in the first `failing` the test `a` fails."""
    files = [directory / f"run-{number}.xml" for number in range(runs)]
    for number, file in enumerate(files):  # no two files are the same, as those of real runs have times in them
        file.write_text(suite(case("a", f"<failure message='{file}'/>" if number < failing else f"<!-- {file} -->"), case("b")))
    return [argument for file in files for argument in ("--junit-in", file.name)]


def test_the_files_of_several_runs_measure_a_flaky_test(conform, tmp_path):
    files = [*runs_of_a_flaky_test(tmp_path, 3, 20), "--duplicates", "attempts"]
    conform("baseline", "init", *files, *LEDGER, *EXCUSE)
    [entry] = store.load(tmp_path / "ledger.toml").entries
    assert (str(entry.test), str(entry.kind), entry.failures, entry.runs) == ("s::a", "flaky", 3, 20)
    [line] = history.read(history.place(tmp_path / "ledger.toml"))
    assert (line.kind, line.failures, line.runs, len(line.sources)) == (Source.MEASURED, 3, 20, 20)
    assert "GATE PASSED against ledger.toml" in last(conform("gate", *files, *LEDGER))
    assert history.read(history.place(tmp_path / "ledger.toml")) == [line], "what a rate was chosen from is no evidence for it"


def test_a_rate_that_is_not_true_any_more_is_seen_in_later_files(conform, tmp_path):
    conform("baseline", "init", *runs_of_a_flaky_test(tmp_path, 1, 30), "--duplicates", "attempts", *LEDGER, *EXCUSE)
    (tmp_path / "later").mkdir()
    later = [argument.replace("run-", "later/run-") for argument in runs_of_a_flaky_test(tmp_path / "later", 14, 16)]
    text = conform("gate", *later, "--duplicates", "attempts", *LEDGER, status=1)
    assert "flaky rate contradicted: s::a" in text


@pytest.mark.parametrize(("failing", "runs", "said"), [(1, 2, "too few to tell"), (2, 3, "too few to tell")])
def test_files_that_support_no_rate(conform, tmp_path, failing, runs, said):
    files = runs_of_a_flaky_test(tmp_path, failing, runs)
    text = conform("baseline", "init", *files, "--duplicates", "attempts", *LEDGER, *EXCUSE, status=2)
    assert re.search(f"s::a cannot be listed as flaky: .*({said})", text)
    assert not (tmp_path / "ledger.toml").exists()


def test_the_files_of_several_runs_measure_a_test_that_mostly_fails(conform, tmp_path):
    files = runs_of_a_flaky_test(tmp_path, 14, 16)
    conform("baseline", "init", *files, "--duplicates", "attempts", *LEDGER, *EXCUSE)
    (made,) = store.load(tmp_path / "ledger.toml").entries
    assert (str(made.kind), made.failures, made.runs) == ("fails", 14, 16)
    conform("gate", *files, "--duplicates", "attempts", *LEDGER)


def test_attempts_in_one_file_measure_nothing(conform, tmp_path):
    failed = case("a", "<failure message='lost'/>")
    (tmp_path / "one.xml").write_text(suite(*[failed] * 3, *[case("a")] * 17))
    text = conform("baseline", "init", "--junit-in", "one.xml", "--duplicates", "attempts", *LEDGER, *EXCUSE, status=2)
    assert "s::a: nobody measured how often it fails" in text


def test_vanished_tests_stay_in_the_ledger_until_somebody_says_why(conform, tmp_path):
    (tmp_path / "ab.xml").write_text(f"<testsuites>{suite(case('a'), case('b'))}<testsuite name='u'>{case('c')}</testsuite></testsuites>")
    (tmp_path / "a.xml").write_text(suite(case("a")))
    conform("baseline", "init", "--junit-in", "ab.xml", *LEDGER)
    before = (tmp_path / "ledger.toml").read_bytes()
    for step in ("update", "merge"):
        assert "s::b: the ledger has it" in conform("baseline", step, "--junit-in", "a.xml", *LEDGER, *EXCUSE, "--yes", status=2)
        assert (tmp_path / "ledger.toml").read_bytes() == before
    assert "up to date" in conform("baseline", "prune", "--junit-in", "a.xml", *LEDGER)
    conform("baseline", "merge", "--junit-in", "a.xml", *LEDGER, "--gone", "b is a now")
    merged = store.load(tmp_path / "ledger.toml")
    assert sorted(merged.suites) == ["s", "u"], "what was not in the file is not gone"
    assert [(one.what, one.reason) for one in merged.removed] == [("s::b", "b is a now")]


@pytest.mark.parametrize("content", ["<testsuites/>", '<testsuites><testsuite name="s"/></testsuites>'])
def test_a_report_with_nothing_in_it_is_incomplete(content, conform, tmp_path):
    (tmp_path / "x.xml").write_text(content)
    (tmp_path / "ledger.toml").write_text('version = 2\ntarget = "x"\n')
    text = conform("gate", "--junit-in", "x.xml", *LEDGER, status=2)
    assert "problem: there is no result in x.xml" in text
    assert last(text) == "GATE INCOMPLETE: 1 problem(s), see above; 0 finding(s) against ledger.toml"
    for step in ("update", "merge", "prune"):
        assert "there is no result in x.xml" in conform("baseline", step, "--junit-in", "x.xml", *LEDGER, status=2)
    stream.write(tmp_path / "x.ndjson", RunReport(SESSION))
    assert "there is no result in x.ndjson" in conform("gate", "--events-in", "x.ndjson", *LEDGER, status=2)


def test_tests_that_an_interrupted_run_did_not_reach_are_no_verdict(conform, tmp_path):
    stream.write(tmp_path / "x.ndjson", RunReport(SESSION, [TestResult(TestId("s", "a", "json-sqlite"), Verdict.NOT_RUN)]))
    for file in ("x.ndjson", "x.xml"):
        assert last(conform("gate", "--events-in", file, *some_ledger(conform), status=2)).startswith("GATE INCOMPLETE")
        conform("report", "junit", "x.ndjson", "-o", "x.xml")


def test_two_cases_of_one_name(sample, conform):
    file = sample("gotestsum")
    assert "gotestsum.xml: example.org/pkg::TestFlaps occurs 2 times" in conform(
        "gate", "--junit-in", file, *some_ledger(conform), status=2
    )
    for policy in ("attempts", "position"):
        place = ("--ledger", f"{policy}.toml", "--duplicates", policy)
        measure(Path(f"{policy}.toml"), junit.read([Path(file)], Duplicates(policy)))
        conform("baseline", "init", "--junit-in", file, *place, *EXCUSE)
        assert "GATE PASSED" in conform("gate", "--junit-in", file, *place)


def some_ledger(conform) -> tuple[str, str]:
    Path("one.toml").unlink(missing_ok=True)
    Path("one.xml").write_text(suite(case("a")))
    conform("baseline", "init", "--junit-in", "one.xml", "--ledger", "one.toml")
    return ("--ledger", "one.toml")


@pytest.mark.parametrize("content", [b"<html/>", b"{}", b"", b'{"event": "session"', b"\x00\x01", b"[" * 5000, b"{" * 100_000])
def test_whatever_goes_wrong_names_the_file(content, conform, tmp_path):
    (tmp_path / "odd.file").write_bytes(content)
    ledger = some_ledger(conform)
    assert "odd.file" in conform("gate", "--junit-in", "one.xml", "--junit-in", "odd.file", *ledger, status=2)
    assert "none.xml cannot be read" in conform("gate", "--junit-in", "none.xml", *ledger, status=2)


def streamed(path: Path, *names: str, **session: object) -> None:
    results = [TestResult(TestId("s", name, "json-sqlite"), Verdict.PASS) for name in names]
    stream.write(path, RunReport({**SESSION, **session}, results))


def test_the_gate_reads_our_own_streams_and_says_what_they_left_out(conform, tmp_path):
    encodings = ["json", "cbor", "bare"]
    results = [TestResult(TestId("s", name, f"{encoding}-sqlite"), Verdict.PASS) for name in ("a", "b") for encoding in encodings]
    stream.write(tmp_path / "all.ndjson", RunReport({**SESSION, "encodings": encodings}, results))
    conform("baseline", "init", "--events-in", "all.ndjson", *LEDGER)
    assert last(conform("gate", "--events-in", "all.ndjson", *LEDGER)) == "GATE PASSED against ledger.toml"
    streamed(tmp_path / "json.ndjson", "a", "b")
    left = "2 in bare-sqlite, 2 in cbor-sqlite"
    expected = f"GATE PASSED for 2 of 2 tests in json-sqlite against ledger.toml (not looked at: {left})"
    assert last(conform("gate", "--events-in", "json.ndjson", *LEDGER)) == expected
    streamed(tmp_path / "lane.ndjson", "a", picked=True)
    expected = f"GATE PASSED for 1 of 2 tests in json-sqlite against ledger.toml (not looked at: 1 of these, {left})"
    assert last(conform("gate", "--events-in", "lane.ndjson", *LEDGER)) == expected
    streamed(tmp_path / "less.ndjson", "a")
    text = conform("gate", "--events-in", "less.ndjson", *LEDGER, status=1)
    assert "gate: vanished: s::b: the ledger has it" in text
    assert "GATE FAILED for 1 of 2 tests in json-sqlite: 1 finding(s)" in last(text)


def test_shards_and_files_of_others_are_one_report(tmp_path):
    streamed(tmp_path / "0.ndjson", "a", shard="0/2")
    streamed(tmp_path / "1.ndjson", "b", shard="1/2")
    (tmp_path / "x.xml").write_text(suite(case("c"), case("a[json-sqlite]")))
    report = results_of_others.read([tmp_path / "0.ndjson", tmp_path / "x.xml", tmp_path / "1.ndjson"])
    assert [str(one.id) for one in report.results] == ["s::a[json-sqlite]", "s::a[json-sqlite]", "s::b[json-sqlite]", "s::c"]
    assert report.problems == ["s::a[json-sqlite] occurs in a stream and in a JUnit file"]


OUTCOMES = ["", "<skipped/>", "<failure/>", "<flakyError/>", "<error/>"]
TEXT = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("*[]:&<\"'\n\t "), max_size=6)


@given(
    cases=st.lists(
        st.tuples(TEXT, TEXT, st.sampled_from(["", "<skipped/>", "<failure/>", "<flakyError/>", "<error/>"])), min_size=1, max_size=8
    ),
    policy=st.sampled_from([Duplicates.ATTEMPTS, Duplicates.POSITION]),
    time=st.sampled_from(["nan", "-5", "1e400", "1,234.5", "", "x"]),
)
@settings(deadline=None)  # a busy machine is no fault
def test_files_of_any_names_pass_their_ledger_and_go_into_streams(cases, policy, time, tmp_path_factory):
    place = tmp_path_factory.mktemp("any")
    body = "".join(
        f"<testcase time={quoteattr(time)} classname={quoteattr(xml(owner))} name={quoteattr(xml(name))}>{child}</testcase>"
        for owner, name, child in cases
    )
    (place / "x.xml").write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>", encoding="utf-8")
    report = junit.read([place / "x.xml"], policy)
    ledger = update(
        Ledger(target="x"),
        report,
        Selection(),
        TODAY,
        Excuse("r", "l", TODAY, measured=dict.fromkeys([one.id for one in report.results], (3, 30))),
    )
    store.save(place / "ledger.toml", ledger)
    assert judge(store.load(place / "ledger.toml"), report, Selection(), TODAY) == []
    stream.write(place / "x.ndjson", report)
    assert [(one.id, one.verdict) for one in stream.read(place / "x.ndjson").results] == [(one.id, one.verdict) for one in report.results]
    junit.write(place / "again.xml", report)
    again = junit.read([place / "again.xml"])
    assert {(one.id, one.verdict) for one in again.results} == {(one.id, one.verdict) for one in report.results}
    assert again.problems == []


def test_a_ledger_with_an_expired_entry_is_not_written_again_as_it_is():
    report = RunReport(results=[TestResult(TestId("s", "a"), Verdict.FAIL, "why")])
    made = update(Ledger(target="x"), report, Selection(), TODAY, Excuse("r", "l", TODAY))
    with pytest.raises(UsageError, match="expired entry: s::a"):
        update(made, report, Selection(), TODAY + datetime.timedelta(days=1))
