"""Wire formats: vectors of the specification, round trips, and malformed input."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocol import cbor, connection_frames, http_bodies, ids, jsontext, keys
from runtime.protocol.decode_errors import DecodeError, ValueTagError
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import (
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
from runtime.protocol.values import UNDEFINED, from_wire, to_wire

ERROR = WireError("user", "no", "Nope", {"a": 1}, ActorSpecifier("A", 2, "k"))

atoms = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.binary(),
    st.just(UNDEFINED),
)  # fmt: skip
plain_values = st.recursive(
    atoms.filter(lambda value: not isinstance(value, float) or value == 0 or not math.copysign(1, value) < 0 or value != 0),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("uuid", "label", "text"),
    [
        ("00112233445566778899aabbccddeeff", 1, "5jxlv5boumuljx2d2nvyat0o2edl00"),
        ("ff" * 16, 1, "5jt21rdxb03thvkfbgaxtejo3edl00"),
        ("00" * 16, 0, "1" + "0" * 29),
    ],
)
def test_id_vectors(uuid: str, label: int, text: str) -> None:
    """Ids are base36, least significant digit first (WIRE-150)."""
    assert ids.encode_id(bytes.fromhex(uuid), label) == text
    parsed = ids.parse_id(text.upper())
    assert (parsed.uuid.hex(), parsed.label) == (uuid, label)


@pytest.mark.parametrize("text", ["", "x", "z" * 30, "5jxlv5boumuljx2d2nvyat0o2edl0", "5jxlv5boumuljx2d2nvyat0o2edl0!", "٣" * 30])
def test_malformed_ids(text: str) -> None:
    """Anything else is malformed (WIRE-151)."""
    with pytest.raises(ValueError, match="malformed id"):
        ids.parse_id(text)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([], "/"), ([""], "\\0"), (["a", "", "b"], "a/\\0/b"), (["a\\b"], "a\\\\b"), (["a/b", "c"], "a\\/b/c"), (["/"], "\\/"),
        (["\\0"], "\\\\0"), (["x", ""], "x/\\0"),
    ],
)  # fmt: skip
def test_key_vectors(parts: list[str], text: str) -> None:
    """Keys are escaped and joined (WIRE-160, WIRE-161)."""
    assert keys.serialize_key(parts) == text
    assert list(keys.parse_key(text)) == parts


@given(st.lists(st.text(max_size=6), max_size=4))
def test_keys_round_trip(parts: list[str]) -> None:
    """Every key survives, and different keys stay different (WIRE-162)."""
    assert list(keys.parse_key(keys.serialize_key(parts))) == parts


@pytest.mark.parametrize(
    ("message", "encode", "text"),
    [
        (ActionRequest(300, "add", [1, 2]), connection_frames.encode_to_server, "040000ac020361646403820102"),
        (SubscriptionRequest("tick", True), connection_frames.encode_to_server, "040001047469636b01"),
        (Init("A", "C"), connection_frames.encode_to_client, "04000001410143"),
        (ActionResponse(7, 3), connection_frames.encode_to_client, "040002070103"),
        (Event("tick", [5]), connection_frames.encode_to_client, "040003047469636b028105"),
        (
            ErrorFrame(ERROR, 7),
            connection_frames.encode_to_client,
            "0400010475736572026e6f044e6f70650104a161610101070101410201016b",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_bare_vectors(message: Any, encode: Any, text: str) -> None:
    """The vectors of the specification (WIRE section 7.4)."""
    assert encode(message, Encoding.BARE).hex() == text


def test_bare_queue_vector() -> None:
    """A queue send with name, wait and time-out."""
    data = http_bodies.encode_queue_request(QueueSend({"a": 1}, True, 300), Encoding.BARE, "q")
    assert data.hex() == "040004a16161010101710101012c01000000000000"
    assert http_bodies.decode_queue_request(data, Encoding.BARE) == QueueSend({"a": 1}, True, 300)


@given(plain_values)
def test_compat_layer_round_trips(value: Any) -> None:
    """Decoding is the exact inverse of encoding (WIRE-400)."""
    assert from_wire(to_wire(value)) == value


@pytest.mark.parametrize("encoding", Encoding)
@given(value=plain_values)
def test_values_round_trip_in_every_message(encoding: Encoding, value: Any) -> None:
    """Every kind of message carries every value in every encoding (WIRE-405, WIRE-406)."""
    for message in (ActionResponse(5, value), Event("e", [value, 1])):
        assert connection_frames.decode_to_client(connection_frames.encode_to_client(message, encoding), encoding) == message
    request = ActionRequest(2**40, "n", [value])
    assert connection_frames.decode_to_server(connection_frames.encode_to_server(request, encoding), encoding) == request
    assert http_bodies.decode_action_response(http_bodies.encode_action_response(value, encoding), encoding) == value
    assert http_bodies.decode_action_request(http_bodies.encode_action_request([value], encoding), encoding) == [value]
    result = QueueResult("completed", value)
    assert http_bodies.decode_queue_response(http_bodies.encode_queue_response(result, encoding), encoding) == result


@pytest.mark.parametrize("encoding", Encoding)
def test_errors_round_trip(encoding: Encoding) -> None:
    """Errors keep everything, and absent members stay absent (WIRE-423, CONN-033)."""
    for error in (ERROR, WireError("a", "b", "c")):
        assert http_bodies.decode_error(http_bodies.encode_error(error, encoding), encoding) == error
        for action_id in (None, 0, 7):
            frame = ErrorFrame(error, action_id)
            assert connection_frames.decode_to_client(connection_frames.encode_to_client(frame, encoding), encoding) == frame


def test_cbor_ids_are_wide() -> None:
    """The client accepts only 8-byte integers as ids in cbor (WIRE-421)."""
    assert b"\x62id\x1b" + (7).to_bytes(8, "big") in connection_frames.encode_to_client(ActionResponse(7, None), Encoding.CBOR)  # type: ignore[operator]
    frame = connection_frames.encode_to_client(ErrorFrame(WireError("a", "b", "c"), 7), Encoding.CBOR)
    assert b"\x68actionId\x1b" + (7).to_bytes(8, "big") in frame  # type: ignore[operator]


def test_json_ids_are_big_integers() -> None:
    """Ids travel as tagged big integers in json (WIRE-422)."""
    document = jsontext.loads(connection_frames.encode_to_client(ActionResponse(7, None), Encoding.JSON))
    assert document["body"]["val"]["id"] == ["$BigInt", "7"]


@pytest.mark.parametrize("raw", [-1, 1.5, "1", None, ["$BigInt", "x"], True])
def test_bad_request_ids(raw: Any) -> None:
    """Negative and fractional ids are undecodable (WIRE-422)."""
    frame = jsontext.dumps({"body": {"tag": "ActionRequest", "val": {"id": raw, "name": "n", "args": []}}})
    with pytest.raises(DecodeError):
        connection_frames.decode_to_server(frame, Encoding.JSON)


def test_unknown_value_tag_names_its_request() -> None:
    """Only the action with the bad value fails (WIRE-401)."""
    frame = b'{"body":{"tag":"ActionRequest","val":{"id":9,"name":"n","args":[["$Nonsense",1]]}}}'
    with pytest.raises(ValueTagError) as caught:
        connection_frames.decode_to_server(frame, Encoding.JSON)
    assert caught.value.action_id == 9


@pytest.mark.parametrize(
    ("value", "data"),
    [(2**32 - 1, "1affffffff"), (2**32, "fb41f0000000000000"), (-0.0, "00"), (1.5, "fb3ff8000000000000")],
)
def test_cbor_numbers(value: float, data: str) -> None:
    """Numbers take the form a JS client reads as a plain number (WIRE-403, WIRE-404)."""
    assert cbor.dumps(value).hex() == data


DECODERS: list[Any] = [
    connection_frames.decode_to_server, connection_frames.decode_to_client, http_bodies.decode_action_request,
    http_bodies.decode_action_response, http_bodies.decode_queue_request, http_bodies.decode_queue_response, http_bodies.decode_error,
]  # fmt: skip


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__name__)
@given(data=st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: b"\x04\x00" + tail))
def test_random_bytes_raise_only_decode_errors(decode: Any, encoding: Encoding, data: bytes) -> None:
    """No input makes a decoder fail in another way."""
    with contextlib.suppress(DecodeError):
        decode(data, encoding)
