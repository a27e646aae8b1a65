"""Suite kv-limits: the largest keys and values of the key-value store, and what exceeds them."""

from __future__ import annotations

import pytest

from driver_tests.storing import attempt, error_of, raw, repeated
from harness import any_encoding, depends_on, requirement, suite
from harness.testing.interpreter import made, op, play

pytestmark = [suite("kv-limits"), any_encoding, depends_on("actor-kv::test_put_and_get")]

VALUE, KEY = 131_072, 2048


def too_large(what, size):
    """The error of a key or value of so many bytes."""
    limit = KEY if what == "key" else VALUE
    message = f"KV {what} too large ({size} bytes). Limit is {limit} bytes."
    return {"group": "kv", "code": f"{what}_too_large", "message": message, "metadata": {"size": size, "limit": limit}}


@requirement("KV-022")
@pytest.mark.parametrize(
    ("value", "size"),
    [
        (repeated("x", VALUE - 1), VALUE - 1), (repeated("x", VALUE), VALUE), (repeated("x", VALUE + 1), VALUE + 1),
        (repeated(raw(b"\0"), VALUE), VALUE), (repeated(raw(b"\0"), VALUE + 1), VALUE + 1),
        (repeated("é", VALUE // 2), VALUE), (repeated("é", VALUE // 2 + 1), VALUE + 2),
    ],
    ids=["less", "limit", "more", "bytes", "more-bytes", "wide", "more-wide"],
)  # fmt: skip
async def test_values(conform, value, size):
    """A value has up to 131072 bytes, not characters; a larger one is refused and the old one stays."""
    actor = made(conform)
    await play(actor, op("kv.put", key="k", value="before"))
    outcome = await play(actor, attempt(op("kv.put", key="k", value=value)))
    stored = await play(actor, op("kv.get", key="k", type="binary"))
    if size <= VALUE:
        assert outcome == {"ok": True, "value": None}
        assert len(stored) == size
    else:
        assert error_of(outcome) == too_large("value", size)
        assert stored == b"before"


@requirement("KV-023")
@pytest.mark.parametrize(
    ("key", "size"),
    [
        (repeated("k", KEY - 2), KEY - 2), (repeated("k", KEY - 1), KEY - 1), (repeated("k", KEY), KEY),
        (repeated(raw(b"\xff"), KEY - 1), KEY - 1), (repeated(raw(b"\xff"), KEY), KEY),
        (repeated("é", KEY // 2 - 1), KEY - 2), (repeated("é", KEY // 2), KEY),
    ],
    ids=["less", "limit", "more", "bytes", "more-bytes", "wide", "more-wide"],
)  # fmt: skip
async def test_keys(conform, key, size):
    """A key of `put` has up to 2047 bytes, because the byte of its namespace counts; the error says the stored size."""
    actor = made(conform)
    outcome = await play(actor, attempt(op("kv.put", key=key, value="v")))
    found = await play(actor, op("kv.list", prefix=raw(b""), keyType="binary"))
    if size < KEY:
        assert outcome == {"ok": True, "value": None}
        assert [(len(name), value) for name, value in found] == [(size, "v")]
        assert await play(actor, op("kv.get", key=key)) == "v"
    else:
        assert error_of(outcome) == too_large("key", size + 1)
        assert found == []


@requirement("KV-022", "KV-023", "KV-024")
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize(
    ("key", "value", "what", "size"),
    [(raw(b"large"), repeated(raw(b"v"), VALUE + 1), "value", VALUE + 1), (repeated(raw(b"k"), KEY + 1), raw(b"v"), "key", KEY + 1)],
    ids=["value", "key"],
)
async def test_a_batch_with_one_large_entry(conform, place, key, value, what, size):
    """One entry that is too large refuses the batch, wherever it is and however long the batch: nothing is written."""
    actor = made(conform)
    small = [[raw(b"%03d" % number), raw(b"v")] for number in range(200)]
    at = {"first": 0, "middle": 129, "last": 200}[place]
    outcome = await play(actor, attempt(op("kv.batchPut", entries=[*small[:at], [key, value], *small[at:]])))
    assert error_of(outcome) == too_large(what, size)
    assert await play(actor, op("kv.batchGet", keys=[name for name, _ in small])) == [None] * 200


@requirement("KV-022", "KV-023", "KV-028")
async def test_a_batch_of_largest_entries(conform):
    """Entries of exactly the largest sizes are no reason to refuse a batch, nor is their sum."""
    actor = made(conform)
    keys = [repeated(raw(bytes([number])), KEY) for number in range(6)]
    value = repeated(raw(b"v"), VALUE)
    assert await play(actor, attempt(op("kv.batchPut", entries=[[key, value] for key in keys]))) == {"ok": True, "value": None}
    found = await play(actor, op("kv.batchGet", keys=keys[:3])) + await play(actor, op("kv.batchGet", keys=keys[3:]))
    assert [len(one) for one in found] == [VALUE] * 6


@requirement("KV-022", "KV-023")
@pytest.mark.parametrize(
    ("step", "what", "size"),
    [
        (op("kv.put", key="k", value=repeated("v", VALUE + 1)), "value", VALUE + 1),
        (op("kv.put", key=repeated("k", KEY), value=""), "key", KEY + 1),
    ],
    ids=["value", "key"],
)
async def test_the_caller_is_told(conform, expect_error, step, what, size):
    """The error is public: a caller sees group, code, message and metadata."""
    actor = made(conform)
    async with expect_error("kv", f"{what}_too_large") as caught:
        await play(actor, step)
    expected = too_large(what, size)
    assert (caught.message, caught.metadata) == (expected["message"], expected["metadata"])
    response = await conform.post_action(actor, "exec", [step], encoding="json")
    assert {name: response.json()[name] for name in expected} == expected
