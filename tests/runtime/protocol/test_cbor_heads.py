"""What is refused before anything is built of CBOR bytes, and what is not."""

import re
import time
from dataclasses import replace

import cbor2
import pytest

from fuzz.grammars.cbor import cbor as make_cbor
from fuzz.source import source
from runtime.protocol import cbor, cbor_heads
from runtime.protocol.cbor_heads import MAX_BIG_BITS, MAX_DEPTH, STORED, WIRE
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.payload import blob, load_value
from runtime.protocol.storable import check_storable
from runtime.protocol.values import UNDEFINED, Map, RegExp

HUGE_DATE = "c11bffffffffffffffff"


def shared(levels):
    """Lists that each hold the one before twice: two to the power of `levels` items in some ten bytes per level."""
    items = [bytes.fromhex("d81c82fb3ff8000000000000fb3ff8000000000000")]
    items += [b"\xd8\x1c\x82" + 2 * (b"\xd8\x1d" + bytes([0x18, level])) for level in range(levels)]
    return b"\x98" + bytes([len(items)]) + b"".join(items)


REFUSED = {
    "shared-references": shared(30).hex(), "cycle": "d81c82d81d00fb4000000000000001", "reference": "82d81c80d81d00",
    "text-references": "d9010082636162636162", "text-reference": "d81900",
    "pattern": "d82363612b62", "mime": "d8246161", "decimal": "c4821b00000000ffffffff01", "big-float": "c5821b00000000ffffffff01",
    "rational": "d81e820100", "uuid": "d82550" + "00" * 16, "address": "d9010444c0000201", "network": "d90105a144c0000200181a",
    "complex": "d9a7f8820102", "days": "d8641a7fffffff", "date-text": "d903ec6a323032302d30312d3031", "self-described": "d9d9f701",
    "unknown-tag": "d8ff00", "huge-tag": "dbffffffffffffffff00", "tags-without-end": "c6" * 500 + "00", "tag-on-a-tag": "c1c100",
    "tag-without-content": "c1", "date-on-text": "c16161", "date-on-true": "c1f5", "date-nan": "c1fb7ff8000000000000",
    "date-infinite": "c1fb7ff0000000000000", "date-huge": HUGE_DATE, "date-text-on-a-number": "c001", "date-text-of-nothing": "c06161",
    "big-on-text": "c26161", "big-on-a-list": "c280", "big-in-pieces": "c25f4101ff", "big-too-large": "c2590708" + "01" * 1800,
    "big-one-bit-too-large": "c25906fa10" + "00" * 1785, "negative-too-large": "c35906fa10" + "00" * 1785,
    "set-on-a-map": "d90102a10102", "map-on-a-list": "d9010380", "object-on-a-text": "d81b6161", "object-of-nothing": "d81b80",
    "object-of-numbers": "d81b820102", "object-of-lists": "d81b82654572726f7281", "pattern-of-lists": "d81b83665265674578708080",
    "array-on-a-list": "d84580", "array-cut": "d84f43010203",
    "simple": "e0", "simple-of-a-stranger": "f3", "simple-long": "f820", "simple-cut": "f8", "reserved": "1c", "reserved-text": "7c",
    "reserved-list": "9d", "reserved-tag": "de", "reserved-simple": "fc", "break": "ff", "break-in-a-list": "81ff",
    "break-in-a-tag": "c1ff", "break-after-a-key": "bf01ff", "number-with-an-open-end": "1f", "tag-with-an-open-end": "df01ff",
    "piece-of-another-kind": "5f6161ff", "piece-in-a-piece": "7f7f6161ffff", "pieces-without-end": "7f6161", "piece-too-long": "5f42ff",
    "half-a-letter": "7f61c361a9ff", "no-text": "61ff",
    "empty": "", "list-cut": "8201", "map-cut": "a101", "text-cut": "6261", "number-cut": "1901", "head-cut": "9a00", "trailing": "0101",
    "list-too-long": "9bffffffffffffffff", "list-of-a-thousand-million": "9a3fffffff00", "map-too-long": "bbffffffffffffffff",
    "bytes-too-long": "5bffffffffffffffff", "text-too-long": "7b0000010000000000", "lists-too-long": "99ffff" * 300,
    "too-deep": "81" * 300 + "00", "far-too-deep": "81" * 100_000 + "00", "open-and-too-deep": "9f" * 300, "maps-too-deep": "a100" * 300,
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_has_no_form_is_a_decode_error_and_nothing_is_built_of_it(text):
    data = bytes.fromhex(text)
    start = time.process_time()
    # Also where it stands behind something harmless, beyond the length that a short look is enough for.
    for hostile in (data, b"\x82\x79\x02\x00" + b"a" * 512 + data):
        for decode in (cbor.loads, load_value, lambda data: cbor.loads(data, STORED)):
            with pytest.raises(DecodeError):
                decode(hostile)
    assert time.process_time() - start < 0.5


ACCEPTED = {
    "00": 0, "3bffffffffffffffff": -(2**64), "f97e00": pytest.approx(float("nan"), nan_ok=True), "f7": UNDEFINED, "80": [], "a0": {},
    "9fff": [], "bfff": {}, "9f01ff": [1], "bf616101ff": {"a": 1}, "5f41614162ff": b"ab", "7fff": "", "bb0000000000000001616101": {"a": 1},
    "c249010000000000000000": 2**64, "c25906fa0f" + "ff" * 1785: 2**MAX_BIG_BITS - 1, "c240": 0,
    "d90102820101": {1}, "d9010281f7": {UNDEFINED}, "d9010281820102": {(1, 2)}, "d90102818102": {(2,)},
    "d90103 a1820102f7": Map({(1, 2): UNDEFINED}), "a1810102": {(1,): 2}, "a1f701": {UNDEFINED: 1},
    "d81b8265457272 6f7263626164": "Error: bad", "d81b81654572726f72": "Error: ", "d8405f4101ff": b"\x01", "9b000000000000000160": [""],
}  # fmt: skip


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_has_a_form_is_decoded(text):
    value = cbor.loads(bytes.fromhex(text))
    assert value == ACCEPTED[text]
    assert type(value) is type(ACCEPTED[text]) or isinstance(value, float)


def test_a_regular_expression_is_never_compiled():
    start = time.process_time()
    source = "[\x00-\uffff]" * 20_000
    value = load_value(cbor2.dumps([cbor2.CBORTag(27, ["RegExp", source, "i"]), cbor2.CBORTag(27, ["RegExp", "(", "gu"])]))
    assert time.process_time() - start < 0.2
    assert value == [RegExp(source, "i"), RegExp("(", "gu")]
    assert load_value(blob(value)) == value
    assert load_value(blob(re.compile("a+b", re.IGNORECASE | re.MULTILINE))) == RegExp("a+b", "im")
    with pytest.raises(AttributeError):
        value[0].source = "b"
    check_storable(value)


def deep(wrap, innermost=1):
    value = innermost
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        deep(lambda v: [v]), deep(lambda v: {"a": v}), deep(lambda v: Map(a=v)), deep(lambda v: {1: v}), deep(lambda v: [v], UNDEFINED),
        deep(lambda v: {1: v}, 2**40), deep(lambda v: frozenset([v])), deep(lambda v: (v,)), deep(lambda v: ["$a", v]),
    ],
    ids=["lists", "objects", "maps", "keyed-by-numbers", "undefined", "whole-numbers", "sets", "tuples", "escaped"],
)  # fmt: skip
def test_whatever_may_be_sent_or_kept_can_be_read_again(value):
    check_storable(value)
    # In the containers of messages and rows, and with the stack of a server underneath.
    enclosed = {"body": {"tag": "x", "val": {"args": [[value]]}}}
    data = blob(enclosed)

    def below(frames, limits):
        return load_value(data, limits=limits) if frames == 0 else below(frames - 1, limits)

    for limits in (WIRE, STORED):
        # Sets inside sets are lists when they come back: no Python set holds another.
        assert blob(below(120, limits)) == data or isinstance(value, frozenset)


@pytest.mark.parametrize(
    ("limits", "fine", "refused"),
    [
        ({"depth": 20}, "81" * 20 + "01", "81" * 21 + "01"),
        ({"depth": 3}, "8181c1 01", "818181c1 01"),
        ({"items": 4, "depth": 2}, "84 00000000", "85 0000000000"),
        ({"items": 4, "depth": 2}, "a2 0101 0201", "9f 0000000000 ff"),
        ({"items": 4, "depth": 2}, "5f 41614161 ff", "5f 4040404040 ff"),
        ({"containers": 3, "depth": 2}, "82 c100 c100", "83 c100 c100 c100"),
        ({"hashed": 3, "depth": 4}, "d90102 81 82 0001", "d90102 81 83 000102"),
        ({"hashed": 3, "depth": 4}, "bf 8101 01 02 02 ff", "bf 8101 01 8102 02 ff"),
        ({"hashed": 6, "depth": 4}, "d90102 83 c24101 c24102 c24103", "d90102 84 c24101 c24102 c24103 c24104"),
    ],
)
def test_limits(limits, fine, refused):
    limits = replace(WIRE, **limits)
    cbor.loads(bytes.fromhex(fine), limits)
    with pytest.raises(DecodeError, match="too many"):
        cbor.loads(bytes.fromhex(refused), limits)
    cbor.loads(bytes.fromhex(refused), STORED)


def test_keys_whose_hashes_a_sender_chose_cost_no_square():
    prime = 2**61 - 1  # what the hashes of Python's numbers are remainders of
    keys = [n * prime for n in range(1, 20_000)]
    data = cbor2.dumps([cbor2.CBORTag(258, keys)])
    start = time.process_time()
    with pytest.raises(DecodeError):
        load_value(data)
    assert time.process_time() - start < 0.2
    load_value(cbor2.dumps({(n, n): n for n in range(500)}))


@pytest.mark.parametrize("piece", ["80", "8100", "9fff", "c100", "60", "fb41f0000000000000", "a10000", "d81b8160", "f7", "7fff"])
def test_time_is_linear_in_the_bytes(piece):
    count = 30_000
    data = b"\x9a" + count.to_bytes(4, "big") + bytes.fromhex(piece) * count
    start = time.process_time()
    load_value(data)
    assert time.process_time() - start < 0.5


def test_the_short_look_lets_nothing_through_that_the_long_one_refuses():
    for number in range(1_500):
        data = make_cbor(source(5, "cbor", number))
        try:
            cbor.loads(data)
        except DecodeError:
            continue
        cbor_heads._walk(data, WIRE)
