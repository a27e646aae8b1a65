"""The receiver rule and the contiguous watermark."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.actor.connections.hibernation.watermark import Arrival, Watermark


def test_consecutive_messages_are_accepted() -> None:
    mark = Watermark()
    assert [mark.accept(index) for index in (1, 2, 3)] == [Arrival.ACCEPTED] * 3
    assert mark.last == 3


def test_a_repeated_message_is_a_duplicate_and_a_missing_one_a_gap() -> None:
    mark = Watermark(9)
    assert mark.accept(9) is Arrival.DUPLICATE
    assert mark.accept(8) is Arrival.DUPLICATE
    assert mark.accept(11) is Arrival.GAP
    assert mark.accept(10) is Arrival.ACCEPTED


def test_numbering_wraps() -> None:
    mark = Watermark(0xFFFE)
    assert mark.accept(0xFFFF) is Arrival.ACCEPTED
    assert mark.accept(0) is Arrival.ACCEPTED
    assert mark.accept(0xFFFF) is Arrival.DUPLICATE
    assert mark.settle(0xFFFF, 5)
    assert mark.settle(0, 7)
    assert (mark.value, mark.unacknowledged) == (0, 12)


def test_the_watermark_waits_for_the_oldest_unsettled_message() -> None:
    mark = Watermark()
    for index in range(1, 5):
        mark.accept(index)
    assert not mark.settle(2, 20)
    assert not mark.settle(4, 40)
    assert (mark.value, mark.unacknowledged) == (0, 0)
    assert mark.settle(1, 10)
    assert (mark.value, mark.unacknowledged) == (2, 30)
    assert mark.settle(3, 30)
    assert (mark.value, mark.unacknowledged) == (4, 100)


def test_acknowledged_bytes_do_not_count_again() -> None:
    mark = Watermark()
    mark.accept(1)
    mark.settle(1, 100)
    mark.acknowledged(100)
    assert mark.unacknowledged == 0


@given(st.integers(0, 0xFFFF), st.permutations(range(12)))
def test_the_watermark_never_decreases_and_ends_contiguous(start: int, order: list[int]) -> None:
    mark = Watermark(start)
    indexes = [(start + 1 + offset) & 0xFFFF for offset in range(12)]
    for index in indexes:
        assert mark.accept(index) is Arrival.ACCEPTED
    settled: set[int] = set()
    for offset in order:
        mark.settle(indexes[offset], 1)
        settled.add(offset)
        contiguous = next((n for n in range(12) if n not in settled), 12)
        assert mark.value == (start + contiguous) & 0xFFFF
    assert mark.unacknowledged == 12
