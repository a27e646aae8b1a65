"""Tests without an encoding run once, whatever encodings were asked for; who should be one is seen on the wire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client import Exchange, SocketFrame
from harness import junit
from harness.errors import UsageError
from harness.events import stream
from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.evidence.encoded import EncodingWatch
from harness.identity import TestId
from harness.report.encodings import misfits
from harness.run import account
from harness.run.lanes.lane import Lane, LaneOutcome
from tests.harness.sample import run, verdicts, write_corpus

CORPUS = '''
from harness import any_encoding
pytestmark.append(any_encoding)

@requirement("TASK-001")
async def test_once(conform):
    """Speaks to nobody in particular."""
    assert (await conform.http.post("/", content=b"x")).text == "x"
    assert conform.client.config.encoding == "json"
    assert conform.new_client(encoding="bare").config.encoding == "bare"

@requirement("TASK-001")
async def test_reads(conform):
    """Says that it has no encoding, and looks."""
    assert conform.encoding

@requirement("TASK-001")
@encodings("cbor", "bare")
async def test_of_its_own(conform):
    """The mark of the test wins over that of the module."""
    assert conform.encoding in ("cbor", "bare")

@requirement("TASK-001")
@encodings("json", "cbor", "bare")
async def test_for_nothing(conform):
    """Runs in all of them and uses none."""
'''
ACTOR = "0123456789abcdefghijklmnopqrst"
NAMED = {"x-rivet-encoding": "cbor"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> RunReport:
    return run(write_corpus(tmp_path_factory.mktemp("any") / "corpus", alpha=CORPUS), encodings=("json", "cbor", "bare"))


def test_it_runs_once_for_all_encodings(whole):
    assert verdicts(whole) == {
        "alpha::test_once[any-memory]": "pass",
        "alpha::test_reads[any-memory]": "error",
        **{f"alpha::test_of_its_own[{one}-memory]": "pass" for one in ("bare", "cbor")},
        **{f"alpha::test_for_nothing[{one}-memory]": "pass" for one in ("bare", "cbor", "json")},
    }
    (reads,) = [one for one in whole.results if one.id.name == "test_reads"]
    assert "alpha::test_reads reads its encoding but is marked any_encoding: take the mark away" in reads.message
    assert reads.blame == "harness"


def test_what_did_not_use_its_encoding_is_named(whole, tmp_path):
    stream.write(tmp_path / "run.ndjson", whole)
    assert misfits([stream.read(tmp_path / "run.ndjson")]) == [
        "alpha::test_for_nothing: ran in 3 variant(s) and used no encoding: mark it any_encoding",
        "alpha::test_reads: marked any_encoding, but it uses its encoding: take the mark away, or name the encoding of its client",
    ]


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        (("bare",), {"once[any-memory]", "reads[any-memory]", "of_its_own[bare-memory]", "for_nothing[bare-memory]"}),
        (("any",), {"once[any-memory]", "reads[any-memory]"}),
    ],
)
def test_every_selection_of_encodings_has_it(tmp_path, asked, seen):
    report = run(write_corpus(tmp_path / "corpus", alpha=CORPUS), encodings=asked)
    assert set(verdicts(report)) == {f"alpha::test_{one}" for one in seen}


def exchange(path: str, status: int = 200, headers: dict[str, str] | None = None) -> Exchange:
    return Exchange("POST", f"http://x/gateway/{ACTOR}{path}", headers or {}, b"", 0.0, 0.1, status)


@pytest.mark.parametrize(
    ("seen", "used"),
    [
        (exchange("/action/increment", headers=NAMED), True),
        (exchange("/queue/jobs", headers=NAMED), True),
        (exchange("/request/hello", headers=NAMED), False),
        (exchange("/request", headers=NAMED), False),
        (exchange("/request/hello", 500, headers=NAMED), True),
        (exchange("/requests", headers=NAMED), True),
        (replace(exchange("/x"), url="http://x/actors?name=counter"), False),
        (SocketFrame(1, "open", 0.0, url=f"ws://x/gateway/{ACTOR}/connect"), True),
        (SocketFrame(1, "open", 0.0, url=f"ws://x/gateway/{ACTOR}/websocket/connect"), False),
        (SocketFrame(1, "received", 0.0, data=b"x"), False),
    ],
)
def test_what_counts_as_use_of_the_encoding(seen, used):
    passed_on = []

    class Sink:
        on_exchange = on_frame = staticmethod(passed_on.append)

    watch = EncodingWatch(Sink())
    (watch.on_frame if isinstance(seen, SocketFrame) else watch.on_exchange)(seen)
    assert (watch.used, passed_on) == (used, [seen])


def result(name: str, variant: str, verdict: str = "pass", *, encoded: bool | None = False) -> TestResult:
    return TestResult(TestId("alpha", name, f"{variant}-memory"), Verdict(verdict), "why", encoded=encoded)


def test_only_passes_tell_and_parameters_share_a_mark():
    some = [
        result("test_late", "json", "fail"),
        result("test_late", "cbor"),
        result("test_sized(1)", "json"),
        result("test_sized(2)", "json", encoded=True),
        result("test_other(1)", "json"),
        result("test_other(2)", "bare"),
    ]
    assert misfits([RunReport(results=some)]) == ["alpha::test_other: ran in 2 variant(s) and used no encoding: mark it any_encoding"]
    with pytest.raises(UsageError, match="of alpha::test_old nobody noted"):
        misfits([RunReport(results=[result("test_old", "json", encoded=None)])])


@pytest.mark.parametrize("order", [1, -1])
def test_runs_of_single_encodings_merge_and_its_worst_result_counts(tmp_path, order):
    session = {"event": "session", "version": 1, "target": "fake"}
    runs = [
        RunReport({**session, "encodings": [one]}, [result("test_once", "any", verdict), result("test_two", one)])
        for one, verdict in (("json", "pass"), ("bare", "fail"))
    ][::order]
    merged = stream.merge(runs)
    files = [tmp_path / "a.xml", tmp_path / "b.xml"]
    for file, report in zip(files, runs, strict=True):
        junit.write(file, report)
    for report in (merged, junit.read(files)):
        assert not report.problems
        assert {str(one.id): str(one.verdict) for one in report.results} == {
            "alpha::test_once[any-memory]": "fail",
            "alpha::test_two[bare-memory]": "pass",
            "alpha::test_two[json-memory]": "pass",
        }


@pytest.mark.parametrize(("cause", "behind"), [("any", "cbor"), ("json", "any")])
def test_a_prerequisite_is_found_across_the_encodings(cause, behind):
    def events(name: str, variant: str, depends: tuple[str, ...] = ()) -> list[dict]:
        test = f"alpha::{name}[{variant}-memory]"
        about = {"event": "collected", "id": test, "requirements": [], "doc": "", "timing": False, "depends": depends}
        return [about, {"event": "result", "id": test, "verdict": "fail", "message": "no"}]

    seen = [{"event": "session"}, *events("test_basic", cause), *events("test_more", behind, ("alpha::test_basic",)), {"event": "end"}]
    report = account.close([LaneOutcome(Lane("all"), seen, status=1)])
    found = {one.id.name: one.blocked_by for one in report.results}
    assert found == {"test_basic": "", "test_more": f"alpha::test_basic[{cause}-memory]"}


def test_a_run_of_the_corpus_has_no_test_with_the_wrong_mark(collected):
    """What a run shows of all of it is in the soak; here: every test without an encoding is announced once per storage."""
    once = {event["id"].partition("[")[0] for event in collected if event["encoding"] == "any"}
    others = {event["id"].partition("[")[0] for event in collected if event["encoding"] != "any"}
    assert len(once) > 300
    assert not once & others
