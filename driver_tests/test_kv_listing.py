"""Suite kv-listing: prefixes, ranges, order and limits of the key-value store."""

from __future__ import annotations

import pytest

from driver_tests.storing import attempt, error_of, raw
from harness import any_encoding, depends_on, requirement, suite
from harness.testing.interpreter import made, op, play, ref

pytestmark = [suite("kv-listing"), any_encoding, depends_on("actor-kv::test_put_and_get")]

KEYS = [
    b"",
    b"\0",
    b"a",
    b"a\0",
    b"a\xfe",
    b"a\xff",
    b"a\xff\0",
    b"a\xff\xff",
    b"b",
    b"\xfe\xff",
    b"\xff",
    b"\xff\0",
    b"\xff\xff",
    b"\xff\xff\xff",
]
"""In order of their bytes, with neighbours of every bound that a prefix can have."""

RANGES = [(b"a", b"b"), (b"", b"\xff\xff\xff"), (b"a\xff", b"a\xff\0"), (b"a", b"a"), (b"b", b"a"), (b"c", b"d"), (b"\xff", b"\xff\xff")]


async def filled(conform, keys):
    """An actor with these keys, put in another order than theirs; the value of each is its own bytes."""
    actor = made(conform)
    await play(actor, *(op("kv.put", key=raw(key), value=raw(key)) for key in sorted(keys, key=lambda key: key[::-1], reverse=True)))
    return actor


async def keys_of(actor, **fields):
    """The keys that a listing gives, as bytes."""
    return [key for key, _ in await play(actor, op("kv.list", keyType="binary", **fields))]


@requirement("KV-011", "KV-012", "KV-014")
async def test_prefix(conform):
    """Exactly the entries whose key starts with the prefix, the prefix itself included, in the order of their bytes."""
    actor = await filled(conform, KEYS)
    for prefix in KEYS:
        expected = [key for key in KEYS if key.startswith(prefix)]
        assert await keys_of(actor, prefix=raw(prefix)) == expected
        assert await keys_of(actor, prefix=raw(prefix), reverse=True) == expected[::-1]


@requirement("KV-011", "KV-013", "KV-014")
async def test_keys_are_whole(conform):
    """A returned key has the prefix on it: text unless bytes were asked for, and so has its value."""
    actor = made(conform)
    await play(actor, *(op("kv.put", key=key, value=f"v{key}") for key in ("user:2", "user:10", "user", "users", "usér:1")))
    expected = [["user", "vuser"], ["user:10", "vuser:10"], ["user:2", "vuser:2"], ["users", "vusers"]]
    assert await play(actor, op("kv.list", prefix="user")) == expected
    assert await play(actor, op("kv.list", prefix="user", keyType="text", type="text")) == expected
    in_bytes = [[key.encode(), value] for key, value in expected]
    assert await play(actor, op("kv.list", prefix=raw(b"user"), keyType="binary")) == in_bytes
    values = [[key, value.encode()] for key, value in expected]
    assert await play(actor, op("kv.list", prefix="user", type="binary")) == values
    assert await play(actor, op("kv.list", start="user", end="usert", type="arrayBuffer")) == values


@requirement("KV-012", "KV-019")
@pytest.mark.parametrize("count", [129, 600])
async def test_no_limit_is_no_limit(conform, count):
    """The empty prefix gives all entries, however many there are."""
    actor = made(conform)
    fill = op("repeat", times=count, do=[op("kv.put", key={"$repeat": ["k", ref("index")]}, value="")])
    await play(actor, fill)
    found = [key for key, _ in await play(actor, op("kv.list", prefix=""))]
    assert found == ["k" * length for length in range(count)]


@requirement("KV-015", "KV-016", "KV-017")
async def test_range(conform):
    """A range has its start and not its end, whether or not these are keys; one that ends before it starts is empty."""
    actor = await filled(conform, KEYS)
    for start, end in [*RANGES, (b"", b"\0"), (b"0", b"a\xfe"), (b"\xff", b"")]:
        expected = [key for key in KEYS if start <= key < end]
        assert await keys_of(actor, start=raw(start), end=raw(end)) == expected
        assert await keys_of(actor, start=raw(start), end=raw(end), reverse=True) == expected[::-1]


@requirement("KV-017", "KV-018", "KV-019")
@pytest.mark.parametrize("limit", [0, 1, 3, 4, 5])
@pytest.mark.parametrize("where", [{"prefix": "k"}, {"start": "k", "end": "l"}], ids=["prefix", "range"])
async def test_limit(conform, where, limit):
    """At most so many entries, counted after ordering: the smallest ones, in reverse the largest; none of them is none."""
    actor = made(conform)
    await play(actor, *(op("kv.put", key=key, value=key) for key in ("k2", "j", "k4", "k1", "l", "k3")))
    keys = ["k1", "k2", "k3", "k4"]
    for reverse, ordered in ((False, keys), (True, keys[::-1])):
        found = await play(actor, op("kv.list", **where, limit=limit, reverse=reverse))
        assert found == [[key, key] for key in ordered[:limit]]


@requirement("KV-020")
@pytest.mark.parametrize("limit", [-1, -128])
@pytest.mark.parametrize("where", [{"prefix": ""}, {"start": "a", "end": "z"}], ids=["prefix", "range"])
async def test_negative_limit(conform, where, limit):
    """A limit below 0 is refused."""
    actor = made(conform)
    await play(actor, op("kv.put", key="k", value="v"))
    error_of(await play(actor, attempt(op("kv.list", **where, limit=limit))))


@requirement("KV-030")
@pytest.mark.parametrize(
    "where",
    [{"prefix": "a"}, {"start": "a", "end": "b"}, {"start": raw(b"a"), "end": "b"}, {"start": "a", "end": raw(b"b")}],
    ids=["prefix", "range", "end", "start"],
)
async def test_text_bounds_of_byte_keys(conform, where):
    """Who asks for keys in bytes gives prefix and bounds in bytes."""
    actor = made(conform)
    await play(actor, op("kv.put", key="a", value="v"))
    error = error_of(await play(actor, attempt(op("kv.list", keyType="binary", **where))))
    assert error["group"] is None


@requirement("KV-021", "KV-016")
@pytest.mark.parametrize(("start", "end"), RANGES, ids=repr)
async def test_delete_range(conform, start, end):
    """Exactly the entries of the range are gone: not its end, nothing outside, and none when it ends before it starts."""
    actor = await filled(conform, KEYS)
    await play(actor, op("kv.deleteRange", start=raw(start), end=raw(end)))
    assert await keys_of(actor, prefix=raw(b"")) == [key for key in KEYS if not start <= key < end]


@requirement("KV-031", "KV-011", "KV-027")
async def test_entries_survive_a_sleep(conform, boundary):
    """After a sleep all entries of both families are there, in order; what was deleted stays gone."""
    actor = await filled(conform, KEYS)
    batch = [[raw(b"raw"), raw(b"\xff")], [raw(b"raw2"), raw(b"")]]
    await play(
        actor, op("kv.batchPut", entries=batch), op("kv.delete", key="b"), op("kv.deleteRange", start=raw(b"\xff"), end=raw(b"\xff\xff"))
    )
    await boundary.sleep(actor, via="api")
    actor = made(conform)
    expected = [key for key in KEYS if key not in (b"b", b"\xff", b"\xff\0")]
    assert await play(actor, op("kv.list", prefix=raw(b""), keyType="binary", type="binary")) == [[key, key] for key in expected]
    assert await play(actor, op("kv.batchGet", keys=[raw(b"raw"), raw(b"raw2"), raw(b"raw3")])) == [b"\xff", b"", None]


@requirement("KV-031", "DB-001", "DB-007")
async def test_entries_end_with_the_actor(conform, boundary):
    """A destroyed actor takes the entries of both families with it, and those of another actor stay."""
    other_key = conform.unique_key()
    batch = op("kv.batchPut", entries=[[raw(b"raw"), raw(b"v")]])
    other = made(conform, "interpreter", other_key)
    await play(other, op("kv.put", key="k", value="other"))
    actor = await filled(conform, KEYS)
    await play(actor, batch)
    await boundary.destroy(actor, via="api")
    actor = made(conform)
    assert await play(actor, op("kv.list", prefix=raw(b""), keyType="binary")) == []
    assert await play(actor, op("kv.batchGet", keys=[raw(b"raw")])) == [None]
    assert await play(made(conform, "interpreter", other_key), op("kv.list")) == [["k", "other"]]
