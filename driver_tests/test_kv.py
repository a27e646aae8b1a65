"""Suite actor-kv: the key-value store."""

from __future__ import annotations

import pytest

from harness import depends_on, requirement, suite

pytestmark = [suite("actor-kv"), depends_on("actor-kv::test_put_and_get")]


async def filled(conform, **pairs):
    """An actor with these text entries."""
    actor = conform.get_or_create("kvActor")
    for key, value in pairs.items():
        assert await actor.action("putText", key, value) is True
    return actor


@requirement("KV-002", "KV-003", "KV-004")
async def test_put_and_get(conform):
    """A stored text comes back; an unknown key is null."""
    actor = await filled(conform, greeting="hello")
    assert await actor.action("getText", "greeting") == "hello"
    assert await actor.action("getText", "missing") is None


@requirement("KV-009")
async def test_put_replaces(conform):
    """A second put replaces the value."""
    actor = await filled(conform, k="one")
    await actor.action("putText", "k", "two")
    assert await actor.action("getText", "k") == "two"


@requirement("KV-007", "KV-008")
async def test_empty_key_and_value(conform):
    """The empty text is a valid key and a valid value."""
    actor = conform.get_or_create("kvActor")
    await actor.action("putText", "", "")
    assert await actor.action("getText", "") == ""


@requirement("KV-011", "KV-012", "KV-013")
async def test_list_by_prefix(conform):
    """Listing by prefix is ascending and leaves others out."""
    actor = await filled(conform, a2="2", a1="1", b1="3", a="0")
    assert await actor.action("listText", "a") == [{"key": "a", "value": "0"}, {"key": "a1", "value": "1"}, {"key": "a2", "value": "2"}]
    assert len(await actor.action("listText", "")) == 4
    assert await actor.action("listText", "zzz") == []


@requirement("KV-015", "KV-016")
async def test_range(conform):
    """A range includes its start and excludes its end."""
    actor = await filled(conform, a="1", b="2", c="3", d="4")
    found = await actor.action("listTextRange", "b", "d")
    assert [row["key"] for row in found] == ["b", "c"]
    assert await actor.action("listTextRange", "d", "b") == []


@requirement("KV-017", "KV-018")
@pytest.mark.parametrize(
    ("options", "keys"),
    [({"reverse": True}, ["c", "b", "a"]), ({"limit": 2}, ["a", "b"]), ({"reverse": True, "limit": 1}, ["c"])],
    ids=["reverse", "limit", "both"],
)
async def test_range_options(conform, options, keys):
    """A range may be reversed and limited; the limit counts after reversing."""
    actor = await filled(conform, a="1", b="2", c="3")
    assert [row["key"] for row in await actor.action("listTextRange", "a", "z", options)] == keys


@requirement("KV-021")
async def test_delete_range(conform):
    """A range is deleted, its end excluded."""
    actor = await filled(conform, a="1", b="2", c="3")
    assert await actor.action("deleteTextRange", "a", "c") is True
    assert [row["key"] for row in await actor.action("listText", "")] == ["c"]


@requirement("KV-001", "KV-005")
@pytest.mark.parametrize("values", [[], [0], [4, 8, 256, -1], list(range(256))], ids=["empty", "zero", "wrapped", "all"])
async def test_binary_values(conform, values):
    """Bytes come back as they were stored."""
    assert await conform.get_or_create("kvActor").action("roundtripArrayBuffer", "bin", values) == [value % 256 for value in values]


@requirement("KV-001", "KV-011")
async def test_unicode_orders_by_bytes(conform):
    """Keys order by their UTF-8 bytes."""
    actor = conform.get_or_create("kvActor")
    for key in ("é", "z", "a", "😀"):
        await actor.action("putText", key, key)
    assert [row["key"] for row in await actor.action("listText", "")] == ["a", "z", "é", "😀"]


@requirement("KV-031", "DB-005")
async def test_entries_survive_sleep(conform, boundary):
    """Entries are there after a sleep."""
    actor = await filled(conform, k="v")
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("kvActor").action("getText", "k") == "v"


@requirement("KV-031", "DB-007")
async def test_entries_end_with_the_actor(conform, boundary):
    """A recreated actor has no entries."""
    actor = await filled(conform, k="v")
    await boundary.destroy(actor, via="api")
    assert await conform.get_or_create("kvActor").action("getText", "k") is None


@requirement("DB-001")
async def test_actors_do_not_share_entries(conform):
    """Another key sees nothing."""
    await filled(conform, k="v")
    assert await conform.get_or_create("kvActor", conform.unique_key()).action("getText", "k") is None
