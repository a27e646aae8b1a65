"""What a failure leaves behind, and whose fault it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client import Encoding, Exchange, SocketFrame
from harness.codec import messages
from harness.errors import UsageError
from harness.evidence import bundle
from harness.evidence.decode import Reader, violations
from runtime.protocol.connection_frames import encode_to_client, encode_to_server
from runtime.protocol.http_bodies import encode_action_request, encode_action_response, encode_error
from runtime.protocol.messages import ActionRequest, ErrorFrame, Event, Init, WireError
from tests.harness.sample import only, run, verdicts, write_corpus

ROOT = Path(__file__).parents[2]
ACTOR = "0123456789abcdefghijklmnopqrst"
FAILING = f'''
@requirement("TASK-009")
async def test_bad(conform, boundary):
    """Bad."""
    await conform.http.post("/hello", content=b"out")
    await conform.http.get("/actors", params={{"actor_ids": "{ACTOR}"}})
    conform.transcript.mark("half way")
    print("said by the target")
    assert conform.encoding == "morse", "only morse"
'''


def test_a_failure_leaves_a_bundle(tmp_path):
    result = only(run(write_corpus(tmp_path / "corpus", gamma=FAILING), evidence=tmp_path / "e"))
    assert (str(result.verdict), result.blame) == ("fail", "target")
    place = Path(result.bundle)
    assert place == bundle.place(tmp_path / "e", "gamma::test_bad[json-memory]")
    about = json.loads((place / "bundle.json").read_text())
    assert about["test"] == "gamma::test_bad[json-memory]"
    assert about["rerun"].endswith(f"--encoding json --storage memory --corpus {tmp_path}/corpus --only gamma::test_bad")
    assert {"python", "httpx", "websockets"} <= set(about["environment"])
    assert "only morse" in (place / "failure.txt").read_text()
    assert "said by the target" in (place / "target.log").read_text()
    assert json.loads((place / "actors.json").read_text())["actors"][0]["actor_id"] == ACTOR
    rows = [json.loads(line) for line in (place / "transcript.ndjson").read_text().splitlines()]
    assert [one["kind"] for one in rows] == ["http", "http", "mark", "mark", "http"]  # the second mark: the end of the test
    assert rows[0]["request"]["body"] == rows[0]["response"]["body"] == "out"
    text = (place / "transcript.txt").read_text()
    assert "POST http://127.0.0.1" in text
    assert "-- half way" in text


def test_passing_and_skipped_tests_leave_nothing(tmp_path):
    source = '@requirement("TASK-001")\nasync def test_one(conform):\n    """One."""\n'
    source += '\n@requirement("TASK-001")\n@capability("metrics")\nasync def test_two(conform):\n    """Two."""\n'
    report = run(write_corpus(tmp_path / "corpus", gamma=source), evidence=tmp_path / "e")
    assert [result.bundle for result in report.results] == ["", ""]
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("body", "verdict", "blame"),
    [
        ('assert 0, "no"', "fail", "target"),
        ('raise HarnessError("ours")', "error", "harness"),
        ('from harness.errors import TargetError; raise TargetError("gone")', "error", "adapter"),
        ('inconclusive("who knows")', "inconclusive", ""),
        # The answer is no action response, which the test itself does not look at.
        (
            'await conform.http.post("/gateway/x/action/do", content=b"hello", headers={"x-rivet-encoding": "json"})',
            "fail",
            "target",
        ),
    ],
    ids=["assertion", "harness", "adapter", "inconclusive", "schema"],
)
def test_who_is_to_blame(tmp_path, body, verdict, blame):
    source = f'@requirement("TASK-001")\nasync def test_one(conform):\n    """One."""\n    {body}\n'
    result = only(run(write_corpus(tmp_path / "corpus", gamma=source)))
    assert (str(result.verdict), result.blame) == (verdict, blame)
    if "action" in body:
        assert result.message.startswith("the target sent what no schema allows: json response body of POST /gateway/x/action/do")


def _open(encoding: str) -> SocketFrame:
    url = f"http://h/gateway/{ACTOR}/connect"
    return SocketFrame(1, "open", 0.0, url=url, protocols=("rivet", f"rivet_encoding.{encoding}"))


@pytest.mark.parametrize("encoding", list(Encoding))
def test_socket_frames_are_decoded_in_their_encoding(encoding):
    told = [Init(ACTOR, "c"), Event("news", [1, "two"]), ErrorFrame(WireError("user", "oops", "Oops"), 7)]
    frames = [SocketFrame(1, "received", 0.1, data=encode_to_client(one, encoding)) for one in told]
    request = ActionRequest(1, "add", [2])
    frames.append(SocketFrame(1, "sent", 0.2, data=encode_to_server(request, encoding)))
    reader = Reader()
    readings = [reader.read(one) for one in [_open(encoding), *frames]]
    assert [repr(one.received) for one in readings[1:4]] == [repr(one) for one in told]  # of equal classes of two codecs
    assert repr(readings[4].sent) == repr(request)
    assert violations([_open(encoding), *frames]) == []
    spoiled = [SocketFrame(1, kind, 0.3, data=b"\x04\x00\xff") for kind in ("received", "sent")]
    assert [one.side for one in violations([_open(encoding), *spoiled])] == ["target", "client"]


def test_raw_sockets_have_no_schema():
    opened = SocketFrame(1, "open", 0.0, url=f"http://h/gateway/{ACTOR}/websocket/connect", protocols=("rivet", "rivet_encoding.bare"))
    assert violations([opened, SocketFrame(1, "received", 0.1, data="anything")]) == []


def _action(encoding: Encoding, sent: bytes, status: int, received: bytes, content_type: str | None = None) -> Exchange:
    headers = {"content-type": content_type or encoding.content_type}
    url = f"http://h/gateway/{ACTOR}/action/add"
    return Exchange("POST", url, {"x-rivet-encoding": encoding}, sent, 0.0, 0.1, status, headers, received)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_both_directions_of_an_action_call_are_validated(encoding):
    sent, answer = encode_action_request([1], encoding), encode_action_response({"a": 1}, encoding)
    error = encode_error(WireError("user", "oops", "Oops"), encoding)
    good = Reader().read(_action(encoding, sent, 200, answer))
    assert (good.sent, good.received, good.violations) == ([1], {"a": 1}, ())
    assert Reader().read(_action(encoding, sent, 400, error)).received == messages.WireError("user", "oops", "Oops")
    assert violations([_action(encoding, sent, 502, b"bad gateway", "text/plain")]) == []
    for exchange, side in [
        (_action(encoding, b"\xff\xfe", 200, answer), "client"),
        (_action(encoding, sent, 200, b"\xff\xfe"), "target"),
        (_action(encoding, sent, 400, b"\xff\xfe"), "target"),
    ]:
        assert [one.side for one in violations([exchange])] == [side]


def test_bodies_are_readable_cut_and_without_secrets(tmp_path):
    exchange = _action(Encoding.BARE, encode_action_request([1], Encoding.BARE), 200, b"\x00\xff" * 100_000)
    exchange.request_headers["Authorization"] = "Bearer secret"
    row = bundle.row(Reader().read(exchange), 0.0)
    assert row["response"]["body"]["bytes"] == 200_000
    assert len(row["response"]["body"]["base64"]) < 100_000
    bundle.write(tmp_path / "b", {"test": "a::b"}, [Reader().read(exchange)], {}, began=0.0)
    assert "secret" not in "".join(path.read_text() for path in (tmp_path / "b").iterdir())


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no bundle"):
        bundle.load(tmp_path)
    (tmp_path / "bundle.json").write_text('{"version": 99, "test": "a::b"}')
    with pytest.raises(UsageError, match="of version 1"):
        bundle.load(tmp_path)


def test_replay_says_whether_the_failure_comes_back(conform, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", gamma=FAILING)
    place = only(run(corpus, evidence=tmp_path / "e")).bundle

    def replay(*extra: str, status: int = 0) -> str:
        return conform("replay", place, *extra, status=status)

    assert "reproduced" in replay(status=1)
    write_corpus(tmp_path / "corpus", gamma=FAILING.replace("only morse", "not this one"))
    assert "fails differently" in replay(status=1)
    write_corpus(tmp_path / "corpus", gamma=FAILING.replace("morse", "json"))
    assert "did not come back" in replay()
    # Another target, of which only the name is known.
    assert "unknown target" in replay("--target", "nonsense", status=2)


def test_what_a_test_exchanged_is_not_kept_until_the_end_of_the_session(tmp_path):
    source = """
@requirement("TASK-001")
async def test_first(conform):
    \"\"\"First.\"\"\"
    assert (await conform.http.post("/", content=b"x")).text == "x"

@requirement("TASK-001")
async def test_then(conform):
    \"\"\"Then.\"\"\"
    import gc
    from harness.evidence.transcript import Transcript
    gc.collect()
    held = [one for one in gc.get_objects() if isinstance(one, Transcript)]
    assert held == [conform.transcript]
"""
    assert set(verdicts(run(write_corpus(tmp_path / "corpus", alpha=source))).values()) == {"pass"}
