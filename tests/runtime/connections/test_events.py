"""Events: who gets them, one encoding per kind of client, schemas."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runtime.actor.connections.events import EventFrames, EventHub
from runtime.declaration.actor import Actor
from runtime.declaration.definition import ActorDefinition
from runtime.declaration.events import Event
from runtime.errors import ActorError
from runtime.protocol.connection_frames import decode_to_client
from runtime.protocol.encodings import Encoding


class Link:
    def __init__(self, encoding=Encoding.JSON):
        self.encoding = encoding
        self.got = []

    def send_events(self, frames):
        self.got.append(frames.encode(self.encoding))


def subscriber(name, link=None):
    return SimpleNamespace(id=name, link=link or Link(), removed=False, subscriptions=set())


def hub(limit=1000):
    class Declared(Actor):
        events = {"count": Event(schema=int), "pair": Event(schema=tuple[int, int])}

    return EventHub(ActorDefinition.of(Declared).events, limit)


def payloads(one):
    return [(event.name, event.args) for event in (decode_to_client(frame, one.link.encoding) for frame in one.link.got)]


def test_a_broadcast_reaches_its_subscribers_only():
    events, one, other = hub(), subscriber("1"), subscriber("2")
    assert events.subscribe(one, "news")
    assert not events.subscribe(one, "news")
    events.subscribe(other, "olds")
    events.broadcast("news", [1, "a"])
    assert (payloads(one), payloads(other)) == ([("news", [1, "a"])], [])
    assert events.unsubscribe(one, "news")
    assert not events.unsubscribe(one, "news")
    events.broadcast("news", [])
    assert len(one.link.got) == 1


def test_an_ended_connection_is_forgotten():
    events, one = hub(), subscriber("1")
    for name in ("a", "b"):
        events.subscribe(one, name)
    events.clear(one)
    assert one.subscriptions == set()
    events.broadcast("a", [])
    assert one.link.got == []


def test_a_directed_event_needs_no_subscription_but_a_link():
    events, one, linkless = hub(), subscriber("1"), subscriber("2")
    linkless.link = None
    events.send(one, "news", [])
    events.send(linkless, "news", [])
    assert payloads(one) == [("news", [])]


def test_a_subscriber_may_leave_during_the_delivery():
    events, one, other = hub(), subscriber("1"), subscriber("2")
    for each in (one, other):
        events.subscribe(each, "news")
    one.link.send_events = lambda frames: events.clear(one)
    events.broadcast("news", [])
    assert payloads(other) == [("news", [])]


def test_nobody_gets_what_cannot_be_encoded_for_one():
    events, one, other = hub(), subscriber("1", Link(Encoding.CBOR)), subscriber("2")
    for each in (one, other):
        events.subscribe(each, "news")
    with pytest.raises((ValueError, TypeError)):
        events.broadcast("news", [object()])
    assert (one.link.got, other.link.got) == ([], [])


def test_schemas_see_one_value_or_a_list():
    events, one = hub(), subscriber("1")
    events.send(one, "count", ["5"])
    events.send(one, "pair", [1, "2"])
    assert payloads(one) == [("count", [5]), ("pair", [1, 2])]
    for name, args in (("count", ["x"]), ("count", []), ("pair", [1])):
        with pytest.raises(ActorError, match=f"Invalid event `{name}` payload"):
            events.broadcast(name, args)


def test_frames_are_made_once_and_none_over_the_limit():
    frames = EventFrames("news", ["x" * 50], 60)
    assert frames.encode(Encoding.JSON) is None
    small = EventFrames("n", [], 1000)
    assert small.encode(Encoding.BARE) is small.encode(Encoding.BARE)
