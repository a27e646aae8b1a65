"""What a timeline claims, and that it claims no more than was seen."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from client import Exchange, SocketFrame
from harness.events import stream
from harness.evidence import timeline
from harness.evidence.decode import Reader
from harness.evidence.transcript import Mark
from harness.report import picture
from tests.harness.sample import run, write_corpus

EPOCH = 1_700_000_000.0
ACTOR = "a" * 30
BASE = "http://t"


def stamp(seconds: float) -> int:
    return int((EPOCH + seconds) * 1000)


def answer(
    at: float, value: object, *, method: str = "GET", path: str = "/actors", status: int = 200, until: float | None = None
) -> Exchange:
    headers = {"x-rivet-encoding": "json"}
    body = json.dumps(value).encode()
    return Exchange(
        method, BASE + path, headers, b"", at, at + 0.01 if until is None else until, status, {"content-type": "application/json"}, body
    )


def record(at: float, *, actor: str = ACTOR, **times: float) -> Exchange:
    known = {name: stamp(value) for name, value in times.items()}
    return answer(at, {"actors": [{"actor_id": actor, "name": "counter", "key": "k", **known}]})


def call(at: float, name: str, output: object = None, *, status: int = 200) -> Exchange:
    value = {"output": output} if status == 200 else {"group": "actor", "code": "overloaded", "message": "no"}
    return answer(at, value, method="POST", path=f"/gateway/{ACTOR}/action/{name}", status=status)


def frame(kind: str, at: float, text: str = "", **fields: object) -> SocketFrame:
    return SocketFrame(
        7, kind, at, url="ws://t/gateway/" + ACTOR + "/connect", protocols=("rivet", "rivet_encoding.json"), data=text, **fields
    )


def derive(*entries: object, **options: object) -> list[dict]:
    reader = Reader()
    return timeline.derive([reader.read(one) for one in entries], began=0.0, epoch=EPOCH, **options)


def row(spans: list[dict], name: str) -> list[tuple]:
    return [(one["kind"], one["label"], one["at"], one.get("until")) for one in spans if one["row"].startswith(name)]


def test_states_last_as_long_as_the_manager_said_so():
    spans = derive(
        record(0.1, create_ts=0.0, connectable_ts=0.05), record(0.3, create_ts=0.0, connectable_ts=0.05),
        record(1.0, create_ts=0.0, sleep_ts=0.8), record(2.0, create_ts=0.0, sleep_ts=0.8),
        record(4.0, create_ts=0.0, destroy_ts=3.5),
    )  # fmt: skip
    assert row(spans, "actor counter (aaaaaaaa)") == [
        ("created", "created, says the manager", 0.0, None),
        ("awake", "awake, says the manager", 0.05, 0.31),
        ("asleep", "asleep, says the manager", 0.8, 2.01),
        ("destroyed", "destroyed, says the manager", 3.5, None),
    ]


def test_answers_prove_that_the_actor_was_awake_and_no_stretch_crosses_a_sleep():
    spans = derive(call(0.1, "getCount", 1), call(0.3, "getCount", 2), record(1.0, sleep_ts=0.8), call(2.0, "getCount", 3))
    assert row(spans, "actor") == [
        ("answering", "answered 2 calls, so it was awake at each", 0.11, 0.31),
        ("asleep", "asleep, says the manager", 0.8, 1.01),
        ("answering", "answered a call, so it was awake then", 2.01, None),
    ]


@pytest.mark.parametrize(("touched", "alone"), [(None, True), (0.5, True), (1.5, False)])
def test_a_wake_is_its_own_only_when_nothing_of_the_test_was_under_way(touched, alone):
    entries = [record(1.0, sleep_ts=0.9), record(3.0, connectable_ts=2.0)]
    if touched is not None:
        entries.append(call(touched, "ping"))
    assert [kind for kind, *_ in row(derive(*entries), "alarms")] == (["woke"] if alone else [])


def test_counters_say_between_which_answers_something_happened():
    spans = derive(
        call(0.1, "getCounts", {"startCount": 1, "sleepCount": 0, "alarmCount": 0, "ready": True}),
        call(1.0, "getCounts", {"startCount": 2, "sleepCount": 1, "alarmCount": 0}),
        call(2.0, "getSaveCount", 3),
    )
    assert row(spans, "sleep and wake") == [
        ("counted", "startCount is 1 in the first answer that has it", 0.11, None),
        ("counted", "startCount 1 -> 2 between two answers", 0.11, 1.01),
        ("counted", "sleepCount 0 -> 1 between two answers", 0.11, 1.01),
    ]
    assert row(spans, "saves") == [("counted", "saveCount is 3 in the first answer that has it", 2.01, None)]
    assert row(spans, "alarms") == []


def test_what_the_test_asked_for_is_called_so():
    spans = derive(call(0.1, "saveImmediate"), call(0.2, "setAlarm", status=429), call(0.3, "getAlarm"))
    assert row(spans, "saves") == [("asked", "asked for saveImmediate()", 0.1, 0.11)]
    assert row(spans, "alarms") == [("failed", "asked for setAlarm()", 0.2, 0.21)]
    assert row(spans, "calls")[1] == ("failed", "setAlarm() -> actor.overloaded", 0.2, 0.21)


def test_a_call_that_the_test_gave_up_did_not_fail():
    dropped = replace(call(0.1, "block"), status=None, response_body=b"", error="CancelledError()")
    assert row(derive(dropped), "calls") == [("call", "block() -> given up by the test", 0.1, 0.11)]
    assert row(derive(replace(dropped, error="ReadError('')")), "calls") == [("failed", "block() -> ReadError('')", 0.1, 0.11)]


def test_actions_on_a_connection_last_from_the_request_to_the_answer():
    spans = derive(
        frame("open", 0.0),
        frame("received", 0.1, json.dumps({"body": {"tag": "Init", "val": {"actorId": ACTOR, "connectionId": "c"}}})),
        frame("sent", 0.2, json.dumps({"body": {"tag": "ActionRequest", "val": {"id": 1, "name": "add", "args": [2]}}})),
        frame("sent", 0.3, json.dumps({"body": {"tag": "ActionRequest", "val": {"id": 2, "name": "hang", "args": []}}})),
        frame("received", 0.4, json.dumps({"body": {"tag": "ActionResponse", "val": {"id": ["$BigInt", "1"], "output": 3}}})),
        frame("received", 0.5, json.dumps({"body": {"tag": "Event", "val": {"name": "alarmRang", "args": [1]}}})),
        frame("closed", 0.9, code=1006, reason="lost"),
    )  # fmt: skip
    assert row(spans, "socket 1 /connect") == [
        ("socket", "/connect closed 1006 lost", 0.0, 0.9),
        ("received", "ready, connection c", 0.1, None),
        ("call", "add(2) -> 3", 0.2, 0.4),
        ("failed", "hang(...) never answered", 0.3, 0.9),
        ("received", "event alarmRang(1)", 0.5, None),
    ]
    assert row(spans, "alarms") == [("told", "event alarmRang(1)", 0.5, None)]


def test_polls_are_one_stretch_and_long_rows_say_what_is_left_out():
    spans = derive(*(record(0.1 * number) for number in range(5)), *(Mark(number, f"mark {number}") for number in range(100)))
    assert row(spans, "manager") == [("manager", "GET /actors (x5)", 0.0, 0.41)]
    assert len(row(spans, "harness")) == timeline.MOST_IN_A_ROW + 1
    assert ("more", "40 more, not drawn", 30, 69) in row(spans, "harness")


def test_the_log_is_the_word_of_the_target():
    lines = (
        'timestamp=2023-11-14T22:13:20.5Z level=info event="state saved" n=1',
        'timestamp=never event="alarm"',
        "timestamp=2023-11-14T22:13:21Z event=other",
    )
    assert row(derive(Mark(0.0, "x"), log="\n".join(lines)), "target log") == [("logged", "state saved", 0.5, None)]


def test_answers_of_a_broken_manager_break_no_timeline():
    odd = [
        None,
        3,
        [],
        {"actors": None},
        {"actors": [3, {"actor_id": 4}]},
        {"actor": {"actor_id": ACTOR, "sleep_ts": "soon", "create_ts": True}},
    ]
    assert [name for name, *_ in row(derive(*(answer(0.1, value) for value in odd)), "actor")] == []


def test_a_picture_escapes_what_it_shows_and_keeps_inside_itself():
    spans = [
        {"row": "<row>", "kind": "mark", "label": "<b>&", "at": 0.0},
        {"row": "<row>", "kind": "call", "label": "long", "at": 1.0, "until": 9.0},
        {"row": "calls", "kind": "call", "label": "short", "at": 9.999, "until": 10.0},
    ]
    drawn = picture.draw(spans, 'a "title"')
    assert "<b>" not in drawn
    assert "<row>" not in drawn
    assert 'aria-label="a &quot;title&quot;"' in drawn
    for x, width in re.findall(r'<rect [^>]*x="([\d.]+)%"[^>]*width="([\d.]+)%"', drawn):
        assert 0 <= float(x) <= float(x) + float(width) <= 100
    assert re.findall(r'class="axis"[^>]*>([^<]+)<', drawn) == ["0 ms", "2 s", "4 s", "6 s", "8 s", "10 s"]
    assert picture.draw([], "nothing") == ""
    assert "<svg" in picture.draw([{"row": "one", "kind": "mark", "label": "x", "at": 0.0}], "a moment")


SLEEPER = """
@requirement("SLEEP-011")
async def test_fine(conform, boundary):
    \"\"\"Fine.\"\"\"
    await conform.http.post("/actors/0123456789abcdefghijklmnopqrst/sleep")
    await boundary.wait_asleep("0123456789abcdefghijklmnopqrst")

@requirement("SLEEP-011")
async def test_bad(conform):
    \"\"\"Bad.\"\"\"
    await conform.http.post("/hello", content=b"out")
    assert 0
"""


@pytest.mark.parametrize("timelines", [False, True])
def test_passed_tests_have_a_timeline_when_asked_for(tmp_path, timelines):
    found = run(write_corpus(tmp_path / "corpus", gamma=SLEEPER), timelines=timelines)
    bad, fine = found.results
    assert {one["row"] for one in bad.timeline} == {"harness", "manager"}
    if not timelines:
        assert fine.timeline == ()
        return
    labels = [one["label"] for one in fine.timeline]
    assert "POST /actors/01234567/sleep" in labels
    assert any(re.fullmatch(r"GET /actors \(x\d+\)", label) for label in labels)
    assert "end of the test" in labels
    assert any(one["kind"] == "asleep" for one in fine.timeline)
    stream.write(tmp_path / "run.ndjson", found)
    assert [one.timeline for one in stream.read(tmp_path / "run.ndjson").results] == [one.timeline for one in found.results]
