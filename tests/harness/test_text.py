"""What a target may say, in every format that a run leaves."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import junit, text
from harness.cli import outputs
from harness.cli.options import Outputs
from harness.events import stream
from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.evidence import bundle
from harness.identity import TestId
from harness.report import markdown, page

ANY = st.text(st.characters(), max_size=12)
ODD = "\x1b[31m\x00\ud800\ufffe </script> \u2028 @you #1 | ` \n end"
SESSION = {"event": "session", "target": "x", "time": "real"}


def failing(message: str, number: int = 1, detail: str = "") -> RunReport:
    results = [TestResult(TestId("s", f"test_{one:05}", "json-sqlite"), Verdict.FAIL, message, detail) for one in range(number)]
    return RunReport(dict(SESSION), results, [message])


@given(ANY)
def test_each_alphabet_holds_what_is_made_for_it(said):
    assert text.utf8(said).encode().decode() == text.utf8(said)
    assert re.fullmatch("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*", text.xml(said))
    assert len(text.plain(said).splitlines()) <= 1
    assert json.dumps(text.storable({"a": [said]}), ensure_ascii=False).encode()


@given(ANY, ANY)
def test_different_ids_have_different_directories_even_without_case(one, two):
    names = {text.file_name(each).lower() for each in {one, two}}
    assert len(names) == len({one, two})
    assert all(re.fullmatch(r"[a-z0-9._=+-]{1,120}", name) for name in names)


def test_ids_that_differ_in_case_or_in_odd_characters_only_are_told_apart(tmp_path):
    places = [bundle.place(tmp_path, one) for one in ("s::A[x]", "s::a[x]", "s::a/x", "s::a x", "s::" + "y" * 5000, "s::" + "y" * 5001)]
    for place in places:
        bundle.write(place, {"test": ODD, "message": ODD}, [], {"failure.txt": ODD}, began=0.0)
    assert len({str(place).lower() for place in places}) == len(places)
    assert bundle.load(places[0])["message"] == text.utf8(ODD)


@given(message=ANY, detail=ANY, problem=ANY)
@settings(deadline=None)  # a busy machine is no fault
def test_every_report_of_any_text_can_be_written_and_ours_read(message, detail, problem, tmp_path_factory):
    place = tmp_path_factory.mktemp("any")
    report = failing(message, detail=detail)
    report.problems = [problem]
    assert outputs.write(report, Outputs(junit_file=place / "x.xml", events=place / "x.ndjson"))
    (read,) = stream.read(place / "x.ndjson").results
    assert read.message == text.utf8(message)
    assert len(junit.read([place / "x.xml"]).problems) == 1
    assert page.render([report], []).encode()
    assert text.utf8(markdown.summary([report])).encode()


def test_three_megabytes_are_one_short_line_of_a_summary():
    summary = markdown.summary([failing("x" * 3_000_000)])
    assert max(map(len, summary.splitlines())) < 1000


def test_a_summary_fits_a_comment_and_says_what_it_left_out():
    report = failing("`" * 400)
    report.problems = [f"{number} {'*' * 400}" for number in range(500)]
    summary = markdown.summary([report])
    assert 60_000 < len(summary) <= markdown.LONGEST_COMMENT
    kept = summary.count(":warning:")
    assert summary.rstrip().splitlines()[-1] == f"{500 - kept + 4} more lines did not fit into a comment; the event stream has them all."
    many = RunReport(dict(SESSION), [TestResult(TestId("s", "t", f"v{number}"), Verdict.PASS) for number in range(20_000)])
    assert len(markdown.summary([many])) <= markdown.LONGEST_COMMENT


@pytest.mark.parametrize("broken", ["junit_file", "events"])
def test_a_file_that_cannot_be_written_takes_nothing_along(broken, tmp_path, capsys):
    (tmp_path / "file").touch()
    files = {"junit_file": tmp_path / "x.xml", "events": tmp_path / "x.ndjson", broken: tmp_path / "file" / "below"}
    assert not outputs.write(failing("no"), Outputs(**files))
    assert "below could not be written" in capsys.readouterr().err
    assert sum(path.exists() for path in files.values()) == 1


def test_a_command_whose_file_cannot_be_written_still_tells_the_result(conform, tmp_path):
    stream.write(tmp_path / "x.ndjson", RunReport(dict(SESSION), [TestResult(TestId("s", "t"), Verdict.FAIL, ODD)]))
    (tmp_path / "file").touch()
    said = conform("report", "merge", "x.ndjson", "-o", "file/below", "--junit", "x.xml", status=2)
    assert "1 collected, 0 passed" in said
    assert "file/below could not be written" in said
    assert (tmp_path / "x.xml").exists()
    conform("report", "html", "x.ndjson", "-o", "x.html")
    conform("report", "markdown", "x.ndjson")
    assert "\x1b" not in (tmp_path / "x.html").read_text()
