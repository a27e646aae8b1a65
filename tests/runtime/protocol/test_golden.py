"""The bytes of the unmodified JS client: decoded to the right values, matched where they are determined, and ours accepted by it.

The vectors come from tests/peer/golden.mjs.
"""

import json

import pytest

from runtime.protocol import connection_frames, http_bodies
from runtime.protocol.decode_errors import ValueTagError
from runtime.protocol.encodings import Encoding
from runtime.protocol.gateway_url import DirectRoute, QueryRoute, direct_path, encode_input, parse_gateway_path, query_path
from runtime.protocol.messages import ActionRequest, ActionResponse, QueueSend, SubscriptionRequest
from runtime.protocol.values import UNDEFINED, ArrayBuffer, BigInt, Map
from tests.runtime.golden_values import ACTOR_ID, GOLDEN, VALUES, all_answers, same

SENT = json.loads((GOLDEN / "sent.json").read_text())
ACCEPTED = json.loads((GOLDEN / "accepted.json").read_text())
CASES = [(encoding, name) for encoding in Encoding for name in VALUES]

# What the JS client itself loses with JSON.stringify (WIRE-407).
JSON_SENT = {
    "undefined": None,
    "nan": None,
    "infinity": None,
    "float32": {"0": 1.5, "1": -2},
    "uint16": {"0": 1, "1": 65535},
    "int64": {"0": 1, "1": -1},
    "date": "2023-11-14T22:13:20.000Z",
    "date_millis": "2023-11-14T22:13:20.123Z",
    "date_early": "1969-12-31T00:00:00.000Z",
    "regexp": {},
    "set": {},
    "empty_set": {},
    "map": {},
    "map_of_numbers": {},
    "undefined_member": {"b": 1},
    "undefined_in_list": [None, None, 1],
    "nested": {**VALUES["nested"], "set": {}},
}
JSON_LOSSY = {"nan", "infinity", "float32", "uint16", "int64", "date", "date_millis", "date_early", "regexp", "map", "map_of_numbers"}
# The JS client applies no compat layer with cbor, so an array that looks like a tag is taken for one (WIRE-401).
CBOR_SENT = {"tag_lookalike": UNDEFINED, "dollars_pair": ["$x", 1], "array_buffer": b"\x01\x02\x03", "big_small": 5}
CBOR_UNKNOWN_TAG = {"dollar_pair", "dollar_member"}
# Objects have another head in the JS client (b9), NaN and infinity another width; the rest has several forms of the same value.
SEVERAL_FORMS = {
    "object", "empty_object", "dollar_member", "undefined_member", "nested", "nan", "infinity", "set", "tiny", "huge_float",
    "negative_zero", "date_early",
}  # fmt: skip


def sent_value(encoding, name):
    """What the JS client's bytes mean."""
    if encoding is Encoding.JSON:
        return JSON_SENT.get(name, VALUES[name])
    return CBOR_SENT.get(name, VALUES[name]) if encoding is Encoding.CBOR else VALUES[name]


def frame_of(encoding, text):
    return text if encoding is Encoding.JSON else bytes.fromhex(text)


def skip_unknown_tag(encoding, name, decode):
    if encoding is Encoding.CBOR and name in CBOR_UNKNOWN_TAG:
        with pytest.raises(ValueTagError):
            decode()
        return True
    return False


@pytest.mark.parametrize(("encoding", "name"), CASES)
def test_action_body_of_the_client(encoding, name):
    body = bytes.fromhex(SENT["http"][encoding]["action"][name])
    if skip_unknown_tag(encoding, name, lambda: http_bodies.decode_action_request(body, encoding)):
        return
    assert same(http_bodies.decode_action_request(body, encoding), [sent_value(encoding, name)])
    if encoding is not Encoding.CBOR and name not in SEVERAL_FORMS and (encoding is Encoding.BARE or name not in JSON_SENT):
        assert http_bodies.encode_action_request([VALUES[name]], encoding) == body


@pytest.mark.parametrize(("encoding", "name"), CASES)
def test_queue_body_of_the_client(encoding, name):
    body = bytes.fromhex(SENT["http"][encoding]["queue"][name])
    if skip_unknown_tag(encoding, name, lambda: http_bodies.decode_queue_request(body, encoding)):
        return
    send = http_bodies.decode_queue_request(body, encoding)
    # Both other encodings leave an undefined body out, and a missing body is null (WIRE-331).
    wanted = None if name == "undefined" and encoding is not Encoding.BARE else sent_value(encoding, name)
    assert same(send.body, wanted)
    assert (send.wait, send.timeout_ms) == (False, None)
    if encoding is not Encoding.CBOR and name not in SEVERAL_FORMS and (encoding is Encoding.BARE or name not in JSON_SENT):
        assert http_bodies.encode_queue_request(QueueSend(VALUES[name]), encoding, "inbox") == body


@pytest.mark.parametrize(("encoding", "name"), CASES)
def test_frame_of_the_client(encoding, name):
    recorded = SENT["socket"][encoding]["action"][name]
    frame = frame_of(encoding, recorded["frame"])
    if skip_unknown_tag(encoding, name, lambda: connection_frames.decode_to_server(frame, encoding)):
        return
    request = connection_frames.decode_to_server(frame, encoding)
    assert (request.id, request.name) == (recorded["id"], "echo")
    assert same(request.args, [sent_value(encoding, name)])
    if encoding is not Encoding.CBOR and name not in SEVERAL_FORMS and (encoding is Encoding.BARE or name not in JSON_SENT):
        assert connection_frames.encode_to_server(ActionRequest(recorded["id"], "echo", [VALUES[name]]), encoding) == frame


@pytest.mark.parametrize("encoding", Encoding)
def test_unknown_tag_keeps_the_action_id(encoding):
    if encoding is Encoding.CBOR:
        frame = frame_of(encoding, SENT["socket"]["cbor"]["action"]["dollar_pair"]["frame"])
        with pytest.raises(ValueTagError) as caught:
            connection_frames.decode_to_server(frame, encoding)
        assert caught.value.action_id == SENT["socket"]["cbor"]["action"]["dollar_pair"]["id"]
    elif encoding is Encoding.JSON:
        with pytest.raises(ValueTagError) as caught:
            connection_frames.decode_to_server('{"body":{"tag":"ActionRequest","val":{"id":4,"name":"a","args":[["$q",1]]}}}', encoding)
        assert caught.value.action_id == 4
    else:
        with pytest.raises(ValueTagError) as caught:
            connection_frames.decode_to_server(bytes.fromhex("04000004016106" + "8182622471" + "01"), encoding)
        assert caught.value.action_id == 4


@pytest.mark.parametrize("encoding", Encoding)
def test_argument_lists(encoding):
    bodies = {name: bytes.fromhex(text) for name, text in SENT["http"][encoding]["action_args"].items()}
    assert http_bodies.decode_action_request(bodies["none"], encoding) == []
    assert http_bodies.decode_action_request(bodies["two"], encoding) == [1, "a"]
    first = None if encoding is Encoding.JSON else UNDEFINED
    assert http_bodies.decode_action_request(bodies["undefined"], encoding) == [first, 1]
    if encoding is Encoding.CBOR:
        with pytest.raises(ValueTagError):
            http_bodies.decode_action_request(bodies["dollar"], encoding)
    else:
        assert http_bodies.decode_action_request(bodies["dollar"], encoding) == ["$x", 1]
        assert http_bodies.encode_action_request(["$x", 1], encoding) == bodies["dollar"]


@pytest.mark.parametrize("encoding", Encoding)
def test_waiting_queue_sends(encoding):
    bodies = {name: bytes.fromhex(text) for name, text in SENT["http"][encoding]["queue_wait"].items()}
    assert http_bodies.decode_queue_request(bodies["plain"], encoding) == QueueSend(1, wait=True)
    assert http_bodies.decode_queue_request(bodies["timed"], encoding) == QueueSend(1, wait=True, timeout_ms=300)
    if encoding is not Encoding.CBOR:
        assert http_bodies.encode_queue_request(QueueSend(1, wait=True, timeout_ms=300), encoding, "inbox") == bodies["timed"]


@pytest.mark.parametrize("encoding", Encoding)
def test_subscriptions(encoding):
    for key, subscribe in (("subscribe", True), ("unsubscribe", False)):
        frame = frame_of(encoding, SENT["socket"][encoding][key])
        message = SubscriptionRequest("tick", subscribe)
        assert connection_frames.decode_to_server(frame, encoding) == message
        if encoding is not Encoding.CBOR:
            assert connection_frames.encode_to_server(message, encoding) == frame


@pytest.mark.parametrize("encoding", Encoding)
def test_our_answers_are_the_ones_the_client_was_tried_with(encoding):
    ours, tried = all_answers()[encoding], ACCEPTED[encoding]
    for transport, kinds in ours.items():
        for kind, entries in kinds.items():
            if isinstance(entries, str):
                assert tried[transport][kind]["bytes"] == entries
                continue
            if not {"set", "nested"} & entries.keys():
                assert {name: result["bytes"] for name, result in tried[transport][kind].items()} == entries
                continue
            for name in entries.keys() - {"set"}:  # the order of a set is not determined
                assert tried[transport][kind][name]["bytes"] == entries[name], (transport, kind, name)


@pytest.mark.parametrize(("encoding", "name"), CASES)
def test_the_client_reads_our_answers_as_meant(encoding, name):
    results = [
        ACCEPTED[encoding][transport][kind][name]
        for transport, kind in (("http", "action"), ("http", "queue"), ("socket", "action"), ("socket", "event"))
    ]
    lossy = encoding is Encoding.JSON and name in JSON_LOSSY
    assert [result["same"] for result in results] == [not lossy] * 4, results


@pytest.mark.parametrize("encoding", Encoding)
def test_the_client_reads_our_errors_and_events(encoding):
    for transport in ("http", "socket"):
        errors = {name: result["error"] for name, result in ACCEPTED[encoding][transport]["error"].items()}
        assert [errors[name]["code"] for name in ("plain", "full", "no_key")] == ["no", "no", "internal_error"]
        assert errors["full"]["message"] == "N\u00f6pe"
        assert errors["full"]["metadata"] == {"a": 1, "pair": ["$x", 1]}
        assert errors["plain"].get("metadata") is None
    socket = ACCEPTED[encoding]["socket"]
    assert socket["init"]["actorId"] == ACTOR_ID
    assert socket["init"]["connectionId"] == "11111111-2222-4333-8444-555555555555"
    assert {name: result["args"] for name, result in socket["event_args"].items()} == {"dollar": ["$x", 1], "none": []}


@pytest.mark.parametrize(("encoding", "name"), CASES)
def test_our_client_reads_our_answers(encoding, name):
    value = VALUES[name]
    output = http_bodies.decode_action_response(http_bodies.encode_action_response(value, encoding), encoding)
    frame = connection_frames.decode_to_client(connection_frames.encode_to_client(ActionResponse(2**40, value), encoding), encoding)
    assert frame.id == 2**40
    if encoding is Encoding.JSON and name in JSON_LOSSY:
        return
    assert same(output, value)
    assert same(frame.output, value)
    kinds = (Map, BigInt, ArrayBuffer)
    if isinstance(value, kinds):
        assert type(output) is type(value)


URLS = {entry["name"]: entry for entry in SENT["urls"]}
QUERIES = {
    "get": {"name": "room", "method": "get", "key": ["a", "b"]},
    "get_empty_key": {"name": "room", "method": "get", "key": []},
    "create": {"name": "room & co", "method": "getOrCreate", "key": ["a b", "c/d,e"], "pool": "default"},
    "create_full": {
        "name": "room",
        "namespace": "n s",
        "method": "getOrCreate",
        "key": ["k"],
        "pool": "p",
        "region": "r 1",
        "token": "t o@k",
        "input_cbor": bytes.fromhex("b90001616e82018267" + b"$BigInt".hex() + "74" + b"18446744073709551616".hex()),
    },
    "skip": {"name": "room", "method": "get", "key": ["k"], "skip_ready_wait": True},
}


@pytest.mark.parametrize("name", QUERIES)
def test_query_urls(name):
    query = {"namespace": "default", **QUERIES[name]}
    assert query_path(**query) == URLS[name]["url"]
    assert query_path(**query, path="/connect") == URLS[name]["target"]
    path, _, rest = URLS[name]["target"].encode().partition(b"?")
    route = parse_gateway_path(path, rest)
    assert isinstance(route, QueryRoute)
    assert (route.name, route.namespace, route.method) == (query["name"], query["namespace"], query["method"])
    assert route.key == tuple(",".join(query["key"]).split(",")) if query["key"] else route.key == ()
    assert (route.region, route.token) == (query.get("region"), query.get("token"))
    assert route.skip_ready_wait is query.get("skip_ready_wait", False)
    assert route.forward == "/connect"
    assert route.input == ({"n": [1, 2**64]} if "input_cbor" in query else UNDEFINED)


def test_direct_urls():
    assert direct_path(ACTOR_ID, token="t o@k") == URLS["by_id"]["url"]
    assert direct_path(ACTOR_ID, "/connect", "t o@k") == URLS["by_id"]["target"]
    route = parse_gateway_path(URLS["by_id"]["target"].encode(), b"")
    assert route == DirectRoute(ACTOR_ID, "t o@k", "/connect")


def test_input_with_a_big_integer():
    assert encode_input({"n": [1, 2**64]}).hex() == "a1" + QUERIES["create_full"]["input_cbor"].hex()[6:]
