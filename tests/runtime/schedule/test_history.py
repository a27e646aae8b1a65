import pytest

from runtime.actor.schedule import history as history_module
from runtime.actor.schedule.history import ScheduleHistory
from runtime.actor.schedule.records import Schedule
from runtime.errors import make_error, to_wire
from tests.runtime.parts import Owner, StorageFailure


def job(name="tick", keep=100):
    return Schedule(name, "act", [], 0, None, None, keep)


def build(batches=()):
    owner = Owner(batches=list(batches))
    history = ScheduleHistory(owner)
    history.load(owner.loaded())
    return history, owner


async def test_newest_first_and_per_name():
    history, _ = build()
    for at in (1, 2, 3):
        await history.finished(await history.started(job(), at, at + 1), None)
        await history.skipped(job("other"), at, at)
    assert [fire["scheduledAt"] for fire in history.of("tick", 2)] == [3, 2]
    assert {fire["result"] for fire in history.of("other", 9)} == {"skipped"}


async def test_an_end_that_could_not_be_written_is_written_with_the_next_fire():
    history, owner = build()
    fire, other = await history.started(job(), 1, 1), await history.started(job("other"), 1, 1)
    owner.failing = 2
    await history.finished(fire, None)
    await history.finished(other, None)
    assert [level for level, _, _ in owner.log.records] == ["error", "error"]
    await owner.commit(history.clear("other").ops)
    await history.skipped(job("third"), 2, 2)
    following, _ = build(owner.batches)
    assert (following.of("tick", 9), following.of("other", 9)) == (history.of("tick", 9), [])


async def test_a_repair_that_fails_is_noted_and_done_by_the_next_start():
    history, owner = build()
    await history.started(job(), 1, 1)
    following = ScheduleHistory(owner)
    owner.failing = 1
    following.load(owner.loaded())
    await owner.work.drained()
    assert (following.of("tick", 9)[0]["result"], [event for _, event, _ in owner.log.records]) == (
        "error", ["interrupted fires cannot be recorded"],
    )  # fmt: skip


async def test_an_interrupted_fire_is_repaired_by_the_next_generation():
    history, owner = build()
    await history.started(job(), 1, 1)
    following, owner = build(owner.batches)
    await owner.work.drained()
    [fire] = following.of("tick", 9)
    assert (fire["result"], fire["error"]["code"]) == ("error", "interrupted")
    again, _ = build(owner.batches)
    assert again.of("tick", 9) == [fire]


@pytest.mark.parametrize(("keep", "left"), [(0, []), (2, [5, 4])])
async def test_how_many_are_kept(keep, left):
    history, owner = build()
    for at in range(1, 6):
        await history.started(job(keep=keep), at, at)
    assert [fire["scheduledAt"] for fire in history.of("tick", 9)] == left
    assert len(owner.rows) == len(left)


async def test_the_oldest_of_all_go_beyond_the_overall_limit(monkeypatch):
    monkeypatch.setattr(history_module, "MAX_ROWS", 3)
    history, owner = build()
    for name in ("a", "b", "c", "d"):
        await history.started(job(name), 1, 1)
    assert history.of("a", 9) == []
    assert len(owner.rows) == 3


async def test_what_was_forgotten_meanwhile_is_not_written_again():
    history, owner = build()
    fire = await history.started(job(), 1, 1)
    await owner.commit(history.clear("tick").ops)
    await history.finished(fire, to_wire(make_error("actor.aborted")))
    assert owner.rows == {}


async def test_what_could_not_be_written_is_as_it_was():
    history, owner = build()
    for at in (1, 2):
        await history.started(job(keep=2), at, at)
    owner.failing = 1
    with pytest.raises(StorageFailure):
        await history.started(job(keep=2), 3, 3)
    assert [fire["scheduledAt"] for fire in history.of("tick", 9)] == [2, 1]
    gone = history.clear("tick")
    assert history.of("tick", 9) == []
    history.restore(gone)
    assert [fire["scheduledAt"] for fire in history.of("tick", 9)] == [2, 1]
