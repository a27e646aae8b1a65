"""The `/connect` protocol on one socket, without an actor."""

from __future__ import annotations

import asyncio
import json

import pytest

from runtime.actor.connections import client_protocol
from runtime.actor.connections.client_protocol import ClientConnection
from runtime.actor.connections.connection import Conn
from runtime.actor.connections.events import EventFrames
from runtime.declaration.actor import Actor
from runtime.declaration.events import Event
from runtime.errors import make_error
from runtime.protocol.connection_frames import decode_to_client, encode_to_server
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import ActionRequest, SubscriptionRequest
from tests.runtime.connections.fakes import Owner, Plain, Socket, Table, settle


class Guarded(Actor):
    """One event for those whom the test admits."""

    events = {"secret": Event(can_subscribe=lambda c: answers.pop(0))}


answers = []


class Client:
    """A connection with its neighbours, and what the client would send and see."""

    def __init__(self, actor=Plain, watermark=0):
        self.owner = Owner(actor)
        self.table = Table(self.owner)
        self.socket = Socket()
        self.conn = Conn(self.table, "c1", hibernatable=True)
        self.link = self.conn.link = ClientConnection(self.owner, self.table, self.conn, self.socket, Encoding.JSON, watermark)
        self.index = watermark

    def send(self, message):
        self.index += 1
        self.link.on_message(self.index, encode_to_server(message, Encoding.JSON))

    @property
    def got(self):
        return [decode_to_client(frame, Encoding.JSON) for frame in self.socket.sent]


async def test_it_attaches_with_what_was_settled():
    client = Client(watermark=7)
    client.link.open()
    assert (client.socket.sink, client.socket.hibernatable, client.socket.watermark) == (client.link, True, 7)
    client.link.send_init()
    assert (client.got[0].actor_id, client.got[0].connection_id) == ("actor1", "c1")


async def test_an_action_is_answered_and_settled():
    client = Client()
    client.send(ActionRequest(5, "double", [2]))
    ((name, args, reply),) = client.owner.started
    assert (name, args, client.link.watermark.value) == ("double", [2], 0)
    reply.set_result(4)
    await settle()
    assert [(answer.id, answer.output) for answer in client.got] == [(5, 4)]
    assert client.link.watermark.value == 1


async def test_a_client_with_enough_under_way_is_not_read(monkeypatch):
    monkeypatch.setattr(client_protocol, "MAX_UNDER_WAY", 2)
    client = Client()
    for number, held in ((1, False), (2, True), (3, True)):
        client.send(ActionRequest(number, "double", [2]))
        assert client.socket.held is held
    for (_, _, reply), held in zip(client.owner.started, (True, False, False), strict=True):
        reply.set_result(4)
        await settle()
        assert client.socket.held is held


async def test_an_action_that_fails_or_cannot_begin_names_the_actor():
    client = Client()
    client.send(ActionRequest(1, "fails", []))
    client.owner.started[0][2].set_exception(make_error("auth.forbidden"))
    await settle()

    def full(*_):
        raise make_error("actor.stopping")

    client.owner.actions.start_action = full
    client.send(ActionRequest(2, "refused", []))
    assert [(answer.action_id, answer.error.code, answer.error.actor.actor_id) for answer in client.got] == [
        (1, "forbidden", "actor1"), (2, "stopping", "actor1"),
    ]  # fmt: skip
    assert client.link.watermark.value == 2


async def test_a_response_over_the_limit_is_an_error_of_the_action():
    client = Client()
    client.send(ActionRequest(1, "long", []))
    client.owner.started[0][2].set_result("x" * 2000)
    await settle()
    assert (client.got[0].error.code, client.socket.closed) == ("outgoing_too_long", False)


async def test_while_deferring_an_action_is_left_to_the_next_generation():
    client = Client()
    client.send(ActionRequest(1, "running", []))
    client.table.deferring = True
    client.send(ActionRequest(2, "late", []))
    client.owner.started[0][2].set_exception(make_error("actor.stopping"))
    await settle()
    assert (len(client.owner.started), client.got, client.link.watermark.value) == (1, [], 0)


@pytest.mark.parametrize(
    ("frame", "close"),
    [
        ("x" * 1001, (1011, "message.incoming_too_long")),
        ("no json", (1011, "actor.invalid_request")),
        (b"", (1011, "actor.invalid_request")),
    ],
)
async def test_a_frame_that_cannot_be_handled_ends_the_connection(frame, close):
    client = Client()
    client.link.on_message(1, frame)
    assert (client.socket.closes, client.table.happened) == ([close], ["leave_and_disconnect"])


async def test_numbers_decide_what_is_handled():
    client = Client(watermark=3)
    frame = encode_to_server(SubscriptionRequest("news", True), Encoding.JSON)
    client.link.on_message(3, frame)
    assert client.conn.subscriptions == set()
    client.table.frozen = True
    client.link.on_message(4, frame)
    assert client.conn.subscriptions == set()
    client.table.frozen = False
    client.link.on_message(5, frame)
    assert client.socket.closes == [(1008, "ws.message_index_skip")]


async def test_subscriptions_take_effect_at_once():
    client = Client()
    client.send(SubscriptionRequest("news", True))
    assert client.conn.subscriptions == {"news"}
    client.send(SubscriptionRequest("news", False))
    client.send(SubscriptionRequest("never", False))
    assert (client.conn.subscriptions, client.link.watermark.value) == (set(), 3)


async def test_frames_wait_for_the_guard():
    client = Client(Guarded)
    asked = asyncio.get_running_loop().create_future()
    answers[:] = [asked]
    client.send(SubscriptionRequest("secret", True))
    client.send(ActionRequest(1, "after", []))
    await settle()
    assert (client.owner.started, client.conn.subscriptions) == ([], set())
    assert client.socket.held
    asked.set_result(True)
    await asyncio.sleep(0.01)
    assert not client.socket.held
    assert ([name for name, _, _ in client.owner.started], client.conn.subscriptions) == (["after"], {"secret"})


@pytest.mark.parametrize(("answer", "reason"), [(False, "auth.forbidden"), ("yes", "rivetkit.internal_error")])
async def test_a_guard_that_does_not_admit_ends_the_connection(answer, reason):
    client = Client(Guarded)
    answers[:] = [answer]
    client.send(SubscriptionRequest("secret", True))
    await asyncio.sleep(0.01)
    assert (client.socket.closes, client.conn.subscriptions) == ([(1011, reason)], set())


async def test_an_ended_connection_gets_nothing_more():
    client = Client()
    client.send(ActionRequest(1, "late", []))
    client.conn.removed = True
    client.owner.started[0][2].set_result(1)
    await settle()
    client.link.send_events(EventFrames("news", [], 1000))
    assert client.socket.sent == []


async def test_an_event_over_the_limit_ends_the_connection():
    client = Client()
    client.link.send_events(EventFrames("news", [1], 1000))
    assert json.loads(client.socket.sent[0])
    client.link.send_events(EventFrames("news", ["x" * 2000], 1000))
    assert client.socket.closes == [(1011, "message.outgoing_too_long")]


async def test_closes_of_either_side_end_the_connection():
    client = Client()
    client.link.disconnect("out")
    client.link.on_close(1000, "")
    assert (client.socket.closes, client.table.happened) == ([(1000, "out")], ["leave_and_disconnect"] * 2)
