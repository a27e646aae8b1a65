"""What can be kept and sent, and how long it takes to know."""

import array
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest

from runtime.errors import UserError, to_wire
from runtime.protocol import cbor, payload
from runtime.protocol.cbor_heads import MAX_BIG_BITS, MAX_DEPTH
from runtime.protocol.encodings import Encoding
from runtime.protocol.http_bodies import encode_error
from runtime.protocol.storable import Unstorable, check_shape, check_storable
from runtime.protocol.values import UNDEFINED, ArrayBuffer, BigInt, Map


def kind(value):
    """Ids for what has no text itself: too long, too deep, or not even text."""
    return value.replace(" ", "-") if isinstance(value, str) and value.isascii() else type(value).__name__


def nested(depth, inner=0, wrap=lambda value: [value]):
    for _ in range(depth):
        inner = wrap(inner)
    return inner


def doubled(levels):
    value = [1]
    for _ in range(levels):
        value = [value, value]
    return value


def cyclic(kind=list):
    value = kind()
    if kind is dict:
        value["self"] = {"deep": [value]}
    else:
        value.append((1, value))
    return value


@dataclass
class Point:
    x: object


@pytest.mark.parametrize(
    "value",
    [
        None, True, 1.5, float("nan"), "é😀", b"\xff", 2**63, -(2**80), 2**MAX_BIG_BITS - 1, UNDEFINED, bytearray(b"x"), memoryview(b"x"),
        {"a": [1, {"b": (2, 3)}]}, {1: 2, None: 3, b"x": 4, 1.5: 5, ("a", 1): 6}, {1, "a"}, frozenset({2}),
        Map({"a": 1}), BigInt(5), ArrayBuffer(b"a"),
        datetime(2026, 1, 1),  # noqa: DTZ001
        datetime(1, 1, 1, tzinfo=UTC), re.compile("a+"), array.array("d", [1.0]),
        nested(MAX_DEPTH), nested(MAX_DEPTH, wrap=lambda value: {1: value}), doubled(14), [[0] * 5] * 1000,
    ],
    ids=kind,
)  # fmt: skip
def test_what_passes_comes_back(value):
    check_storable(value)
    assert payload.load_value(payload.blob(value)) is not Ellipsis
    assert cbor.loads(cbor.dumps_exact(payload.to_wire(value))) is not Ellipsis


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\udce9", "surrogate"), ({"a": ["x", "\ud83d"]}, "surrogate"), ({"\udce9": 1}, "surrogate"), ({1, "\udce9"}, "surrogate"),
        ({("a", "\udce9"): 1}, "key of type tuple"), (Map({"\udce9": 1}), "surrogate"), (re.compile("\udce9"), "surrogate"),
        (2**MAX_BIG_BITS, "bits"), ([-(2**20000)], "bits"), ({2**70: 1}, "64 bits"), (re.compile(b"a"), "on bytes"),
        (array.array("u", "a"), "array"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=3))), "years"), (object(), "type object"), ([print], "type builtin"),
        (Point(1), "type Point"),
        ({frozenset({object()}): 1}, "key of type frozenset"),
        (nested(MAX_DEPTH + 1), "deep"), (nested(100_000), "deep"), (nested(MAX_DEPTH + 1, wrap=lambda value: {"a": value}), "deep"),
        (cyclic(), "contains itself"), (cyclic(dict), "contains itself"), (doubled(60), "repeats"),
    ],
    ids=kind,
)  # fmt: skip
def test_what_is_refused(value, reason):
    with pytest.raises(Unstorable, match=reason):
        check_storable(value)


def test_the_error_says_where_and_is_both_of_the_errors_that_code_expects():
    with pytest.raises(TypeError) as caught:
        check_storable({"users": [{"name": "ok"}, {"name": "caf\udce9"}]})
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == "text with a lone surrogate cannot be stored or sent (at ['users'][1]['name'])"
    assert str(caught.value).isascii()


def test_records_are_containers_where_they_are_stored():
    check_storable(Point([1]), records=True)
    for value in (Point("\udce9"), Point(cyclic())):
        with pytest.raises(Unstorable):
            check_storable(value, records=True)


def test_the_depth_counts_what_a_value_is_put_into():
    check_storable(nested(8), MAX_DEPTH - 8)
    with pytest.raises(Unstorable):
        check_storable(nested(9), MAX_DEPTH - 8)
    check_storable(1, MAX_DEPTH)


class Read(list):
    """Counts how often lists are read through."""

    times = 0

    def __iter__(self):
        Read.times += 1
        return super().__iter__()


def test_the_time_is_linear_in_what_there_is_and_not_in_what_is_written():
    value = Read([1])
    for _ in range(18):
        value = Read([value, value])
    Read.times = 0
    check_storable(value)
    assert Read.times == 19


@pytest.mark.parametrize(
    "metadata",
    [cyclic(), {"a": cyclic(dict)}, nested(100_000), doubled(60), "\udce9", {"file": "\udce9"}, {"\udce9": 1}, 10**5000],
    ids=kind,
)
@pytest.mark.parametrize("encoding", list(Encoding))
def test_an_error_reaches_its_caller_whatever_its_metadata(metadata, encoding):
    assert encode_error(to_wire(UserError("no", "caf\udce9", metadata)), encoding)


def test_the_shape_of_what_is_rendered_anyway():
    check_shape({"a": [object(), "\udce9", {object(): 1}]})
    for value in (cyclic(), doubled(60), nested(1000)):
        with pytest.raises(Unstorable):
            check_shape(value)
