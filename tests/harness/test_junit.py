"""JUnit XML, ours and others'."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import junit
from harness.errors import UsageError
from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.junit import Duplicates

SAMPLES = Path(__file__).parent / "junit"
ANY = st.text(st.characters(), max_size=8)
"""Whatever a program can say, lone surrogates and controls included."""

DIALECTS = {
    "pytest": {
        "test_sample::test_ok": "pass",
        "test_sample::test_x[1-a]": "pass",
        "test_sample::test_xfail": "skip",
        "test_sample::test_skip": "skip",
        "test_sample::test_both": "error",
        "test_sample::test_bad": "fail",
        "pytest::test_broken": "error",
    },
    "surefire": {
        "com.acme.StoreTest::opens": "pass",
        "com.acme.StoreTest::flaps": "flaky",
        "com.acme.StoreTest::fails": "fail",
        "com.acme.StoreTest::crashes": "error",
        "com.acme.StoreTest::waits": "skip",
    },
    "gradle": {
        "com.acme.CalcTest::evaluates 2 * 3": "pass",
        "com.acme.CalcTest::[1] a, b": "pass",
        "com.acme.CalcTest::divides()": "fail",
        "com.acme.CalcTest::later()": "skip",
    },
    "go-junit-report": {
        "example.org/store::TestOpen": "pass",
        "example.org/store::TestOpen/empty_key": "fail",
        "example.org/store::TestLater": "skip",
        "example.org/broken::[build failed]": "error",
    },
    "nextest": {
        "store..integration::codec::round_trip": "pass",
        "store..integration::flaps": "flaky",
        "store..integration::fails": "fail",
        "store..integration::hangs": "fail",
    },
    "googletest": {
        "Rectangle::Area": "pass",
        "Rectangle::Twice": "fail",
        "Rectangle::DISABLED_Later": "skip",
        "Rectangle::Skips": "skip",
        "All/Params::Holds/0": "pass",
    },
    "googletest-disabled": {"Store::Opens": "pass", "Store::DISABLED_Compacts": "skip", "Store::OldSkip": "skip"},
    "vitest": {
        "src/calc.test.ts::calc > adds > [object Object]": "fail",
        "src/calc.test.ts::calc > later": "skip",
        "src/broken.test.ts::src/broken.test.ts": "fail",
    },
    "mocha": {'calc::"before each" hook for "divides"': "fail", "calc::adds": "pass", "calc::later": "skip"},
    "mocha-junit-reporter": {"adds::calc adds": "pass", "divides::calc divides": "fail"},
    "node": {
        "test::adds": "pass",
        "test::divides": "fail",
        "test::later": "skip",
        "test::some day": "skip",
        "group/test::adds": "pass",
        "group/test::inner": "fail",
    },
    "playwright": {
        "chromium/login.spec.ts::login > works": "pass",
        "chromium/login.spec.ts::login > refuses": "fail",
        "firefox/login.spec.ts::login > works": "pass",
        "firefox/login.spec.ts::login > refuses": "skip",
    },
    "catch2": {
        "units.global::vectors/growing": "pass",
        "units.global::vectors/shrinking": "fail",
        "units.global::throws": "error",
        "units.global::may fail": "skip",
    },
    "nunit": {
        "Acme.Tests.CalcTests::Adds(1,2)": "pass",
        "Acme.Tests.CalcTests::Divides": "fail",
        "Acme.Tests.CalcTests::Ignored": "skip",
        "Acme.Tests.CalcTests::Unsure": "inconclusive",
        "Acme.Tests.CalcTests::Never": "skip",
    },
    "ctest": {"good::good": "pass", "bad::bad": "fail", "off::off": "skip", "none::none": "skip"},
    "ginkgo": {
        "Store::[It] opens": "pass",
        "Store::[It] fails": "fail",
        "Store::[It] panics": "error",
        "Store::[It] later": "skip",
    },
    "disabled-after": {"factorial::positive": "pass", "factorial::negative": "skip"},
    "fail-and-skip": {"s::skip_in_teardown": "fail"},
    "suite-error": {"s::a": "pass", "s::b": "pass", "s::(suite)": "error"},
    "nameless": {"pkg.SetupFails::(unnamed)": "fail", "pkg.SetupFails::other": "pass"},
    "line-break": {"s::parses\\ntwo lines": "pass", "s::other": "pass"},
    "suites-same-class": {
        "Lexer when empty/returns nothing::returns nothing": "pass",
        "Parser when empty/returns nothing::returns nothing": "pass",
    },
}


def identity(name: str) -> TestId:
    return TestId("alpha", name, "json-memory")


def verdicts(report: RunReport) -> dict[str, str]:
    return {str(one.id): str(one.verdict) for one in report.results}


def cases(text: str, tmp_path: Path, *more: str, duplicates: Duplicates = Duplicates.ERROR) -> RunReport:
    """The report of files, each a suite with these cases."""
    paths = []
    for number, one in enumerate((text, *more)):
        paths.append(tmp_path / f"{number}.xml")
        paths[-1].write_text(f'<testsuites><testsuite name="s">{one}</testsuite></testsuites>')
    return junit.read(paths, duplicates)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_files_of_other_tools_are_read_as_their_writers_meant_them(dialect):
    report = junit.read([SAMPLES / f"{dialect}.xml"])
    assert verdicts(report) == DIALECTS[dialect]
    assert report.problems == []


def test_what_a_reader_wants_to_know_is_there():
    found = {one.id.name: one for one in junit.read([SAMPLES / "surefire.xml"]).results}
    assert (found["opens"].seconds, found["crashes"].seconds) == (1200.5, 0.0)
    assert (found["flaps"].attempts, found["flaps"].message) == (3, "java.io.IOException")
    assert (found["fails"].attempts, found["fails"].message) == (2, "expected 1")
    assert found["fails"].detail.startswith("trace 1")
    assert found["crashes"].message == "java.lang.NullPointerException"
    twice = next(one for one in junit.read([SAMPLES / "googletest.xml"]).results if one.id.name == "Twice")
    assert twice.detail == "first\n\nsecond"


@pytest.mark.parametrize(
    ("case", "verdict"),
    [
        ('<testcase name="t" status="disabled"/>', "skip"),
        ('<testcase name="t" status="Not Run"/>', "skip"),
        ('<testcase name="t" result="suppressed" status="run"/>', "skip"),
        ('<testcase name="t" executed="false"/>', "skip"),
        ('<testcase name="t" skipped="true"/>', "skip"),
        ('<testcase name="t" disabled="0" errors="0"/>', "pass"),
        ('<testcase name="t"><disabled/></testcase>', "skip"),
        ('<testcase name="t"><ignored/></testcase>', "skip"),
        ('<testcase name="t" status="passed"><properties/><system-out>failed</system-out></testcase>', "pass"),
        ('<testcase name="t" status="failed"/>', "fail"),
        ('<testcase name="t" result="Error"/>', "error"),
        ('<testcase name="t" success="False"/>', "fail"),
        ('<testcase name="t" failure="no such"/>', "fail"),
        ('<testcase name="t" status="disabled"><failure/></testcase>', "fail"),
        ('<testcase name="t"><failure/><skipped/></testcase>', "fail"),
        ('<testcase name="t"><skipped/><failure/></testcase>', "fail"),
        ('<testcase name="t"><error/><failure/></testcase>', "error"),
        ('<testcase name="t"><skipped/><error/></testcase>', "error"),
        ('<testcase name="t"><failure/><flakyFailure/></testcase>', "fail"),
        ('<testcase name="t"><rerunFailure/></testcase>', "fail"),
        ('<testcase name="t"><rerunError/></testcase>', "error"),
        ('<testcase name="t"><flakyError/></testcase>', "flaky"),
        ('<j:testcase xmlns:j="urn:x" name="t"><j:failure/></j:testcase>', "fail"),
    ],
)
def test_the_worst_that_a_case_says_counts(case, verdict, tmp_path):
    report = cases(case, tmp_path)
    assert verdicts(report) == {"s::t": verdict}
    assert report.problems == []


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ('<testcase name="t" status="purple"/>', 'status="purple"'),
        ('<testcase name="t"><exploded/></testcase>', "<exploded>"),
        ('<testcase name="t" ending="failed"/>', 'ending="failed"'),
        ('<testcase name="t" executed="perhaps"/>', 'executed="perhaps"'),
    ],
)
def test_what_nobody_understands_is_a_problem_with_its_file_and_line(case, said, tmp_path):
    report = cases(case, tmp_path)
    assert report.problems == [f"{tmp_path / '0.xml'}, line 1: case t says {said}, which nobody understands"]
    assert report.status == 2


def test_a_suite_that_failed_is_a_result_of_its_own(tmp_path):
    report = cases('<testcase name="t"/><failure message="after all">trace</failure>', tmp_path)
    assert verdicts(report) == {"s::t": "pass", "s::(suite)": "fail"}
    (tmp_path / "x.xml").write_text('<testsuite name="s" status="failed"><testcase name="t"/></testsuite>')
    assert verdicts(junit.read([tmp_path / "x.xml"])) == {"s::t": "pass", "s::(suite)": "fail"}
    (tmp_path / "x.xml").write_text('<testsuite name="s" status="failed"><testcase name="t"><failure/></testcase></testsuite>')
    assert verdicts(junit.read([tmp_path / "x.xml"])) == {"s::t": "fail"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '<testsuites tests="10" errors="3"><testsuite name="s"><testcase name="t"/></testsuite></testsuites>',
            "<testsuites> counts 0 fai",
        ),
        ('<testsuite name="s" tests="6" failures="1"/>', "s counts 1 failure(s) and 0 error(s), but only 0 are in it"),
        (
            '<testsuites failures="2"><testsuite name="s" failures="2"><testcase name="t"><failure/></testcase></testsuite></testsuites>',
            "s counts 2 failure(s) and 0 error(s), but only 1 are in it",
        ),
    ],
)
def test_counters_that_say_more_than_the_cases_are_one_problem(text, problem, tmp_path):
    (tmp_path / "x.xml").write_text(text)
    (said,) = junit.read([tmp_path / "x.xml"]).problems
    assert f"{tmp_path / 'x.xml'}, line 1: {problem}" in said


@pytest.mark.parametrize("counter", ["", "many", "-1", "0", "1e9"])
def test_counters_that_say_less_or_nothing_mean_nothing(counter, tmp_path):
    (tmp_path / "x.xml").write_text(f'<testsuite name="s" failures="{counter}"><testcase name="t"/></testsuite>')
    assert junit.read([tmp_path / "x.xml"]).problems == []


def test_a_suite_that_failed_to_load_is_a_problem_of_the_file():
    (problem,) = junit.read([SAMPLES / "jest-junit.xml"]).problems
    assert "jest-junit.xml, line 9: broken.test.js counts 0 failure(s) and 1 error(s), but only 0 are in it" in problem


def test_a_report_with_nothing_in_it_is_a_problem(tmp_path):
    (tmp_path / "x.xml").write_text("<testsuites/>")
    report = junit.read([tmp_path / "x.xml"])
    assert report.problems == [f"there is no result in {tmp_path / 'x.xml'}"]
    assert report.status == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234.567", 1234.567), ("0,160", 0.16), ("0.5", 0.5), ("1,234,567.8", 1234567.8), ("12,5", 12.5), ("", 0.0), ("-1", 0.0),
        ("nan", 0.0), ("inf", 0.0), ("1e999", 0.0), ("1e300", 0.0), ("12 ms", 0.0), (" 2 ", 2.0),
    ],
)  # fmt: skip
def test_times_are_read_or_ignored(text, expected, tmp_path):
    assert cases(f'<testcase name="t" time="{text}"/>', tmp_path).results[0].seconds == expected


@pytest.mark.parametrize(("value", "attempts"), [("3", 3), ("0", 1), ("-3", 1), ("many", 1), ("9" * 40, 1), ("", 1)])
def test_properties_of_others_are_never_a_fault(value, attempts, tmp_path):
    text = f'<testcase name="t"><properties><property name="attempts" value="{value}"/></properties></testcase>'
    assert cases(text, tmp_path).results[0].attempts == attempts


def test_names_that_are_missing_or_odd_make_stable_ids(tmp_path):
    text = '<testcase name=""/><testcase/><testcase name="  "/><testcase name="a * b[c]"/><testcase name="x[]"/><testcase name="x"/>'
    assert list(verdicts(cases(text, tmp_path))) == ["s::(unnamed 2)", "s::(unnamed 3)", "s::(unnamed)", "s::a * b[c]", "s::x", "s::x[]"]
    (tmp_path / "x.xml").write_text("<testsuites><testcase/></testsuites>")
    assert list(verdicts(junit.read([tmp_path / "x.xml"]))) == ["(unnamed)::(unnamed)"]


def test_suites_around_tell_classes_apart_and_only_where_it_is_needed(tmp_path):
    inner = '<testsuite name="{0}"><testsuite name="inner"><testcase name="t"/></testsuite><testcase classname="c" name="{0}"/></testsuite>'
    (tmp_path / "x.xml").write_text(f"<testsuites>{inner.format('A')}{inner.format('B')}</testsuites>")
    assert list(verdicts(junit.read([tmp_path / "x.xml"]))) == ["A/inner::t", "B/inner::t", "c::A", "c::B"]


def test_cases_that_occur_twice(tmp_path):
    once, twice = '<testcase name="t"><failure message="late"/></testcase><testcase name="u"/>', '<testcase name="t" time="2"/>'
    report = cases(once, tmp_path, twice)
    files = f"{tmp_path / '0.xml'} and {tmp_path / '1.xml'}"
    assert report.problems == [f"{files}: s::t occurs 2 times; if that is meant: --duplicates attempts, or position"]
    report = cases(once, tmp_path, twice, duplicates=Duplicates.ATTEMPTS)
    assert verdicts(report) == {"s::t": "flaky", "s::u": "pass"}
    assert (report.results[0].attempts, report.results[0].seconds) == (2, 2.0)
    assert report.results[0].message == "1 of 2 attempts failed, the last: late"
    assert report.problems == []
    report = cases(once, tmp_path, twice, '<testcase name="t (2)"/>', duplicates=Duplicates.POSITION)
    assert verdicts(report) == {"s::t": "fail", "s::t (2)": "pass", "s::t (3)": "pass", "s::u": "pass"}


def test_attempts_that_all_ended_alike_end_so(tmp_path):
    for verdict, child in (("pass", ""), ("fail", "<failure/>"), ("skip", "<skipped/>")):
        text = f'<testcase name="t">{child}</testcase>' * 3
        assert verdicts(cases(text, tmp_path, duplicates=Duplicates.ATTEMPTS)) == {"s::t": verdict}
    report = junit.read([SAMPLES / "gotestsum.xml"], Duplicates.ATTEMPTS)
    assert verdicts(report)["example.org/pkg::TestFlaps"] == "flaky"


def test_every_verdict_reads_back(tmp_path):
    results = [
        TestResult(
            TestId("alpha", f"test_{verdict}", "json-memory"),
            verdict,
            "" if verdict is Verdict.PASS else "why",
            attempts=3 if verdict is Verdict.FLAKY else 1,
        )
        for verdict in Verdict
    ]
    junit.write(tmp_path / "out.xml", RunReport(results=results, session={"target": "x"}))
    found = junit.read([tmp_path / "out.xml"])
    assert {(one.id, one.verdict, one.message, one.attempts) for one in found.results} == {
        (one.id, one.verdict, one.message, one.attempts) for one in results
    }
    text = (tmp_path / "out.xml").read_text()
    assert '<testsuites name="conform x"' in text
    assert f'tests="{len(Verdict)}"' in text
    assert "<flakyFailure" in text


def test_the_problems_of_a_run_are_in_its_file_and_read_back(tmp_path):
    broken = RunReport(results=[TestResult(identity("a"), Verdict.PASS)], problems=["worker died:\nsignal 9", "target is gone"])
    junit.write(tmp_path / "out.xml", broken)
    text = (tmp_path / "out.xml").read_text()
    assert 'errors="2"' in text
    assert '<testcase name="problem 1" classname="(run)"' in text
    found = junit.read([tmp_path / "out.xml"])
    assert found.problems == [f"{tmp_path / 'out.xml'}: worker died:\nsignal 9", f"{tmp_path / 'out.xml'}: target is gone"]
    assert verdicts(found) == {"alpha::a[json-memory]": "pass"}


@given(suite=ANY.filter(str.strip), name=ANY.filter(str.strip), message=ANY, detail=ANY, verdict=st.sampled_from(list(Verdict)))
@settings(deadline=None)  # a busy machine is no fault
def test_whatever_a_target_says_can_be_written_and_read(tmp_path_factory, suite, name, message, detail, verdict):
    path = tmp_path_factory.mktemp("junit") / "out.xml"
    one = TestResult(TestId.of(suite, name), verdict, message, detail)
    junit.write(path, RunReport(results=[one], session={"target": message}))
    (found,) = junit.read([path]).results
    assert (found.id, found.verdict) == (one.id, one.verdict)


def test_colours_and_line_breaks_come_back_visible(tmp_path):
    one = TestResult(identity("a"), Verdict.FAIL, "\x1b[31mred\tand\nblue", "\ud800 \x00 \ufffe")
    junit.write(tmp_path / "out.xml", RunReport(results=[one]))
    (found,) = junit.read([tmp_path / "out.xml"]).results
    assert found.message == "\\x1b[31mred\tand\nblue"
    assert found.detail == "\\ud800 \\x00 \\ufffe"


BOMB = "<!DOCTYPE t [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><testsuites><testsuite name='&b;'/></testsuites>"
FETCH = "<!DOCTYPE t [<!ENTITY a SYSTEM 'file:///etc/hostname'>]><testsuites><testsuite name='s'>&a;</testsuite></testsuites>"


@pytest.mark.parametrize(
    "content",
    [
        b"not xml",
        b"<html/>",
        b"",
        b"<testsuites>",
        BOMB.encode(),
        FETCH.encode(),
        b"<testsuites a='\x1b'/>",
        b"\xff\xfe<",
        b"<?xml version='1.0' encoding='klingon'?><testsuites/>",
    ],
)
def test_what_is_no_junit_is_refused_by_name(content, tmp_path):
    (tmp_path / "bad.xml").write_bytes(content)
    with pytest.raises(UsageError, match=r"bad\.xml is no JUnit XML"):
        junit.read([tmp_path / "bad.xml"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_any_encoding_is_read(encoding, tmp_path):
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><testsuite name="s"><testcase name="é"/></testsuite>'
    (tmp_path / "x.xml").write_bytes(text.encode(encoding))
    assert verdicts(junit.read([tmp_path / "x.xml"])) == {"s::é": "pass"}


def test_deep_and_large_files_are_read(tmp_path):
    deep = '<testsuite name="d">' * 3000 + '<testcase name="t"/>' + "</testsuite>" * 3000
    (tmp_path / "deep.xml").write_text(deep)
    assert verdicts(junit.read([tmp_path / "deep.xml"])) == {"d::t": "pass"}
    began = time.process_time()
    many = cases("".join(f'<testcase classname="c{number % 100}" name="t{number}"/>' for number in range(20_000)), tmp_path)
    assert len(many.results) == 20_000
    assert time.process_time() - began < 5
