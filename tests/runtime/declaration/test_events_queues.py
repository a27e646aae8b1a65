"""Declared events and queues."""

import dataclasses

import pytest

from runtime.declaration.events import Event, EventSpec
from runtime.declaration.queues import Queue, QueueSpec


class Door:
    def __call__(self, c):
        return c == "friend"


def test_an_event_without_anything_checks_nothing():
    assert EventSpec.of(Event()) == EventSpec(None, None)


def test_an_event_with_everything():
    spec = EventSpec.of(Event(schema=int, can_subscribe=lambda c, *_: c))
    assert spec.payload.check("1") == 1
    assert spec.can_subscribe("c") == "c"


def test_a_queue_without_anything_checks_nothing():
    assert QueueSpec.of(Queue()) == QueueSpec(None, None, None)


def test_a_queue_with_everything():
    spec = QueueSpec.of(Queue(schema=int, completion=list[int], can_publish=Door()))
    assert spec.body.check("1") == 1
    assert spec.completion.check(["2"]) == [2]
    assert spec.can_publish("friend")
    assert not spec.can_publish.is_async


@pytest.mark.parametrize("declared", [Event(), Queue()])
def test_declarations_do_not_change(declared):
    with pytest.raises(dataclasses.FrozenInstanceError):
        declared.schema = int
