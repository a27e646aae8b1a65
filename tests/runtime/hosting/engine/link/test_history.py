"""Which events are sent again, and until when (ENGINE-090 to ENGINE-093)."""

from __future__ import annotations

import pytest

from runtime.hosting.engine.link.history import PORTION, History
from runtime.hosting.engine.protocol.lives import AlarmEvent, Checkpoint, Running, StateEvent, StopCode, Stopped

LIFE = ("a", 1)
RUNNING = StateEvent(Running())
STOPPED = StateEvent(Stopped(StopCode.OK))


@pytest.fixture
def history():
    return History()


def again(history):
    return [event for message in history.again() for event in message.events]


def test_events_of_each_generation_are_numbered_from_zero(history):
    places = [history.add(life, RUNNING, 0.0).checkpoint for life in (LIFE, ("a", 2), LIFE)]
    assert places == [Checkpoint("a", 1, 0), Checkpoint("a", 2, 0), Checkpoint("a", 1, 1)]


def test_all_are_sent_again_the_final_one_too(history):
    sent = [history.add(LIFE, inner, 0.0) for inner in (RUNNING, AlarmEvent(1), STOPPED)]
    assert again(history) == sent
    assert again(history) == sent


def test_long_histories_go_in_several_messages(history):
    for _ in range(PORTION + 1):
        history.add(LIFE, RUNNING, 0.0)
    assert [len(message.events) for message in history.again()] == [PORTION, 1]


def test_what_the_engine_stored_is_not_sent_again_and_numbers_go_on(history):
    for _ in range(3):
        history.add(LIFE, AlarmEvent(None), 0.0)
    history.acknowledged([Checkpoint("a", 1, 1), Checkpoint("b", 1, 7)])
    assert [event.checkpoint.index for event in again(history)] == [2]
    history.acknowledged([Checkpoint("a", 1, 2)])
    assert again(history) == []
    assert history.add(LIFE, RUNNING, 0.0).checkpoint.index == 3


def test_an_acknowledged_end_is_the_end(history):
    history.add(LIFE, STOPPED, 0.0)
    assert not history.living
    history.acknowledged([Checkpoint("a", 1, 0)])
    assert len(history) == len(history._lives) == len(history._generations) == 0


def test_a_later_generation_drops_ended_ones_only(history):
    history.add(("a", 1), STOPPED, 0.0)
    history.add(("a", 2), RUNNING, 0.0)
    history.add(("b", 1), STOPPED, 0.0)
    history.begun(("a", 3))
    assert [event.checkpoint.life for event in again(history)] == [("a", 2), ("b", 1)]


def test_an_end_is_dropped_when_it_is_old(history):
    history.add(("a", 1), STOPPED, 10.0)
    history.add(("b", 1), STOPPED, 20.0)
    history.add(("c", 1), RUNNING, 0.0)
    history.sweep(15.0)
    assert [event.checkpoint.actor_id for event in again(history)] == ["b", "c"]
    history.sweep(99.0)
    assert [event.checkpoint.actor_id for event in again(history)] == ["c"]


def test_a_generation_lives_from_its_start_to_its_end(history):
    assert not history.living
    history.begun(LIFE)
    assert history.living
    history.add(LIFE, STOPPED, 0.0)
    assert not history.living


def test_the_newest_generation_is_known(history):
    history.begun(("a", 2))
    assert history.is_newest(("a", 2))
    assert not history.is_newest(("a", 1))
    assert history.is_newest(("b", 1))
