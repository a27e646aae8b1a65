import asyncio
import sqlite3

import pytest

from runtime.hosting.standalone.write_behind import RETRY_LONGEST, WriteBehind
from runtime.storage.base import HOST_SCOPE, Put
from tests.runtime.failing_storage import FailingStorage
from tests.runtime.hosting.virtual import run_virtual


class Counter:
    def __init__(self, name):
        self.name = name
        self.value = 0

    def ops(self):
        if self.value is None:
            raise ValueError("no form of it")
        return [Put("counters", self.name, b"%d" % self.value)]


@pytest.fixture
async def storage():
    storage = FailingStorage()
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
    assert len(storage.seen) <= 2


async def test_a_row_is_encoded_with_its_latest_value(storage):
    writer, row = WriteBehind(storage), Counter(b"a")
    for number in range(10):
        row.value = number
        writer.mark(row)
    await writer.close()
    assert await storage.get(HOST_SCOPE, "counters", b"a") == b"9"
    assert len(storage.seen) == 1


async def test_a_failed_write_reaches_the_waiter_and_is_repeated(storage):
    writer, row = WriteBehind(storage), Counter(b"a")
    row.value = 1
    storage.fail_next()
    with pytest.raises(OSError, match="disk full"):
        await writer.save(row)
    await writer.close()
    assert await storage.get(HOST_SCOPE, "counters", b"a") == b"1"


async def test_a_forgotten_row_is_not_written(storage):
    writer, row, other = WriteBehind(storage), Counter(b"a"), Counter(b"b")
    storage.fail_next()
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


async def stored(storage):
    return dict(await storage.scan(HOST_SCOPE, "counters"))


async def test_a_row_that_cannot_be_encoded_keeps_no_other_from_being_written(storage):
    """The row itself comes back with its next change."""
    writer, bad, good = WriteBehind(storage), Counter(b"bad"), Counter(b"good")
    bad.value = None
    outcomes = await asyncio.gather(writer.save(bad), writer.save(good), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, type(None)]
    for value in (1, 2):
        good.value = value
        await writer.save(good)
    bad.value = 5
    await writer.save(bad)
    assert await stored(storage) == {b"good": b"2", b"bad": b"5"}


@pytest.mark.parametrize("error", [OSError("disk full"), TypeError("no bytes"), sqlite3.DataError("too big")])
async def test_a_row_that_the_storage_refuses_keeps_no_other_from_being_written(storage, error):
    writer, rows = WriteBehind(storage), [Counter(b"%d" % number) for number in range(30)]
    storage.fails = lambda commit: error if any(op.key == b"17" for op in commit.ops) else False
    outcomes = await asyncio.gather(*(writer.save(row) for row in rows), return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is not None] == [error]
    assert await stored(storage) == {row.name: b"0" for row in rows if row.name != b"17"}
    await writer.close()


async def test_a_storage_that_refuses_everything_is_not_asked_for_every_row(storage):
    writer, rows = WriteBehind(storage), [Counter(b"%d" % number) for number in range(1000)]
    storage.fails = lambda commit: True
    outcomes = await asyncio.gather(*(writer.save(row) for row in rows), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {OSError}
    assert len(storage.seen) < 20
    storage.heal()
    await writer.close()
    assert len(await stored(storage)) == 1000


@pytest.mark.parametrize("seconds", [0.05, 60.0])
def test_what_was_refused_is_tried_again_by_itself(seconds):
    """Slower each time, and a row that is never changed again is written all the same."""

    async def scenario():
        storage = FailingStorage(lambda commit: True)
        await storage.open()
        writer, row = WriteBehind(storage), Counter(b"a")
        writer.mark(row)
        await asyncio.sleep(seconds)
        attempts = len(storage.seen)
        storage.heal()
        await asyncio.sleep(RETRY_LONGEST)
        assert await stored(storage) == {b"a": b"0"}
        written = len(storage.seen)
        await asyncio.sleep(1000)
        assert (len(storage.seen), attempts < 20) == (written, True)

    run_virtual(scenario())


def test_a_row_that_no_disk_will_ever_take_is_not_tried_again():
    async def scenario():
        storage = FailingStorage(lambda commit: TypeError("no bytes"))
        await storage.open()
        writer = WriteBehind(storage)
        writer.mark(Counter(b"a"))
        await asyncio.sleep(1000)
        assert len(storage.seen) == 1

    run_virtual(scenario())


async def test_a_row_that_changed_while_its_write_failed_is_written_with_its_new_value(storage):
    writer, row = WriteBehind(storage), Counter(b"a")
    storage.held = asyncio.Event()
    storage.fail_next()
    first = asyncio.ensure_future(writer.save(row))
    await asyncio.sleep(0.001)
    row.value = 1
    second = asyncio.ensure_future(writer.save(row))
    storage.held.set()
    assert [type(outcome) for outcome in await asyncio.gather(first, second, return_exceptions=True)] == [OSError, type(None)]
    assert await stored(storage) == {b"a": b"1"}


async def test_a_closed_one_tries_nothing_again_and_holds_nobody_up(storage):
    writer, row = WriteBehind(storage), Counter(b"a")
    storage.fails = lambda commit: True
    writer.mark(row)
    await writer.close()
    with pytest.raises(OSError, match="disk full"):
        await writer.save(row)
    seen = len(storage.seen)
    await asyncio.sleep(0.11)  # longer than the first of the retries
    assert len(storage.seen) == seen
