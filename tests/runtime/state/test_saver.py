"""The saver by itself. What becomes durable when, as actors see it, is in tests/runtime/actor/test_saving.py."""

import asyncio

import pytest

from runtime.actor.state.saving import StateSaver
from runtime.storage.base import Put
from tests.runtime.parts import Owner, StorageFailure, virtual


class Source:
    def __init__(self, name):
        self.name, self.dirty, self.outcomes = name, False, []

    @property
    def unsaved(self):
        return bool(self.dirty)

    def collect(self):
        if isinstance(self.dirty, Exception):
            raise self.dirty
        dirty, self.dirty = self.dirty, False
        return [Put("t", self.name, b"")] if dirty else []

    def settled(self, ok):
        self.outcomes.append(ok)


def build():
    owner = Owner()
    saver = StateSaver(owner)
    sources = [Source(b"a"), Source(b"b")]
    for source in sources:
        saver.add_source(source)
    return saver, owner, *sources


@virtual
async def test_requests_are_throttled_and_one_batch_holds_all_sources():
    saver, owner, a, b = build()
    a.dirty = b.dirty = True
    saver.request()
    saver.request()
    await asyncio.sleep(0.9)
    assert owner.batches == []
    await asyncio.sleep(0.2)
    assert [[op.key for op in batch] for batch in owner.batches] == [[b"a", b"b"]]
    assert (a.outcomes, b.outcomes) == ([True], [True])


@virtual
async def test_the_earliest_request_counts():
    saver, owner, a, _ = build()
    a.dirty = True
    saver.request(0.1)
    saver.request(0.5)
    await asyncio.sleep(0.2)
    assert len(owner.batches) == 1


@virtual
async def test_who_comes_during_a_save_waits_for_the_next():
    saver, owner, a, _ = build()
    owner.held = asyncio.Event()
    a.dirty = True
    first = asyncio.create_task(saver.save_now())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    a.dirty = True
    second = asyncio.create_task(saver.save_now(lambda: [Put("t", b"extra", b"")]))
    await asyncio.sleep(0)
    owner.held.set()
    await asyncio.gather(first, second)
    assert [[op.key for op in batch] for batch in owner.batches] == [[b"a"], [b"a", b"extra"]]


@virtual
async def test_a_failed_save_is_told_to_all_and_tried_again_at_once():
    saver, owner, a, b = build()
    owner.failing = 1
    a.dirty = True
    with pytest.raises(StorageFailure):
        await saver.save_now()
    assert (a.outcomes, b.outcomes) == ([False], [False])
    a.dirty = True
    await asyncio.sleep(0.01)
    assert len(owner.batches) == 1


@virtual
async def test_a_source_that_cannot_be_serialized_keeps_no_other_from_being_written():
    saver, owner, a, b = build()
    a.dirty, b.dirty = TypeError("not storable"), True
    with pytest.raises(TypeError):
        await saver.save_now(lambda: [Put("t", b"extra", b"")])
    # Not what the caller brought along: it belongs to a save that is whole.
    assert [[op.key for op in batch] for batch in owner.batches] == [[b"b"]]
    assert (a.outcomes, b.outcomes) == ([False], [True])


@virtual
async def test_after_the_timer_is_stopped_only_explicit_saves_happen():
    saver, owner, a, _ = build()
    saver.request()
    saver.stop_timer()
    saver.request(0)
    a.dirty = True
    await asyncio.sleep(5)
    assert owner.batches == []
    await saver.save_now()
    await saver.idle()
    assert len(owner.batches) == 1


def refuse(owner, key):
    """Storage takes no batch with that row."""
    commit = owner.commit

    async def refusing(ops):
        if any(op.key == key for op in ops):
            raise StorageFailure("too big")
        await commit(ops)

    owner.commit = refusing


@virtual
async def test_a_source_that_storage_refuses_keeps_no_other_from_being_written():
    """What callers brought along belongs to a whole save, and fails with it."""
    saver, owner, a, b = build()
    refuse(owner, b"a")
    a.dirty = b.dirty = True
    with pytest.raises(StorageFailure):
        await saver.save_now(lambda: [Put("t", b"extra", b"")])
    assert (list(owner.rows), a.outcomes, b.outcomes) == ([("t", b"b")], [False], [True])
    saver.stop_timer()


@virtual
async def test_what_a_caller_brought_along_keeps_no_source_from_being_written():
    saver, owner, a, b = build()
    refuse(owner, b"extra")
    a.dirty = b.dirty = True
    with pytest.raises(StorageFailure):
        await saver.save_now(lambda: [Put("t", b"extra", b"")])
    assert (sorted(owner.rows), a.outcomes, b.outcomes) == ([("t", b"a"), ("t", b"b")], [True], [True])
    saver.stop_timer()


@virtual
async def test_saves_in_a_transaction_are_one_and_end_with_it():
    saver, owner, a, b = build()
    parts = []
    for ok in (True, False):
        a.dirty = True
        await saver.save_with(parts.append)
        await saver.save_with(parts.append)
        b.dirty = True
        [part] = parts
        assert (a.outcomes, b.outcomes) == ([], [])
        assert [op.key for op in part.rows()] == [b"a", b"b"]
        (part.committed if ok else part.rolled_back)()
        assert (a.outcomes, b.outcomes) == ([ok], [ok])
        for source in (a, b):
            source.outcomes.clear()
        parts.clear()
    assert owner.batches == []


@virtual
async def test_a_save_in_a_transaction_comes_behind_one_that_is_being_written():
    saver, owner, a, _ = build()
    owner.held = asyncio.Event()
    a.dirty = True
    first = asyncio.create_task(saver.save_now())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    parts = []
    joining = asyncio.create_task(saver.save_with(parts.append))
    await asyncio.sleep(0.1)
    assert parts == []
    owner.held.set()
    await asyncio.gather(first, joining)
    assert a.outcomes == [True]
    assert len(parts) == 1
