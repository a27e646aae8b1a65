"""The judge's codecs against the bytes of the npm client: what it sent, and the answers it was tried with; then what they refuse."""

import array
import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from client import UNDEFINED, Encoding
from harness.codec import bodies, frames, schema
from harness.codec.addresses import direct_path, encode_input, key_parts, new_id, offered, query_path, route_of, serialize_key
from harness.codec.bare import Reader, Writer
from harness.codec.cbor import load_cbor
from harness.codec.documents import dump_document, dump_value, load_value
from harness.codec.errors import SchemaError
from harness.codec.messages import (
    ActionRequest,
    ActionResponse,
    ActorSpecifier,
    ErrorFrame,
    Event,
    Init,
    QueueResult,
    QueueSend,
    SubscriptionRequest,
    WireError,
)
from harness.codec.values import ArrayBuffer, BigInt, Tagged, same
from runtime.protocol import values as theirs
from runtime.protocol.ids import parse_id
from tests.runtime.golden_values import ACTOR_ID, ERRORS, GOLDEN, VALUES
from tests.runtime.protocol.test_golden import (
    CBOR_SENT,
    CBOR_UNKNOWN_TAG,
    JSON_LOSSY,
    JSON_SENT,
    QUERIES,
    SEVERAL_FORMS,
    URLS,
)

SENT = json.loads((GOLDEN / "sent.json").read_text())
ACCEPTED = json.loads((GOLDEN / "accepted.json").read_text())
CASES = [(encoding, name) for encoding in Encoding for name in VALUES]
ARRAYS = {"H": 69, "q": 79, "f": 85}
CONNECTION = "11111111-2222-4333-8444-555555555555"


def ours(value):
    """A golden value in the types of these codecs."""
    if isinstance(value, theirs.Map) or (isinstance(value, dict) and not all(isinstance(name, str) for name in value)):
        return Tagged(259, {name: ours(item) for name, item in value.items()})
    if isinstance(value, dict):
        return {name: ours(item) for name, item in value.items()}
    if isinstance(value, list):
        return [ours(item) for item in value]
    if isinstance(value, array.array):
        return Tagged(ARRAYS[value.typecode], value.tobytes())
    if isinstance(value, re.Pattern):
        return Tagged(27, ["RegExp", value.pattern, "i"])
    if isinstance(value, theirs.ArrayBuffer):
        return ArrayBuffer(value)
    if isinstance(value, int) and not isinstance(value, bool) and (isinstance(value, theirs.BigInt) or abs(value) >= 2**53):
        return BigInt(value)
    return value


def sent_value(encoding, name):
    if encoding == "json" and name == "int64":  # an object of big integers to the JS client
        return {"0": BigInt(1), "1": BigInt(-1)}
    if encoding == "json":
        return ours(JSON_SENT.get(name, VALUES[name]))
    if encoding == "cbor" and name == "array_buffer":  # a plain byte string, which is bytes to whoever reads it
        return bytes(VALUES[name])
    if encoding == "cbor" and name == "big_small":
        return BigInt(5)
    return ours(CBOR_SENT.get(name, VALUES[name]) if encoding == "cbor" else VALUES[name])


def frame_of(encoding, text):
    return text if encoding == "json" else bytes.fromhex(text)


def answered(encoding, text):
    data = bytes.fromhex(text)
    return data.decode() if encoding == "json" else data


def refused(encoding, name):
    return encoding == "cbor" and name in CBOR_UNKNOWN_TAG


def determined(encoding, name):
    return encoding != "cbor" and name not in SEVERAL_FORMS and (encoding == "bare" or name not in JSON_SENT)


@pytest.mark.parametrize(("encoding", "name"), CASES)
def test_requests_of_the_client(encoding, name):
    http, recorded = SENT["http"][encoding], SENT["socket"][encoding]["action"][name]
    action, queue = bytes.fromhex(http["action"][name]), bytes.fromhex(http["queue"][name])
    frame = frame_of(encoding, recorded["frame"])
    if refused(encoding, name):
        for decode, data in (
            (bodies.decode_action_request, action),
            (bodies.decode_queue_request, queue),
            (frames.decode_to_server, frame),
        ):
            with pytest.raises(SchemaError, match="looks like a tagged value"):
                decode(data, encoding)
        return
    value = sent_value(encoding, name)
    assert same(bodies.decode_action_request(action, encoding), [value])
    body = None if name == "undefined" and encoding != "bare" else value
    send = bodies.decode_queue_request(queue, encoding)
    assert same(send.body, body)
    assert (send.wait, send.timeout_ms) == (False, None)
    request = frames.decode_to_server(frame, encoding)
    assert (request.id, request.name) == (recorded["id"], "echo")
    assert same(request.args, [value])
    if determined(encoding, name):
        value = ours(VALUES[name])
        assert bodies.encode_action_request([value], encoding) == action
        assert frames.encode_to_server(ActionRequest(recorded["id"], "echo", [value]), encoding) == frame


@pytest.mark.parametrize("encoding", Encoding)
def test_other_messages_of_the_client(encoding):
    args = {name: bytes.fromhex(text) for name, text in SENT["http"][encoding]["action_args"].items()}
    assert bodies.decode_action_request(args["none"], encoding) == []
    assert bodies.decode_action_request(args["two"], encoding) == [1, "a"]
    waits = {name: bytes.fromhex(text) for name, text in SENT["http"][encoding]["queue_wait"].items()}
    assert bodies.decode_queue_request(waits["plain"], encoding) == QueueSend(1, wait=True)
    assert bodies.decode_queue_request(waits["timed"], encoding) == QueueSend(1, wait=True, timeout_ms=300)
    for name, subscribe in (("subscribe", True), ("unsubscribe", False)):
        frame = frame_of(encoding, SENT["socket"][encoding][name])
        assert frames.decode_to_server(frame, encoding) == SubscriptionRequest("tick", subscribe)
        if encoding != "cbor":
            assert frames.encode_to_server(SubscriptionRequest("tick", subscribe), encoding) == frame


@pytest.mark.parametrize("encoding", Encoding)
def test_queue_sends_come_back(encoding):
    for send in (QueueSend(None), QueueSend(0, wait=True), QueueSend(["$x", 1], wait=True, timeout_ms=0)):
        assert bodies.decode_queue_request(bodies.encode_queue_request(send, encoding), encoding) == send


@pytest.mark.parametrize(("encoding", "name"), CASES)
def test_answers_that_the_client_reads_as_meant(encoding, name):
    if encoding == "json" and name in JSON_LOSSY:
        return
    value, http, socket = ours(VALUES[name]), ACCEPTED[encoding]["http"], ACCEPTED[encoding]["socket"]
    assert all(one[name]["same"] for one in (http["action"], http["queue"], socket["action"], socket["event"]))
    assert same(bodies.decode_action_response(bytes.fromhex(http["action"][name]["bytes"]), encoding), value)
    result = bodies.decode_queue_response(bytes.fromhex(http["queue"][name]["bytes"]), encoding)
    assert result.status == "completed"
    assert same(result.response, value)
    response = frames.decode_to_client(answered(encoding, socket["action"][name]["bytes"]), encoding)
    assert response == ActionResponse(list(VALUES).index(name), response.output)
    assert same(response.output, value)
    event = frames.decode_to_client(answered(encoding, socket["event"][name]["bytes"]), encoding)
    assert event.name == "tick"
    assert same(event.args, [value])


@pytest.mark.parametrize("encoding", Encoding)
def test_errors_and_init_that_the_client_reads(encoding):
    def expected(error):
        actor = None if error.actor is None else ActorSpecifier(error.actor.actor_id, error.actor.generation, error.actor.key)
        return WireError(error.group, error.code, error.message, error.metadata, actor)

    http, socket = ACCEPTED[encoding]["http"], ACCEPTED[encoding]["socket"]
    for number, (name, error) in enumerate(ERRORS.items()):
        assert bodies.decode_error(bytes.fromhex(http["error"][name]["bytes"]), encoding) == expected(error)
        frame = frames.decode_to_client(answered(encoding, socket["error"][name]["bytes"]), encoding)
        assert frame == ErrorFrame(expected(error), len(VALUES) + number)
    init = frames.decode_to_client(answered(encoding, socket["init"]["bytes"]), encoding)
    assert init == Init(ACTOR_ID, CONNECTION)
    for name, args in (("dollar", ["$x", 1]), ("none", [])):
        assert frames.decode_to_client(answered(encoding, socket["event_args"][name]["bytes"]), encoding) == Event("tick", args)


VECTORS = {
    "040000ac020361646403820102": ActionRequest(300, "add", [1, 2]),
    "040001047469636b01": SubscriptionRequest("tick", True),
    "04000001410143": Init("A", "C"),
    "040002070103": ActionResponse(7, 3),
    "040003047469636b028105": Event("tick", [5]),
    "0400010475736572026e6f044e6f70650104a161610101070101410201016b": ErrorFrame(
        WireError("user", "no", "Nope", {"a": 1}, ActorSpecifier("A", 2, "k")), 7
    ),
}


@pytest.mark.parametrize(("text", "message"), VECTORS.items())
def test_vectors_of_the_specification(text, message):
    data = bytes.fromhex(text)
    if isinstance(message, ActionRequest | SubscriptionRequest):
        assert frames.encode_to_server(message, "bare") == data
        assert frames.decode_to_server(data, "bare") == message
    else:
        assert frames.decode_to_client(data, "bare") == message
    with pytest.raises(SchemaError, match="1 bytes follow the end"):
        (frames.decode_to_server if isinstance(message, ActionRequest | SubscriptionRequest) else frames.decode_to_client)(
            data + b"\0", "bare"
        )


def test_queue_vector_of_the_specification():
    assert bodies.decode_queue_request(bytes.fromhex("040004a16161010101710101012c01000000000000"), "bare") == QueueSend(
        {"a": 1}, wait=True, timeout_ms=300
    )


def in_body(tag, value):
    return json.dumps({"body": {"tag": tag, "val": value}})


ID = ["$BigInt", "1"]
ERROR = {"group": "g", "code": "c", "message": "m", "actionId": None}
REFUSED = {
    "unknown member": (in_body("Init", {"actorId": "a", "connectionId": "c", "extra": 1}), "unknown member 'extra'"),
    "unknown member of the body": ('{"body":{"tag":"Init","val":{"actorId":"a","connectionId":"c"},"x":1}}', "unknown member 'x'"),
    "unknown member of the frame": ('{"body":{"tag":"Init","val":{"actorId":"a","connectionId":"c"}},"x":1}', "unknown member 'x'"),
    "member missing": (in_body("Init", {"actorId": "a"}), "lacks member 'connectionId'"),
    "member of another type": (in_body("Init", {"actorId": "a", "connectionId": 1}), "no str but 1"),
    "unknown tag": (in_body("Pong", {}), "'Pong' is no message of a server"),
    "a client's tag": (in_body("ActionRequest", {"id": ID, "name": "x", "args": []}), "no message of a server"),
    "plain id": (in_body("ActionResponse", {"id": 1, "output": 1}), "plain number"),
    "negative id": (in_body("ActionResponse", {"id": ["$BigInt", "-1"], "output": 1}), "unsigned"),
    "output missing": (in_body("ActionResponse", {"id": ID}), "lacks member 'output'"),
    "unknown value tag": (in_body("ActionResponse", {"id": ID, "output": ["$What", 1]}), "looks like a tagged value"),
    "half base64": (in_body("ActionResponse", {"id": ID, "output": ["$Uint8Array", "AB"]}), "base64"),
    "event arguments": (in_body("Event", {"name": "e", "args": {}}), "no list"),
    "action id missing": (in_body("Error", {"group": "g", "code": "c", "message": "m"}), "lacks member 'actionId'"),
    "null metadata": (in_body("Error", {**ERROR, "metadata": None}), "metadata null"),
    "null actor": (in_body("Error", {**ERROR, "actor": None}), "'actor'"),
    "null key": (in_body("Error", {**ERROR, "actor": {"actorId": "a", "generation": 1, "key": None}}), "'key'"),
    "unknown member of the actor": (in_body("Error", {**ERROR, "actor": {"actorId": "a", "generation": 1, "x": 1}}), "'x'"),
    "two values": (in_body("Init", {"actorId": "a", "connectionId": "c"}) + "1", "Extra data"),
    "a member twice": ('{"body":{"tag":"Init","tag":"Init","val":{"actorId":"a","connectionId":"c"}}}', "names a member twice"),
    "NaN": ('{"body":{"tag":"ActionResponse","val":{"id":["$BigInt","1"],"output":NaN}}}', "NaN is no JSON"),
    "no object": ("[]", "is no object but"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_json_frames_that_are_refused(name):
    frame, text = REFUSED[name]
    with pytest.raises(SchemaError, match=text):
        frames.decode_to_client(frame, "json")


def test_frames_of_the_wrong_kind():
    init = in_body("Init", {"actorId": "a", "connectionId": "c"})
    assert frames.decode_to_client(init, "json") == Init("a", "c")
    with pytest.raises(SchemaError, match="binary frame"):
        frames.decode_to_client(init.encode(), "json")
    for encoding in ("cbor", "bare"):
        with pytest.raises(SchemaError, match="text frame"):
            frames.decode_to_client(init, encoding)


def test_cbor_ids_have_eight_bytes():
    head = b"\xa1\x64body\xa2\x63tag\x6eActionResponse\x63val\xa2\x62id"
    assert frames.decode_to_client(head + b"\x1b\0\0\0\0\0\0\0\x07\x66output\x00", "cbor") == ActionResponse(7, 0)
    with pytest.raises(SchemaError, match="eight-byte"):
        frames.decode_to_client(head + b"\x07\x66output\x00", "cbor")
    with pytest.raises(SchemaError, match="1 bytes follow"):
        frames.decode_to_client(head + b"\x1b\0\0\0\0\0\0\0\x07\x66output\x00\x00", "cbor")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("03000001410143", "version 3, not 4"),
        ("05000001410143", "version 5, not 4"),
        ("040009", "tag 9"),
        ("04000005", "inside a field"),
        ("04", "ends at byte 1"),
        ("0400010167016301 6d 02 00 00", "a flag is 0 or 1"),
        ("040000 01ff 0143", "not UTF-8"),
        ("040002 ffffffffffffffffff02 0103", "more than 64 bits"),
        ("040002 8700 0103", "longer than it has to be"),
        ("040002 07 02 0303", "follow the CBOR value"),
        ("040003 0165 01 05", "no list"),
    ],
)
def test_bare_frames_that_are_refused(text, complaint):
    with pytest.raises(SchemaError, match=complaint):
        frames.decode_to_client(bytes.fromhex(text), "bare")


def test_the_schema_is_that_of_the_document():
    """Word for word: a layout that was read wrongly would have to be wrong in the document too."""
    text = (Path(__file__).parents[2] / "docs/spec/wire-protocol.md").read_text()
    section = text[text.index("### 7.4") : text.index("Older versions differ only so")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    written = {name.strip("`"): fields.replace("`", "") for name, fields in rows}
    assert "actorId: str, generation: uint, key: optional<str>" in section.replace("`", "")
    del written["HttpResolveResponse"]  # defined, unused
    assert {**written, "ActorSpecifier": schema.STRUCTS["ActorSpecifier"]} == schema.STRUCTS


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1b0000000000000005", BigInt(5)),
        ("1a00000005", 5),
        ("1805", 5),
        ("20", -1),
        ("3b0000000000000000", BigInt(-1)),
        ("c249010000000000000000", BigInt(2**64)),
        ("c349010000000000000000", BigInt(-(2**64) - 1)),
        ("f97e00", math.nan),
        ("fa7f800000", math.inf),
        ("9f01ff", [1]),
        ("bf616101ff", {"a": 1}),
        ("7f61616162ff", "ab"),
        ("5f41014102ff", b"\1\2"),
        ("d8404101", b"\1"),
        ("d901028101", {1}),
        ("c11a00000001", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("f7", UNDEFINED),
        ("d90103a10102", Tagged(259, {1: 2})),
        ("d8554400000000", Tagged(85, b"\0\0\0\0")),
    ],
)
def test_cbor_as_a_js_client_reads_it(text, value):
    assert same(load_cbor(bytes.fromhex(text)), value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("c06161", "tag 0 is none of the protocol"),
        ("d9d9f701", "tag 55799"),
        ("c101ff", "follow the CBOR value"),
        ("c16161", "tag 1 is none"),
        ("d8406161", "tag 64 is none"),
        ("c1f5", "tag 1 is none"),
        ("a2616101616102", "names a member twice"),
        ("a18001", "a key that is none"),
        ("bf6161ff", "a key without a value"),
        ("8201", "too soon"),
        ("9b7fffffffffffffff", "too soon"),
        ("ff", "a break outside"),
        ("81ff", "a break outside"),
        ("7f4101ff", "a piece of another kind"),
        ("61ff", "not UTF-8"),
        ("1c", "additional information 28"),
        ("1f", "an open end"),
        ("f0", "simple value 16"),
        ("", "too soon"),
        ("81" * 100_000, "nested too deeply"),
    ],
)
def test_cbor_that_is_refused(text, complaint):
    with pytest.raises(SchemaError, match=complaint):
        load_cbor(bytes.fromhex(text))


@pytest.mark.parametrize("encoding", ["json", "cbor"])
def test_bodies_that_are_refused(encoding):
    def raises(decode, document, text):
        with pytest.raises(SchemaError, match=text):
            decode(dump_document(document, encoding), encoding)

    raises(bodies.decode_action_response, {}, "lacks member 'output'")
    raises(bodies.decode_action_response, {"output": 1, "x": 1}, "unknown member 'x'")
    raises(bodies.decode_queue_response, {"status": "done"}, "not 'done'")
    raises(bodies.decode_queue_response, {"status": "completed", "body": 1}, "unknown member 'body'")
    raises(bodies.decode_error, {"group": "g", "code": "c"}, "lacks member 'message'")
    raises(bodies.decode_error, {"group": "g", "code": "c", "message": "m", "stack": "..."}, "unknown member 'stack'")
    raises(bodies.decode_error, {"group": "g", "code": "c", "message": "m", "metadata": None}, "metadata null")
    raises(bodies.decode_queue_request, {"timeout": "3"}, "'timeout'")
    raises(bodies.decode_queue_request, {"wait": 1}, "'wait'")
    raises(bodies.decode_action_request, {"arguments": []}, "unknown member 'arguments'")


def test_values_that_only_look_equal():
    assert same([1, {"a": None}], [1.0, {"a": None}])
    for left, right in (
        (False, 0), (True, 1), (None, UNDEFINED), ("", b""), ([], {}), (0, ""), ([0], [False]), (None, []), (BigInt(1), 1),
        (b"a", ArrayBuffer(b"a")), ({"a": 1}, {"a": 1, "b": UNDEFINED}), (Tagged(259, {}), {}),
    ):  # fmt: skip
        assert not same(left, right)
        assert not same(right, left)


def test_primitives_at_their_limits():
    writer = Writer().uint(0).uint(127).uint(128).uint(2**64 - 1).u64(2**64 - 1).bool(True).str("h\u00e9").data(b"")
    reader = Reader(writer.finish())
    read = [reader.uint(), reader.uint(), reader.uint(), reader.uint(), reader.u64(), reader.bool(), reader.str(), reader.data()]
    assert read == [0, 127, 128, 2**64 - 1, 2**64 - 1, True, "h\u00e9", b""]
    assert reader.at_end()
    with pytest.raises(ValueError, match="unsigned"):
        Writer().uint(2**64)


def test_falsy_values_stay_what_they_are():
    for value in (0, False, "", None, [], {}, b"", UNDEFINED, [None], [UNDEFINED]):
        assert same(load_value(dump_value(value)), value)
        for encoding in Encoding:
            assert same(bodies.decode_action_request(bodies.encode_action_request([value], encoding), encoding), [value])


@pytest.mark.parametrize("name", QUERIES)
def test_query_urls_of_the_client(name):
    query = {"namespace": "default", **QUERIES[name]}
    assert query_path(**query) == URLS[name]["url"]
    assert query_path(**query, path="/connect") == URLS[name]["target"]
    key = ",".join(query["key"])
    assert route_of("http://h" + URLS[name]["target"]).actor == f"{query['name']}/{serialize_key(key.split(',') if key else [])}"
    assert route_of("http://h" + URLS[name]["target"]).path == "/connect"


def test_direct_urls_of_the_client():
    assert direct_path(ACTOR_ID, token="t o@k") == URLS["by_id"]["url"]
    target = route_of("ws://host:1" + URLS["by_id"]["target"] + "?x=1")
    assert (target.actor, target.path) == (ACTOR_ID, "/connect")
    for url in (
        "http://h/actors",
        "http://h/gateway",
        "http://h/gateway/",
        "http://h/gateway//x",
        "http://h/gateway/@t",
        "http://h/gateway/a@",
    ):
        assert route_of(url) is None
    assert offered("bare", {"a b": 'é/"', "n": [1, None]})[:2] == URLS["params"]["protocols"][:2]
    assert offered(None, skip_ready_wait=True) == ["rivet", "rivet_skip_ready_wait"]


def test_ids_and_inputs():
    assert parse_id(new_id()).label == 1
    assert new_id() != new_id()
    assert encode_input({"n": [1, 2**64]}).hex() == "a1" + QUERIES["create_full"]["input_cbor"].hex()[6:]
    table = {
        "/": [],
        "\\0": [""],
        "a/\\0/b": ["a", "", "b"],
        "a\\\\b": ["a\\b"],
        "a\\/b/c": ["a/b", "c"],
        "\\\\0": ["\\0"],
        "x/\\0": ["x", ""],
    }
    assert {text: serialize_key(parts) for text, parts in table.items()} == {text: text for text in table}


def test_queue_results():
    for encoding, body in (("json", b'{"status":"timedOut"}'), ("bare", bytes.fromhex("0400 0874696d65644f7574 00"))):
        assert bodies.decode_queue_response(body, encoding) == QueueResult("timedOut")
    assert bodies.decode_queue_response(b'{"status":"completed","response":null}', "json") == QueueResult("completed", None)


def test_keys_as_parts():
    assert (key_parts("a/b"), key_parts(["a", ""]), key_parts(None), key_parts([])) == (("a/b",), ("a", ""), (), ())
