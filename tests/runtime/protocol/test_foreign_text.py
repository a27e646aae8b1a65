"""JSON, compat tags and BARE as strangers send them: a value or `DecodeError`, in linear time."""

import time

import pytest

from runtime.protocol import jsontext
from runtime.protocol.bare import Reader
from runtime.protocol.cbor_heads import MAX_DEPTH, WIRE
from runtime.protocol.connection_frames import decode_to_client, decode_to_server
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.encodings import Encoding
from runtime.protocol.http_bodies import decode_action_request, encode_action_request
from runtime.protocol.payload import load_value, value_of

PRIME = 2**61 - 1
"""What the hashes of Python's numbers are remainders of."""


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "[" * 273 + "]" * 273, '{"a":' * 273 + "1" + "}" * 273, '["\\"[",' * 273 + "1" + "]" * 273, "9" * 4_301,
        "-" + "9" * 1_000_000, "1e999999", "1" * 400 + ".5", "NaN", "Infinity", "-Infinity", "\ufeff1", '"\\ud800"', '"\\udc00\\ud800"',
        '{"\\ud800":1}', "[1,]", "{'a':1}", "01", "1 2", '"\t"', "", "nul", b'"\xff"', b"\xff\xfe1\x00", '"' + "\\" * 9_999, '"\ud800"',
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_what_is_no_json_is_a_decode_error(text):
    start = time.process_time()
    with pytest.raises(DecodeError):
        jsontext.loads(text)
    assert time.process_time() - start < 0.2


@pytest.mark.parametrize("text", ["[" * WIRE.depth + "]" * WIRE.depth, '["' + "[{" * 1000 + '\\"]"]', "[" + ",".join(["[]"] * 1000) + "]"])
def test_brackets_are_counted_where_they_open_something(text):
    for form in (text, text.encode()):
        jsontext.loads(form)


def test_deep_values_are_refused_before_anybody_walks_them():
    """Also with the stack of a server underneath."""
    deep = '["$Set",[' * 128 + "1" + "]]" * 128
    too_deep = '["$Set",[' * 140 + "1" + "]]" * 140

    def below(frames, text):
        return value_of(jsontext.loads(text)) if frames == 0 else below(frames - 1, text)

    below(120, deep)
    with pytest.raises(DecodeError):
        below(120, too_deep)
    nested = 1
    for _ in range(MAX_DEPTH - 1):
        nested = {"a": nested}
    assert decode_action_request(encode_action_request([nested], Encoding.JSON), Encoding.JSON) == [nested]


@pytest.mark.parametrize(
    "wire",
    [
        ["$BigInt", "9" * 4_301], ["$BigInt", "-" + "0" * 5_000], ["$BigInt", "٣"], ["$BigInt", "1_0"], ["$BigInt", ["1"]], ["$BigInt", 1],
        ["$BigInt", ""], ["$Uint8Array", "é"], ["$Uint8Array", "a"], ["$Uint8Array", "YQ"], ["$ArrayBuffer", {}],
        ["$Set", {}], ["$Map", []],
        ["$", 1], ["$Set", [["$Nope", 1]]],
    ],
)  # fmt: skip
def test_malformed_compat_tags_are_decode_errors(wire):
    for raw in (wire, {"a": [wire]}, ["$$x", wire]):
        with pytest.raises(DecodeError):
            value_of(raw)


@pytest.mark.parametrize(
    "members",
    [[n * PRIME for n in range(1, 20_000)], [[n * PRIME, 1] for n in range(1, 20_000)], [n << 80 for n in range(20_000)]],
    ids=["numbers", "lists", "shifted"],
)
def test_members_whose_hashes_a_sender_chose_cost_no_square(members):
    text = jsontext.dumps(["$Set", members])
    start = time.process_time()
    value = value_of(jsontext.loads(text))
    assert time.process_time() - start < 0.3
    # Nothing gets lost: as what no set can hold, it stays a list.
    assert len(value) == len(members)


def test_ordinary_sets_are_sets():
    for members in ([*range(5_000)], [1] * 5_000, [str(n) for n in range(5_000)], [n / 7 for n in range(5_000)]):
        assert value_of(["$Set", members]) == set(members)
    assert value_of(["$Set", [[n, -n] for n in range(5_000)]]) == {(n, -n) for n in range(5_000)}


BARE = {
    "empty": "", "version-only": "0400", "version-cut": "04", "version-0": "000000", "version-5": "050000", "union-out-of-range": "040002",
    "union-in-two-bytes": "04008000", "id-padded": "0400008000 0161 0180", "id-too-long": "040000" + "ff" * 10 + "0161 0180",
    "id-of-65-bits": "040000" + "ff" * 9 + "02 0161 0180", "id-without-end": "040000" + "80" * 100, "name-too-long": "04000001 ffffffff7f",
    "name-of-2-to-the-64": "04000001 ffffffffffffffffff01 61", "name-no-text": "04000001 01ff 0180", "arguments-cut": "0400000101610281",
    "arguments-trailing": "040000010161 020101", "flag": "0400010161 02", "flag-missing": "0400010161", "a-text-frame": "04000000",
}  # fmt: skip


@pytest.mark.parametrize("text", BARE.values(), ids=BARE)
def test_what_is_no_bare_message_is_a_decode_error(text):
    data = bytes.fromhex(text)
    for decode in (decode_to_server, decode_to_client):
        with pytest.raises(DecodeError):
            decode(data, Encoding.BARE)


def test_nothing_is_made_for_a_count_before_its_items_are_there():
    assert Reader(b"\x02ab").count() == 2
    for data in (b"\x03ab", b"\xff\xff\xff\xff\xff\xff\xff\xff\x7fab"):
        with pytest.raises(DecodeError):
            Reader(data).count()


@pytest.mark.parametrize("shift", [0, 20, 44])
def test_numbers_as_keys_are_linear(shift):
    count = 7_000
    keys = b"".join(b"\x1b" + ((n << shift) % 2**64).to_bytes(8, "big") + b"\x00" for n in range(count))
    start = time.process_time()
    assert load_value(b"\xb9" + count.to_bytes(2, "big") + keys)
    assert time.process_time() - start < 0.2
