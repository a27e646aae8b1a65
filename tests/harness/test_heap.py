"""What exists when tests begin is kept from the collector until they are over."""

from __future__ import annotations

import gc
import weakref

import pytest

from harness.session.heap import Heap


@pytest.fixture(autouse=True)
def session_heap():
    """The session that runs these tests has set its own aside, and there is one heap."""
    frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    yield
    gc.unfreeze()
    if frozen:
        gc.freeze()


class Knot:
    def __init__(self):
        self.self = self


def test_what_was_there_is_looked_at_again_only_when_it_is_brought_back():
    before, thresholds = gc.get_freeze_count(), gc.get_threshold()
    heap, knot = Heap(), Knot()
    there = weakref.ref(knot)
    heap.set_aside()
    try:
        later = Knot()
        made = weakref.ref(later)
        del knot, later
        gc.collect()
        assert (there() is None, made() is None) == (False, True)
        assert gc.get_freeze_count() > before
    finally:
        heap.bring_back()
    gc.collect()
    assert there() is None
    assert gc.get_threshold() == thresholds


def test_bringing_back_twice_is_bringing_back_once():
    heap, thresholds = Heap(), gc.get_threshold()
    heap.set_aside()
    heap.bring_back()
    gc.freeze()
    try:
        heap.bring_back()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
    assert gc.get_threshold() == thresholds


def test_what_a_fork_server_set_aside_stays_aside():
    knot = Knot()
    there = weakref.ref(knot)
    gc.freeze()
    del knot
    heap, thresholds = Heap(), gc.get_threshold()
    heap.set_aside()
    heap.bring_back()
    gc.collect()
    assert there() is not None
    assert gc.get_threshold() == thresholds
