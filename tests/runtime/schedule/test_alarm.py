import asyncio

import pytest

from runtime.actor.schedule.alarm import Alarm
from runtime.actor.writes import Writes
from tests.runtime.parts import Owner, StorageFailure, settle


class Host:
    def __init__(self):
        self.told, self.error = [], None

    async def set_alarm(self, actor_id, generation, at_ms):
        self.told.append((actor_id, at_ms))
        if self.error is not None:
            raise self.error


def build(batches=()):
    owner = Owner(host=Host(), batches=list(batches))
    alarm = Alarm(owner, Writes(owner.log, "schedule"))
    alarm.load(owner.loaded())
    return alarm, owner


async def test_only_news_is_pushed_and_the_mark_outlives_the_generation():
    alarm, owner = build()
    await alarm.push(5000)
    await alarm.push(5000)
    assert owner.host.told == [("actor1", 5000)]
    following, owner = build(owner.batches)
    assert following.is_pushed(5000)
    await following.push(5000)
    await following.tell(5000)
    await following.push(None)
    assert owner.host.told == [("actor1", 5000), ("actor1", None)]


@pytest.mark.parametrize("where", ["host", "storage"])
async def test_after_a_failure_anything_is_news(where):
    alarm, owner = build()
    if where == "host":
        owner.host.error = ConnectionError()
    else:
        owner.failing = 1
    with pytest.raises((ConnectionError, StorageFailure)):
        await alarm.push(5000)
    owner.host.error = None
    await alarm.push(5000)
    assert owner.host.told == [("actor1", 5000)] * 2
    assert not alarm.is_pushed(None)


async def test_the_wish_of_the_run_handler_is_durable_until_it_comes():
    alarm, owner = build()
    await alarm.set_run_wake(100)
    following, owner = build(owner.batches)
    assert following.run_wake == 100
    assert following.take_run_wake(99) is None
    assert following.take_run_wake(100) == 100
    await owner.commit([following.run_wake_row(None)])
    assert following.run_wake is None
    assert build(owner.batches)[0].run_wake is None


async def test_a_cancelled_caller_leaves_memory_and_rows_agreeing():
    alarm, owner = build()
    owner.held = asyncio.Event()
    setting = asyncio.create_task(alarm.set_run_wake(100))
    await settle()
    setting.cancel()
    owner.held.set()
    await settle()
    assert build(owner.batches)[0].run_wake == alarm.run_wake == 100
