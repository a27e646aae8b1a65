"""The events of one session, as they are written, and what reruns make of a result."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from harness.masking import Mask
from harness.session.recorder import Recorder, ResultWriter


@pytest.fixture
def recorded(tmp_path):
    """A recorder, and the events it has written so far."""
    path = tmp_path / "events.ndjson"
    recorder = Recorder(path, Mask(["skip"]))
    yield recorder, lambda: [json.loads(line) for line in path.read_text().splitlines()]
    recorder.close(0)


def report(when, outcome="passed", verdict=None, text=""):
    result = {"id": "s::a[json-memory]", "verdict": verdict, "message": ""}
    properties = [("conform", result)] if verdict is not None else []
    return SimpleNamespace(nodeid="n", when=when, outcome=outcome, user_properties=properties, longreprtext=text)


def test_events_can_be_read_while_the_session_goes_on(recorded):
    recorder, events = recorded
    recorder.collected(id="a")
    assert events() == [{"event": "collected", "id": "a"}]
    recorder.result(id="a", verdict="fail", message="the token is skip")
    recorder.close(1)
    assert events()[1] == {"event": "result", "id": "a", "verdict": "fail", "message": "the token is ***"}
    assert events()[2] == {"event": "end", "status": 1, "collected": 1, "verdicts": {"fail": 1}}


def test_a_secret_that_is_also_a_verdict_changes_no_verdict(recorded):
    recorder, events = recorded
    recorder.result(id="skip", verdict="skip", message="")
    assert (events()[0]["id"], events()[0]["verdict"]) == ("skip", "skip")


def test_nothing_is_written_after_the_end_or_without_a_file(recorded):
    recorder, events = recorded
    recorder.close(0)
    recorder.problem("late")
    recorder.close(1)
    assert [event["event"] for event in events()] == ["end"]
    Recorder(None, Mask()).problem("to nobody")


def test_a_pass_after_a_failed_attempt_is_flaky(recorded):
    recorder, events = recorded
    writer = ResultWriter(recorder)
    for one in (report("setup"), report("call", "rerun", text="E\nit was 3"), report("teardown", verdict="fail")):
        writer.pytest_runtest_logreport(one)
    assert events() == [], "the last attempt decides"
    for one in (report("setup"), report("call"), report("teardown", verdict="pass")):
        writer.pytest_runtest_logreport(one)
    (event,) = events()
    assert (event["verdict"], event["attempts"]) == ("flaky", 2)
    assert event["message"] == "passed after 1 failed attempt(s), the last: it was 3"
