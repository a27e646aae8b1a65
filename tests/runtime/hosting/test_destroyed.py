"""Records of destroyed actors: found in their order while they are kept, and not kept for ever."""

import cbor2
import pytest

from runtime.hosting.standalone import destroyed
from runtime.hosting.standalone.destroyed import KEPT_MS, DestroyedRecords
from runtime.hosting.standalone.records import BY_KEY, BY_NAME, BY_TIME, DESTROYED_TABLE, LIVE_TABLE, ActorRecord, load_live
from runtime.storage.base import HOST_SCOPE, Put
from runtime.storage.memory import MemoryStorage
from runtime.storage.sqlite import SQLiteStorage

NOW = 10 * KEPT_MS


@pytest.fixture
def time(monkeypatch):
    """The clock in milliseconds: a list of one number."""
    time = [NOW]
    monkeypatch.setattr("runtime.hosting.standalone.destroyed.clock.now_ms", lambda: time[0])
    return time


@pytest.fixture(params=["memory", "sqlite"])
async def storage(request, tmp_path):
    storage = MemoryStorage() if request.param == "memory" else SQLiteStorage(tmp_path)
    await storage.open()
    yield storage
    await storage.close()


def record(number, key="k", name="thing", destroy_ts=NOW, **more):
    return ActorRecord(f"id{number}", "n", name, key, "p", number, destroy_ts=destroy_ts, **more)


async def bury(storage, graves, *records):
    for one in records:
        await storage.commit(HOST_SCOPE, one.ops())
        graves.buried(one)
    await graves.close()


async def rows(storage):
    return [len(await storage.scan(HOST_SCOPE, table)) for table in (DESTROYED_TABLE, BY_TIME, BY_NAME, BY_KEY)]


async def test_they_are_found_by_id_name_and_key_from_new_to_old(storage, time):
    graves = DestroyedRecords(storage)
    await graves.open()
    await bury(storage, graves, record(1), record(2, "other"), record(3), record(4, None), record(5, name="elsewhere"), record(6, "k/x"))
    assert (await graves.find("id3")).key == "k"
    assert await graves.find("id7") is None

    async def created(found):
        return [one.create_ts for one in await found]

    assert await created(graves.of_name("n", "thing", None, 100)) == [6, 4, 3, 2, 1]
    assert await created(graves.of_name("n", "thing", 4, 2)) == [3, 2]
    assert await created(graves.of_key("n", "thing", "k", None, 100)) == [3, 1]
    assert await created(graves.of_key("n", "thing", "k", 3, 100)) == [1]
    assert await created(graves.of_key("m", "thing", "k", None, 100)) == []
    assert await created(graves.of_name("n", "thing", -5, 9)) == []
    assert await created(graves.of_name("n", "thing", 10**30, 1)) == [6]


async def test_what_is_too_old_goes_when_the_host_opens_and_with_a_later_destroy(storage, time):
    graves = DestroyedRecords(storage)
    await graves.open()
    await bury(storage, graves, record(1), record(2, destroy_ts=NOW + KEPT_MS // 2))
    time[0] += KEPT_MS
    await DestroyedRecords(storage).open()
    assert (await graves.find("id1")).create_ts == 1
    time[0] += 1
    await DestroyedRecords(storage).open()
    assert await graves.find("id1") is None
    assert await rows(storage) == [1, 1, 1, 1]
    time[0] += KEPT_MS
    await bury(storage, graves, record(3, None, destroy_ts=time[0]))
    assert await rows(storage) == [1, 1, 1, 0]


async def test_there_are_so_many_and_so_much_and_the_newest_stay(storage, time, monkeypatch):
    monkeypatch.setattr(destroyed, "KEPT", 10)
    monkeypatch.setattr(destroyed, "SLACK", 5)
    monkeypatch.setattr(destroyed, "BATCH", 4)
    graves = DestroyedRecords(storage)
    await graves.open()
    for number in range(60):
        await bury(storage, graves, record(number, destroy_ts=NOW + number))
        assert (await rows(storage))[0] <= 15
    assert [one.create_ts for one in await graves.of_name("n", "thing", None, 10)] == list(range(59, 49, -1))
    await DestroyedRecords(storage).open()
    assert await rows(storage) == [10] * 4
    monkeypatch.setattr(destroyed, "KEPT_BYTES", 20_000)
    await bury(storage, graves, record(100, name="x" * 18_000, destroy_ts=NOW + 100))
    assert 1 <= (await rows(storage))[0] <= 4


async def test_records_of_an_older_release_are_indexed_once(storage, time):
    columns = [name for name in ActorRecord.__slots__ if name != "ending"]

    def old(one):
        return Put(DESTROYED_TABLE, one.actor_id.encode(), cbor2.dumps([getattr(one, name) for name in columns]))

    same = [ActorRecord(f"same{number}", "n", "thing", "k", "p", 7, destroy_ts=NOW) for number in range(3)]
    await storage.commit(HOST_SCOPE, [old(record(1)), old(record(2, None)), old(record(3, destroy_ts=1)), *map(old, same)])
    graves = DestroyedRecords(storage)
    await graves.open()
    assert await rows(storage) == [5, 5, 5, 4]
    seen, before = [], None
    while page := await graves.of_name("n", "thing", before, 1):
        seen.append(page[0].actor_id)
        before = page[-1].create_ts
    assert seen == ["same2", "same1", "same0", "id2", "id1"]
    await storage.commit(HOST_SCOPE, [old(record(9))])
    await DestroyedRecords(storage).open()
    assert await rows(storage) == [6, 5, 5, 4]


async def test_a_storage_that_fails_costs_no_destroy(time, monkeypatch):
    monkeypatch.setattr(destroyed, "KEPT", 1)
    monkeypatch.setattr(destroyed, "SLACK", 0)
    storage = MemoryStorage()
    await storage.open()
    graves = DestroyedRecords(storage)
    await graves.open()
    scan, storage.scan = storage.scan, None
    await bury(storage, graves, record(1), record(2), record(3))
    storage.scan = scan
    await bury(storage, graves, record(4))
    assert (await rows(storage))[0] == 1


async def test_a_live_record_has_no_grave_and_a_buried_one_no_life(storage, time):
    one = record(1, destroy_ts=None)
    await storage.commit(HOST_SCOPE, one.ops())
    assert await rows(storage) == [0] * 4
    one.destroy_ts = NOW
    await storage.commit(HOST_SCOPE, one.ops())
    await storage.commit(HOST_SCOPE, one.ops())
    assert (await rows(storage), await storage.scan(HOST_SCOPE, LIVE_TABLE), await load_live(storage)) == ([1] * 4, [], [])
