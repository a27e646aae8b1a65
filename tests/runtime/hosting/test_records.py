"""What the control plane knows about an actor, and how it outlives the process."""

import pytest

from runtime.hosting.standalone import records
from runtime.hosting.standalone.records import ActorRecord
from runtime.storage.base import HOST_SCOPE, Put
from runtime.storage.memory import MemoryStorage


@pytest.fixture
async def storage():
    storage = MemoryStorage()
    await storage.open()
    return storage


async def test_a_record_is_live_until_it_is_destroyed_and_never_both(storage):
    record = ActorRecord("a", "n", "thing", "k", "p", 5, b"\xf6")
    await storage.commit(HOST_SCOPE, record.ops())
    (stored,) = await records.load_live(storage)
    assert (stored.to_json(), stored.input) == (record.to_json(), b"\xf6")
    assert await records.find_destroyed(storage, "a") is None
    record.destroy_ts = 9
    await storage.commit(HOST_SCOPE, record.ops())
    assert await records.load_live(storage) == []
    assert (await records.find_destroyed(storage, "a")).destroy_ts == 9


async def test_data_that_a_crash_left_behind_is_removed_at_the_next_start(storage):
    await storage.commit("a", [Put("kv", b"x", b"1")])
    await storage.commit(HOST_SCOPE, ActorRecord("a", "n", "thing", None, "p", 5, destroy_ts=9).ops())
    await records.finish_erasing(storage)
    assert await storage.get("a", "kv", b"x") is None
    assert await storage.scan(HOST_SCOPE, records.ERASING_TABLE) == []
    assert (await records.find_destroyed(storage, "a")).destroy_ts == 9


def test_an_error_is_shown_only_where_there_is_one():
    assert "error" not in ActorRecord("a", "n", "thing", None, "p", 5).to_json()
    assert ActorRecord("a", "n", "thing", None, "p", 5, error="no_envoys").to_json()["error"] == "no_envoys"
