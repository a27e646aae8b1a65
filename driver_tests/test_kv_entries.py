"""Suite kv-entries: single entries and batches of the key-value store."""

from __future__ import annotations

import pytest

from driver_tests.storing import attempt, error_of, raw, repeated
from harness import any_encoding, depends_on, requirement, suite
from harness.testing.interpreter import made, op, play, ref

pytestmark = [suite("kv-entries"), any_encoding, depends_on("actor-kv::test_put_and_get")]


def get(key, **options):
    """A step that reads."""
    return op("kv.get", key=key, **options)


def put(key, value, **options):
    """A step that writes."""
    return op("kv.put", key=key, value=value, **options)


@requirement("KV-001", "KV-004", "KV-005")
@pytest.mark.parametrize("text", ["a", "é", "😀", "a\0b", "", "\u00ff"], ids=["ascii", "two", "four", "nul", "empty", "latin"])
async def test_text_and_bytes_are_one_key(conform, text):
    """A text key and its UTF-8 bytes are the same entry, whichever put it, and no other key is."""
    actor = made(conform)
    await play(actor, put(text, "by text"), put(raw(b"\xff\xfe"), "other"))
    assert await play(actor, get(raw(text.encode()))) == "by text"
    await play(actor, put(raw(text.encode()), "by bytes"))
    assert await play(actor, get(text)) == "by bytes"
    assert await play(actor, op("kv.list", prefix=raw(b""), keyType="binary")) == [[text.encode(), "by bytes"], [b"\xff\xfe", "other"]]
    await play(actor, op("kv.delete", key=text))
    assert await play(actor, get(raw(text.encode()))) is None


@requirement("KV-003", "KV-004", "KV-005")
async def test_types_of_a_value(conform):
    """A text is stored as UTF-8 and bytes as they are; text is what a get gives unless it asks for bytes."""
    actor = made(conform)
    await play(actor, put("text", "né"), put("bytes", raw("né".encode())))
    for key in ("text", "bytes"):
        assert await play(actor, get(key)) == "né"
        assert await play(actor, get(key, type="text")) == "né"
        assert await play(actor, get(key, type="binary")) == "né".encode()
        assert await play(actor, get(key, type="arrayBuffer")) == "né".encode()


@requirement("KV-003", "KV-004")
async def test_bytes_that_are_no_text(conform):
    """Invalid sequences are replaced for who asks for text, and kept for who asks for bytes."""
    actor = made(conform)
    await play(actor, put("k", raw(b"a\xffb\xc3")))
    assert await play(actor, get("k")) == "a\ufffdb\ufffd"
    assert await play(actor, get("k", type="binary")) == b"a\xffb\xc3"


@requirement("KV-006")
@pytest.mark.parametrize("kind", ["text", "binary", "arrayBuffer"])
async def test_type_of_a_put_has_no_effect(conform, kind):
    """`put` takes a type and stores the same."""
    actor = made(conform)
    await play(actor, put("text", "é", type=kind), put("bytes", raw(b"\xff\0"), type=kind))
    assert await play(actor, get("text")) == "é"
    assert await play(actor, get("text", type="binary")) == "é".encode()
    assert await play(actor, get("bytes", type="binary")) == b"\xff\0"


@requirement("KV-002", "KV-007", "KV-008")
@pytest.mark.parametrize("kind", ["text", "binary", "arrayBuffer"])
async def test_empty_is_not_absent(conform, kind):
    """Of an absent key every type gives null, of an empty value the empty value; the empty key is one among others."""
    actor = made(conform)
    empty = "" if kind == "text" else b""
    assert await play(actor, get("", type=kind)) is None
    await play(actor, put("", ""), put("k", raw(b"")))
    assert await play(actor, get("", type=kind)) == empty
    assert await play(actor, get("k", type=kind)) == empty
    assert await play(actor, get("missing", type=kind)) is None
    assert await play(actor, op("kv.list", prefix="")) == [["", ""], ["k", ""]]
    await play(actor, op("kv.delete", key=""))
    assert await play(actor, op("kv.list", prefix="")) == [["k", ""]]


@requirement("KV-009", "KV-001")
async def test_put_replaces_one_entry(conform):
    """A second put replaces the whole value, a shorter and an empty one too, and no other entry."""
    actor = made(conform)
    await play(actor, put("k", "long value"), put("k2", "other"), put("K", "capital"))
    for value in ("short", "", "0"):
        await play(actor, put("k", value))
        assert await play(actor, op("kv.list")) == [["K", "capital"], ["k", value], ["k2", "other"]]


@requirement("KV-010")
async def test_delete(conform):
    """A delete removes exactly its key; of an absent key it succeeds, also twice."""
    actor = made(conform)
    await play(actor, put("a", "1"), put("ab", "2"), put("b", "3"))
    for key in ("a", "a", "missing", ""):
        assert await play(actor, attempt(op("kv.delete", key=key))) == {"ok": True, "value": None}
    assert await play(actor, op("kv.list")) == [["ab", "2"], ["b", "3"]]


@requirement("KV-034")
@pytest.mark.parametrize("value", [5, 0, None, True, [1], {"a": 1}], ids=repr)
async def test_values_that_are_neither_text_nor_bytes(conform, value):
    """Such a value is refused and nothing is stored."""
    actor = made(conform)
    await play(actor, put("k", "before"))
    assert (await play(actor, attempt(put("k", value))))["ok"] is False
    assert await play(actor, op("kv.list")) == [["k", "before"]]


@requirement("KV-029")
@pytest.mark.parametrize(
    "step",
    [get("k", type="json"), op("kv.list", type="json"), op("kv.list", keyType="arrayBuffer"), op("kv.list", start="a", end="z", type="")],
    ids=["get", "list", "key type", "range"],
)
async def test_unknown_types_are_refused(conform, step):
    """An unknown type of values or keys is an error."""
    actor = made(conform)
    await play(actor, put("k", "v"))
    error = error_of(await play(actor, attempt(step)))
    assert error["group"] is None
    assert await play(actor, get("k")) == "v"


def numbered(count, value=b"v"):
    """So many raw entries in order."""
    return [[raw(b"%05d" % number), raw(value)] for number in range(count)]


@requirement("KV-025", "KV-007")
async def test_batch_get_keeps_the_order(conform):
    """One element per requested key in the order of the request: repeated, absent and empty ones too."""
    actor = made(conform)
    await play(actor, op("kv.batchPut", entries=[[raw(b"b"), raw(b"B\xff")], [raw(b"a"), raw(b"A")], [raw(b"e"), raw(b"")]]))
    keys = [raw(key) for key in (b"b", b"x", b"a", b"e", b"b")]
    assert await play(actor, op("kv.batchGet", keys=keys)) == [b"B\xff", None, b"A", b"", b"B\xff"]


@requirement("KV-026")
async def test_empty_batches(conform):
    """Batches of nothing succeed and change nothing."""
    actor = made(conform)
    await play(actor, put("k", "v"))
    assert await play(actor, op("kv.batchGet", keys=[])) == []
    assert await play(actor, attempt(op("kv.batchPut", entries=[]), op("kv.batchDelete", keys=[]))) == {"ok": True, "value": None}
    assert await play(actor, op("kv.list")) == [["k", "v"]]


@requirement("KV-028", "KV-025")
@pytest.mark.parametrize("count", [127, 128, 129, 300])
async def test_large_batches(conform, count):
    """Batches of more than 128 entries are put, read and deleted as a whole; the last entry of a repeated key counts."""
    actor = made(conform)
    entries = [*numbered(count), [raw(b"%05d" % 0), raw(b"last")]]
    keys = [key for key, _ in numbered(count + 1)]
    await play(actor, op("kv.batchPut", entries=entries))
    assert await play(actor, op("kv.batchGet", keys=keys)) == [b"last", *[b"v"] * (count - 1), None]
    await play(actor, op("kv.batchDelete", keys=keys[: count - 1]))
    assert await play(actor, op("kv.batchGet", keys=keys)) == [*[None] * (count - 1), b"v", None]


@requirement("KV-027", "DB-327")
@pytest.mark.parametrize(
    ("count", "size", "early", "late"),
    [(128, 1, 0, 127), (128, 1, 127, 0), (4, 131_071, 0, 3), (4, 131_071, 3, 0), (300, 1, 299, 0)],
    ids=["entries", "entries-back", "bytes", "bytes-back", "more"],
)
async def test_a_batch_is_seen_whole_or_not_at_all(conform, count, size, early, late):
    """Who sees one entry of a batch of 128 entries or 524288 bytes sees every other; the parts of a larger one come in order."""
    actor = made(conform)
    keys = [raw(bytes([1 + number // 200, 1 + number % 200])[-1 if count < 200 else 0 :]) for number in range(count)]
    # One after the other, so that what was seen of the first must be seen of the second.
    put_all = op("kv.batchPut", entries=[[key, repeated(raw(b"v"), size)] for key in keys])
    look = [op("kv.batchGet", keys=[keys[early]], as_="early"), op("kv.batchGet", keys=[keys[late]], as_="late")]
    torn = [look[1], op("if", value=ref("late.0"), is_=None, then=[op("value", value="torn")], else_=[op("break")])]
    read = [look[0], op("if", value=ref("early.0"), is_=None, then=[op("value", value="none")], else_=torn)]
    quick, patient = op("repeat", times=5000, do=read), op("repeat", times=5000, do=[op("wait", ms=1), *read])
    _, *seen = await play(actor, op("all", do=[[put_all], [quick], [quick], [patient]]))
    assert all(set(one) <= {"none"} and len(one) < 5000 for one in seen)
