import array
import copy
import enum
import pickle
import re
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocol import bare, cbor, connection_frames, http_bodies, jsontext
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import ActionResponse, ErrorFrame, QueueSend, WireError
from runtime.protocol.payload import blob, load_value
from runtime.protocol.values import UNDEFINED, ArrayBuffer, BigInt, Map, RegExp, from_wire, to_wire


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


def test_undefined_is_one_and_falsy():
    assert copy.deepcopy(UNDEFINED) is pickle.loads(pickle.dumps(UNDEFINED)) is copy.copy(UNDEFINED) is UNDEFINED
    assert not UNDEFINED
    assert UNDEFINED is not None


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (UNDEFINED, ["$Undefined", 0]),
        (2**53, ["$BigInt", "9007199254740992"]),
        (2**53 - 1, 2**53 - 1),
        (BigInt(1), ["$BigInt", "1"]),
        (b"\x00\xff", ["$Uint8Array", "AP8="]),
        (bytearray(b"a"), ["$Uint8Array", "YQ=="]),
        (ArrayBuffer(b"a"), ["$ArrayBuffer", "YQ=="]),
        (frozenset({1}), ["$Set", [1]]),
        (["$x", b""], ["$$x", ["$Uint8Array", ""]]),
        (("$x", 1), ["$$x", 1]),
        (["$x", 1, 2], ["$x", 1, 2]),
        ({"$x": UNDEFINED}, {"$x": ["$Undefined", 0]}),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (MappingProxyType({"a": 2**60}), {"a": ["$BigInt", str(2**60)]}),
        (True, True),
    ],
)
def test_to_wire(value, wire):
    encoded = to_wire(value)
    assert encoded == wire
    assert type(encoded) is type(wire)


@pytest.mark.parametrize("value", [[1, "a", [None, {"b": [1.5]}]], {"a": {"b": []}}, [], "x", 7])
def test_values_that_need_no_change_are_not_copied(value):
    assert to_wire(value) is value
    assert from_wire(value) is value


def test_a_change_does_not_touch_the_original():
    value = {"a": [1, {"b": UNDEFINED}], "c": [2]}
    wire = to_wire(value)
    assert value == {"a": [1, {"b": UNDEFINED}], "c": [2]}
    assert wire["c"] is value["c"]
    kept = copy.deepcopy(wire)
    assert from_wire(wire) == value
    assert wire == kept


@pytest.mark.parametrize("value", [object(), len, [object()], {"a": 1j}, {1: object()}])
def test_unsendable_values(value):
    with pytest.raises(ValueError, match="cannot be sent"):
        to_wire(value)


def test_cycles_are_refused():
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="nested too deeply"):
        to_wire(value)
    for encoding in Encoding:
        with pytest.raises(ValueError, match="nested too deeply"):
            http_bodies.encode_action_response(value, encoding)


@pytest.mark.parametrize(
    "wire",
    [
        ["$Nope", 1],
        ["$", 1],
        ["$BigInt", 5],
        ["$BigInt", "5.5"],
        ["$BigInt", " 5"],
        ["$BigInt", "1_0"],
        ["$BigInt", "9" * 10_000],
        ["$Uint8Array", "***"],
        ["$Uint8Array", 5],
        ["$ArrayBuffer", None],
        ["$Set", 5],
        ["$Set", "ab"],
        {"a": [["$Nope", 1]]},
    ],
)
def test_malformed_tags(wire):
    with pytest.raises(ValueError):
        from_wire(wire)


def test_a_set_of_objects_stays_a_list():
    assert from_wire(["$Set", [{"a": 1}, ["$Undefined", 0]]]) == [{"a": 1}, UNDEFINED]
    assert from_wire(["$Set", [[1, [2]][0], 3]]) == {1, 3}


@pytest.mark.parametrize("encoding", [Encoding.CBOR, Encoding.BARE])
def test_kinds_survive(encoding):
    value = {
        "map": Map({"a": [1, {"b": [2]}], (1, 2): {3}}),
        "numbers": {1: 2**40, None: -0.0},
        "pattern": re.compile("a.b", re.IGNORECASE | re.DOTALL),
        "doubles": array.array("d", [1.5]),
        "longs": array.array("l", [-1]),
        "clamped": array.array("B", [1, 2]),
        "when": datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        "whole": 2**52,
    }
    back = http_bodies.decode_action_response(http_bodies.encode_action_response(value, encoding), encoding)
    assert {**back, "clamped": 0, "longs": 0} == {**value, "clamped": 0, "longs": 0, "pattern": RegExp("a.b", "is")}
    assert type(back["map"]) is type(back["numbers"]) is Map
    assert back["map"]["a"] == [1, {"b": [2]}]
    assert back["clamped"] == b"\x01\x02"
    assert list(back["longs"]) == [-1]
    assert type(back["whole"]) is type(back["numbers"][1]) is int


def test_json_renders_what_it_cannot_hold():
    value = {
        "map": {1: 2, "a": {2: 3}},
        "when": datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - naive means UTC
        "then": datetime(2024, 1, 2, 3, 4, 5, 6789, tzinfo=timezone(timedelta(hours=2))),
        "array": array.array("h", [1]),
        "pattern": re.compile("a"),
        "nan": float("nan"),
    }
    assert jsontext.loads(jsontext.dumps(to_wire(value))) == {
        "map": {"1": 2, "a": {"2": 3}},
        "when": "2024-01-02T03:04:05.000Z",
        "then": "2024-01-02T01:04:05.006Z",
        "array": [1],
        "pattern": {},
        "nan": None,
    }


MALFORMED = ["", "81", "1b00", "0102", "ff", "c1f6", "d9010381", "d81b81", "c24100ff", "81" * 3000, "9b7fffffffffffffff", "d84501"]


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed_cbor(data):
    with pytest.raises(DecodeError):
        cbor.loads(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("b90001616101", {"a": 1}),
        ("bf616101ff", {"a": 1}),
        ("9f01ff", [1]),
        ("f7", UNDEFINED),
        ("82f7f6", [UNDEFINED, None]),
        ("1b0000000000000005", 5),
        ("c249010000000000000000", 2**64),
        ("f93e00", 1.5),
        ("d84442ff00", b"\xff\x00"),
        ("d81b82646f6f707362", None),
    ],
)
def test_cbor_forms_of_other_writers(data, value):
    if value is None:
        with pytest.raises(DecodeError):
            cbor.loads(bytes.fromhex(data))
    else:
        assert cbor.loads(bytes.fromhex(data)) == value


def test_errors_of_a_js_caller_become_their_text():
    assert cbor.loads(bytes.fromhex("d81b82" + "69" + b"TypeError".hex() + "64" + b"oops".hex())) == "TypeError: oops"


@given(st.binary(max_size=60))
def test_random_cbor_raises_only_decode_errors(data):
    try:
        value = cbor.loads(data)
    except DecodeError:
        return
    try:
        text = cbor.dumps_exact(value)
    except ValueError:
        return
    assert cbor.loads(text) == value or value != value


@given(st.integers(-(2**70), 2**70) | st.floats(allow_nan=False))
def test_numbers_keep_value_and_wire_form(number):
    decoded = load_value(blob(number))
    assert decoded == number
    if isinstance(number, int):
        assert isinstance(decoded, int)
    assert type(cbor.loads(cbor.dumps_exact(number))) is type(number)


@given(st.binary(max_size=30))
def test_bare_reader_raises_only_decode_errors(data):
    for read in ("uint", "u16", "u64", "bool", "data", "str", "byte"):
        try:
            getattr(bare.Reader(data), read)()
        except DecodeError:
            continue


@given(st.integers(0, 2**64 - 1), st.text(), st.binary(), st.booleans())
def test_bare_round_trip(number, text, data, flag):
    written = bare.Writer().uint(number).u64(number).str(text).data(data).bool(flag).finish()
    reader = bare.Reader(written)
    assert (reader.uint(), reader.u64(), reader.str(), reader.data(), reader.bool()) == (number, number, text, data, flag)
    assert reader.at_end()


@pytest.mark.parametrize("data", ["", "80", "ff" * 9 + "02", "ff" * 10 + "01", "80" * 10 + "00"])
def test_malformed_uints(data):
    with pytest.raises(DecodeError):
        bare.Reader(bytes.fromhex(data)).uint()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_older_bare_versions_are_read(version):
    prefix = version.to_bytes(2, "little")
    assert http_bodies.decode_action_request(prefix + bytes.fromhex("03820102"), Encoding.BARE) == [1, 2]
    assert connection_frames.decode_to_server(prefix + bytes.fromhex("01047469636b01"), Encoding.BARE).subscribe
    if version >= 3:
        assert http_bodies.decode_queue_request(prefix + bytes.fromhex("0105000000"), Encoding.BARE) == QueueSend(5)
    else:
        with pytest.raises(DecodeError):
            http_bodies.decode_queue_request(prefix + bytes.fromhex("0105000000"), Encoding.BARE)
    tail = "00" if version == 4 else ""
    error = http_bodies.decode_error(prefix + bytes.fromhex("016101620163" + "00" + tail), Encoding.BARE)
    assert error == WireError("a", "b", "c")
    init = connection_frames.decode_to_client(prefix + bytes.fromhex("0001410143" + ("0154" if version == 1 else "")), Encoding.BARE)
    assert (init.actor_id, init.connection_id) == ("A", "C")


@pytest.mark.parametrize("body", ["", "04", "0000", "0500", "ffff", "0400", "040005", "04000281"])
def test_undecodable_bare_bodies(body):
    with pytest.raises(DecodeError):
        http_bodies.decode_action_request(bytes.fromhex(body), Encoding.BARE)


def test_trailing_bytes_are_ignored_by_the_server_and_rejected_by_the_client():
    assert http_bodies.decode_action_request(bytes.fromhex("0400028101") + b"more", Encoding.BARE) == [1]
    with pytest.raises(DecodeError, match="trailing"):
        http_bodies.decode_action_response(bytes.fromhex("04000101") + b"more", Encoding.BARE)


@pytest.mark.parametrize(
    ("body", "args"),
    [
        ('{"args":[1,2]}', [1, 2]),
        ('{"args":null}', []),
        ("{}", []),
        ('{"args":7}', [7]),
        ('{"args":{"a":1}}', [{"a": 1}]),
        ("[1,2]", []),
        ('{"args":["$$x",1]}', ["$x", 1]),
    ],
)
def test_args_of_a_json_body(body, args):
    assert http_bodies.decode_action_request(body.encode(), Encoding.JSON) == args


@pytest.mark.parametrize("body", ["", "5", '"x"', "null", "{", '{"args":[1}', "\xff"])
def test_undecodable_json_bodies(body):
    with pytest.raises(DecodeError):
        http_bodies.decode_action_request(body.encode("latin-1"), Encoding.JSON)


@pytest.mark.parametrize("timeout", ["1.5", '"5"', "-1", "true", str(2**64)])
def test_queue_timeouts_are_unsigned_integers(timeout):
    with pytest.raises(DecodeError):
        http_bodies.decode_queue_request(f'{{"body":1,"timeout":{timeout}}}'.encode(), Encoding.JSON)


@pytest.mark.parametrize("wait", ["1", '"true"', "[]"])
def test_queue_wait_is_a_boolean(wait):
    with pytest.raises(DecodeError):
        http_bodies.decode_queue_request(f'{{"wait":{wait}}}'.encode(), Encoding.JSON)


def test_json_frames_may_be_binary_but_bare_frames_not_text():
    frame = '{"body":{"tag":"SubscriptionRequest","val":{"eventName":"e","subscribe":true}}}'
    assert connection_frames.decode_to_server(frame.encode(), Encoding.JSON) == connection_frames.decode_to_server(frame, Encoding.JSON)
    for encoding in (Encoding.CBOR, Encoding.BARE):
        with pytest.raises(DecodeError, match="text frame"):
            connection_frames.decode_to_server(frame, encoding)
    assert isinstance(connection_frames.encode_to_client(ActionResponse(1, 2), Encoding.JSON), str)


def test_wide_generations_and_ids_are_accepted():
    for identifier in ("5", '["$BigInt","5"]', "5.0"):
        frame = f'{{"body":{{"tag":"ActionRequest","val":{{"id":{identifier},"name":"n","args":[]}}}}}}'
        assert connection_frames.decode_to_server(frame, Encoding.JSON).id == 5


METADATA = [
    ({"a": UNDEFINED, "b": [UNDEFINED, 1]}, {"b": [None, 1]}),
    ({"when": datetime(2024, 1, 2, tzinfo=UTC)}, {"when": "2024-01-02T00:00:00Z"}),
    ({"big": 2**70, "pair": ["$x", 1]}, {"big": 2**70, "pair": ["$x", 1]}),
    ({1: "one"}, {"1": "one"}),
    ([1, "x"], [1, "x"]),
    (0, 0),
    (None, UNDEFINED),
]


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize(("metadata", "wanted"), METADATA)
def test_metadata_is_its_json_rendering(encoding, metadata, wanted):
    error = WireError("a", "b", "c", metadata)
    assert http_bodies.decode_error(http_bodies.encode_error(error, encoding), encoding).metadata == wanted
    frame = connection_frames.decode_to_client(connection_frames.encode_to_client(ErrorFrame(error, 1), encoding), encoding)
    assert frame.error.metadata == wanted


@pytest.mark.parametrize("encoding", Encoding)
def test_an_error_always_gets_through(encoding):
    cycle = {}
    cycle["self"] = cycle
    for metadata in (cycle, object(), {"f": len}, {object(): 1}):
        error = WireError("a", "b", "broken \ud800 text", metadata)
        back = http_bodies.decode_error(http_bodies.encode_error(error, encoding), encoding)
        assert (back.group, back.code, back.message) == ("a", "b", "broken ? text")
        assert back.metadata is not UNDEFINED


@pytest.mark.parametrize(("header", "encoding"), [(None, "json"), ("", "json"), ("nope", "json"), ("cbor", "cbor"), ("bare", "bare")])
def test_encoding_of_a_header(header, encoding):
    assert Encoding.parse(header) == encoding


def test_content_types():
    assert [encoding.content_type for encoding in Encoding] == ["application/json", *["application/octet-stream"] * 2]
