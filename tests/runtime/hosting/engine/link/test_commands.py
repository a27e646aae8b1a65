"""Which commands are new (ENGINE-070 to ENGINE-075)."""

from __future__ import annotations

import pytest

from runtime.hosting.engine.link.commands import GENERATIONS, Commands
from runtime.hosting.engine.protocol.lives import ActorConfig, Checkpoint, Command, Reason, Start, Stop

START = Start(ActorConfig("actor", None, 0, None), ())


@pytest.fixture
def commands():
    return Commands()


def start(generation=1, index=1, actor_id="a"):
    return Command(Checkpoint(actor_id, generation, index), START)


def stop(reason=Reason.GOING_AWAY, generation=1, index=2, actor_id="a"):
    return Command(Checkpoint(actor_id, generation, index), Stop(reason))


def test_what_was_given_before_is_not_done_again(commands):
    assert commands.take([start(), start(actor_id="b")], 0.0) == ([start(), start(actor_id="b")], [])
    assert commands.take([start(), stop()], 0.0) == ([stop()], [])
    assert commands.take([start(), stop()], 0.0) == ([], [])


def test_the_index_of_a_generation_that_is_gone_is_remembered(commands):
    commands.take([start()], 0.0)
    commands.take([stop()], 0.0)
    commands.take([start(generation=2)], 0.0)
    assert commands.take([start(), stop(), start(generation=2)], 0.0) == ([], [])


def test_only_some_generations_are_remembered_one_by_one_and_older_ones_are_old(commands):
    for generation in range(1, 100):
        commands.take([start(generation)], 0.0)
    assert commands.take([start(1), start(50), stop(generation=50)], 0.0) == ([], [])
    assert commands.take([stop(generation=99 - GENERATIONS + 1)], 0.0)[0]
    assert commands.take([start(99)], 0.0) == ([], [])


def test_a_start_that_is_called_off_in_the_same_list_is_not_done(commands):
    assert commands.take([start(), stop(Reason.LOST)], 0.0) == ([], [])
    assert commands.take([start(2), stop(Reason.GOING_AWAY, 2)], 0.0) == ([], [("a", 2)])
    assert commands.take([start(2), stop(Reason.GOING_AWAY, 2)], 0.0) == ([], [])


def test_a_stop_of_another_generation_calls_nothing_off(commands):
    given = [start(2), stop(Reason.LOST, 1)]
    assert commands.take(given, 0.0) == (given, [])


def test_acknowledgements_are_gathered_and_given_once_with_the_highest_index(commands):
    commands.take([start()], 10.0)
    commands.take([stop(), start(actor_id="b")], 10.3)
    assert commands.acknowledge(10.4) is None
    acks = commands.acknowledge(10.5)
    assert set(acks.checkpoints) == {Checkpoint("a", 1, 2), Checkpoint("b", 1, 1)}
    assert commands.acknowledge(99.0) is None


def test_the_highest_index_is_acknowledged_whatever_comes_last(commands):
    commands.take([stop(), start()], 0.0)
    assert commands.acknowledge(1.0).checkpoints == (Checkpoint("a", 1, 2),)


def test_what_is_given_again_is_acknowledged_again(commands):
    for now in (0.0, 10.0):
        commands.take([start()], now)
        assert commands.acknowledge(now + 1).checkpoints == (Checkpoint("a", 1, 1),)
