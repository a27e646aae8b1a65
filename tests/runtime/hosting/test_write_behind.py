import asyncio

import pytest

from runtime.hosting.standalone.write_behind import WriteBehind
from runtime.storage.base import HOST_SCOPE, Put
from runtime.storage.memory import MemoryStorage


class Counter:
    def __init__(self, name):
        self.name = name
        self.value = 0

    def ops(self):
        return [Put("counters", self.name, b"%d" % self.value)]


class CountingStorage(MemoryStorage):
    def __init__(self):
        super().__init__()
        self.commits = 0
        self.failures = 0

    async def commit(self, scope, ops):
        self.commits += 1
        if self.failures:
            self.failures -= 1
            raise OSError("disk full")
        await super().commit(scope, ops)


@pytest.fixture
async def storage():
    storage = CountingStorage()
    await storage.open()
    return storage


async def test_save_returns_when_the_row_is_durable(storage):
    writer, row = WriteBehind(storage), Counter(b"a")
    row.value = 7
    await writer.save(row)
    assert await storage.get(HOST_SCOPE, "counters", b"a") == b"7"


async def test_rows_changed_during_a_commit_share_the_next_one(storage):
    writer = WriteBehind(storage)
    rows = [Counter(b"%03d" % number) for number in range(100)]
    await asyncio.gather(*(writer.save(row) for row in rows))
    assert len(await storage.scan(HOST_SCOPE, "counters")) == 100
    assert storage.commits <= 2


async def test_a_row_is_encoded_with_its_latest_value(storage):
    writer, row = WriteBehind(storage), Counter(b"a")
    for number in range(10):
        row.value = number
        writer.mark(row)
    await writer.close()
    assert await storage.get(HOST_SCOPE, "counters", b"a") == b"9"
    assert storage.commits == 1


async def test_a_failed_write_reaches_the_waiter_and_is_repeated(storage):
    writer, row = WriteBehind(storage), Counter(b"a")
    row.value = 1
    storage.failures = 1
    with pytest.raises(OSError, match="disk full"):
        await writer.save(row)
    await writer.close()
    assert await storage.get(HOST_SCOPE, "counters", b"a") == b"1"


async def test_a_forgotten_row_is_not_written(storage):
    writer, row, other = WriteBehind(storage), Counter(b"a"), Counter(b"b")
    storage.failures = 1
    with pytest.raises(OSError, match="disk full"):
        await writer.save(row)
    writer.forget(row)
    await writer.save(other)
    assert [key for key, _ in await storage.scan(HOST_SCOPE, "counters")] == [b"b"]


async def test_cancelling_one_waiter_leaves_the_write_alone(storage):
    writer, row = WriteBehind(storage), Counter(b"a")
    waiter = asyncio.create_task(writer.save(row))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await writer.close()
    assert await storage.get(HOST_SCOPE, "counters", b"a") == b"0"
