from __future__ import annotations

import asyncio

import pytest

from runtime.actor.database.pool import DatabasePool
from runtime.actor.database.provider import raw_database
from runtime.actor.kv import KeyValue
from runtime.errors import ActorError
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.memory import MemoryStorage
from tests.runtime import parts
from tests.runtime.owner import Owner


class Entries(parts.Owner):
    """An actor with a storage, and a gate that counts who passes."""

    def __init__(self):
        disk = MemoryStorage()
        super().__init__(passed=0, open=disk.open, storage=GenerationStorage(disk, "actor1", 1, DatabasePool(1)))
        self.database = self

    async def gate(self):
        self.passed += 1

    async def commit(self, ops):
        await self.storage.commit(ops)


@pytest.fixture
async def kv():
    owner = Entries()
    await owner.open()
    return KeyValue(owner)


async def test_every_call_passes_the_gate():
    owner = Entries()
    await owner.open()
    kv = KeyValue(owner)
    await kv.put("k", "v")
    await kv.get("k")
    await kv.list("")
    await kv.batch_put([(b"k%d" % number, b"") for number in range(129)])
    await kv.batch_get([b"k"])
    await kv.delete_range("a", "b")
    assert owner.passed == 7


async def test_text_and_bytes_address_the_same_entry(kv):
    await kv.put("ключ", "zoë")
    assert await kv.get("ключ".encode()) == "zoë"
    assert await kv.get(bytearray("ключ".encode()), type="binary") == "zoë".encode()
    await kv.put("ключ", memoryview(b"\xff\x00"), type="binary")
    assert await kv.get("ключ", type="arrayBuffer") == b"\xff\x00"
    assert await kv.get("ключ") == "\ufffd\x00"


async def test_absent_empty_and_replaced(kv):
    assert await kv.get("") is None
    await kv.put("", "")
    assert await kv.get("") == ""
    await kv.put("", "2")
    assert await kv.get("") == "2"
    await kv.delete("")
    await kv.delete("")
    assert await kv.get("") is None


async def test_listing(kv):
    for key in ("b", "a:2", "a:1", "a", "c", b"a\xff", b"\xff\xff"):
        await kv.put(key, "v")
    assert [k for k, _ in await kv.list("a:")] == ["a:1", "a:2"]
    assert [k for k, _ in await kv.list("a")] == ["a", "a:1", "a:2", "a\ufffd"]
    assert [k for k, _ in await kv.list(b"\xff", key_type="binary")] == [b"\xff\xff"]
    assert len(await kv.list("")) == 7
    assert [k for k, _ in await kv.list_prefix("", reverse=True, limit=2, key_type="text")] == ["\ufffd\ufffd", "c"]
    assert [k for k, _ in await kv.list_range("a", "b")] == ["a", "a:1", "a:2", "a\ufffd"]
    assert [k for k, _ in await kv.list_range("a", "c", reverse=True, limit=1)] == ["b"]
    assert await kv.list_range("c", "a") == []
    assert await kv.list("a", limit=0) == []
    with pytest.raises(ActorError, match="non-negative"):
        await kv.list("", limit=-1)


async def test_delete_range(kv):
    for key in "abcd":
        await kv.put(key, key)
    await kv.delete_range("c", "a")
    await kv.delete_range("b", "d")
    assert await kv.list("") == [("a", "a"), ("d", "d")]


async def test_limits(kv):
    await kv.put("k" * 2047, "x" * 131_072)
    with pytest.raises(ActorError) as caught:
        await kv.put("k", "é" * 65_537)
    assert (caught.value.name, caught.value.metadata) == ("kv.value_too_large", {"size": 131_074, "limit": 131_072})
    assert caught.value.message == "KV value too large (131074 bytes). Limit is 131072 bytes."
    with pytest.raises(ActorError) as caught:
        await kv.put("k" * 2048, "")
    assert caught.value.message == "KV key too large (2049 bytes). Limit is 2048 bytes."
    with pytest.raises(ActorError, match="value too large"):
        await kv.batch_put([(b"ok", b"1"), (b"big", bytes(131_073))])
    assert await kv.batch_get([b"ok"]) == [None]


async def test_batches_are_a_keyspace_of_their_own(kv):
    await kv.batch_put([(b"k%03d" % number, b"v") for number in range(300)])
    assert await kv.batch_get([b"k299", b"none", b"k000"]) == [b"v", None, b"v"]
    assert await kv.list("") == []
    await kv.batch_put([(b"\x04b1", b"seen")])
    assert await kv.get("b1") == "seen"
    await kv.batch_delete([b"k000", b"none"])
    assert await kv.batch_get([b"k000"]) == [None]
    assert await kv.batch_get([]) == []
    await kv.batch_put([])
    await kv.batch_delete([])


async def test_bad_arguments(kv):
    for call in (
        kv.get("k", type="json"),
        kv.list("k", key_type="json"),
        kv.list("text", key_type="binary"),
        kv.list_range("a", b"b", key_type="binary"),
        kv.put("k", 5),
        kv.put("k", None),
        kv.batch_put([("text", b"v")]),
        kv.get(1),
    ):
        with pytest.raises(TypeError):
            await call


async def test_lone_surrogates_become_the_replacement_character(kv):
    await kv.put("k", "a\ud800b\U0001f600")
    assert await kv.get("k") == "a\ufffdb\U0001f600"


async def test_entries_survive_a_restart_but_not_the_generations_end():
    owner = await Owner().start()
    await owner.kv.put("k", "v")
    following = await owner.start_again()
    assert await following.kv.get("k") == "v"
    with pytest.raises(ActorError) as caught:
        await owner.kv.put("k", "stale")
    assert caught.value.name == "sqlite.transaction_closed"
    assert await following.kv.get("k") == "v"


async def test_calls_wait_behind_a_coordinated_transaction():
    owner = await Owner(database=raw_database()).start()
    release, inside = asyncio.Event(), asyncio.Event()

    async def hold(tx):
        inside.set()
        await release.wait()

    holding = asyncio.create_task(owner.database.client.transaction(hold))
    await inside.wait()
    put = asyncio.create_task(owner.kv.put("k", "v"))
    await asyncio.sleep(0.01)
    assert not put.done()
    release.set()
    await holding
    await put
    assert await owner.kv.get("k") == "v"
    await owner.database.close()
