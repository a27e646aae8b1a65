"""The actor's end of a raw socket, without an actor."""

from __future__ import annotations

import asyncio
import json

import pytest

from runtime.actor.connections.connection import Conn
from runtime.actor.connections.raw import link as link_module
from runtime.actor.connections.raw.close_ack import CloseInitiator, CloseOutcome
from runtime.actor.connections.raw.link import PROBE, RawLink
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.declaration.actor import Actor
from tests.runtime.connections.fakes import RAW, Owner, Plain, Socket, Table, settle


class Handled(Actor):
    """Lets the test see the socket, and ends when the test says."""

    async def on_web_socket(self, c, socket):
        self.socket = socket
        self.ended = asyncio.get_running_loop().create_future()
        await self.ended


class Raw:
    """A raw socket with its neighbours. `events` is what its listeners got."""

    def __init__(self, actor=Plain, *, hibernatable=False, listen=True, watermark=0, probed=False):
        self.owner = Owner(actor)
        self.owner.answers_probes = probed
        self.table = Table(self.owner)
        self.socket = Socket(RAW)
        self.conn = Conn(self.table, "c1", hibernatable=hibernatable)
        self.link = self.conn.link = RawLink(self.owner, self.table, self.conn, self.socket, watermark)
        self.events = []
        if listen:
            for kind in ("message", "close", "error"):
                self.link.api.on(kind, lambda event: self.events.append((event.type, getattr(event, "data", None))))
        self.link.open()


async def test_without_a_handler_messages_are_delivered_at_once():
    raw = Raw()
    raw.link.on_message(1, "a")
    raw.link.on_message(2, b"b")
    assert (raw.socket.sink, raw.events) == (raw.link, [("message", "a"), ("message", b"b")])


@pytest.mark.parametrize("release", ["listener", "end"])
async def test_messages_wait_for_the_handler_or_its_listener(release):
    raw = Raw(Handled, listen=False)
    await settle()
    actor = raw.owner.definition.instance
    raw.link.on_message(1, "a")
    got = []
    if release == "listener":
        actor.socket.on("message", got.append)
        assert got == []
    else:
        actor.socket._listeners["message"].append(got.append)
        actor.ended.set_result(None)
    await settle()
    assert [event.data for event in got] == ["a"]


async def test_a_handler_that_fails_closes_the_socket():
    raw = Raw(Handled)
    await settle()
    raw.owner.definition.instance.ended.set_exception(ValueError("no"))
    await settle()
    assert raw.socket.closes == [(1011, "rivetkit.internal_error")]
    assert (raw.events, raw.table.acks[0].initiator) == ([("close", None)], CloseInitiator.ERROR)


async def test_only_the_first_end_counts():
    raw = Raw()
    raw.link.api.close(4001, "bye")
    raw.link.disconnect("out")
    raw.link.on_message(1, "late")
    raw.link.api.send("late")
    await settle()
    assert (raw.socket.closes, raw.socket.sent, raw.events) == ([(4001, "bye")], [], [("close", None)])
    assert [(ack.initiator, ack.outcome) for ack in raw.table.acks] == [(CloseInitiator.ACTOR, CloseOutcome.SETTLED)]
    assert raw.table.happened == ["leave"]


async def test_a_broken_transport_is_an_error_first():
    raw = Raw()
    raw.link.on_close(1011, "ws.downstream_closed")
    await settle()
    assert [kind for kind, _ in raw.events] == ["error", "close"]


async def test_a_listener_that_fails_or_lasts_disturbs_nobody():
    raw, going = Raw(), asyncio.get_running_loop().create_future()

    async def lasting(event):
        await going

    raw.link.api.off("message", raw.link.api.listeners("message")[0])
    raw.link.api.on("message", lambda event: 1 // 0)
    raw.link.api.on("message", lasting)
    raw.link.on_message(1, "a")
    assert raw.owner.work.count(WorkKind.WEBSOCKET_CALLBACK) == 1
    going.set_exception(ValueError("no"))
    await settle()
    assert (raw.owner.work.count(WorkKind.WEBSOCKET_CALLBACK), raw.socket.closes) == (0, [])


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), asyncio.CancelledError()], ids=lambda error: type(error).__name__)
async def test_whatever_leaves_a_listener_ends_nothing_but_it(error):
    raw = Raw()

    def plain(event):
        raise error

    async def late(event):
        raise error

    for listener in (plain, late):
        raw.link.api.on("message", listener)
        raw.link.api.on("close", listener)
    raw.link.on_message(1, "a")
    await settle()
    assert (raw.events, raw.socket.closes) == ([("message", "a")], [])
    raw.link.on_close(1000, "bye")
    ack = await raw.link.wait_closed()
    assert (ack.outcome, raw.owner.work.count(WorkKind.WEBSOCKET_CALLBACK)) == ("failed", 0)


async def test_a_hibernatable_socket_minds_the_numbers_and_settles():
    raw = Raw(hibernatable=True, watermark=4)
    raw.link.on_message(4, "again")
    raw.link.on_message(5, "new")
    assert (raw.events, raw.link.watermark.value, raw.socket.watermark) == ([("message", "new")], 5, 4)
    raw.table.frozen = True
    raw.link.on_message(6, "for the next generation")
    assert raw.link.watermark.value == 5
    raw.table.frozen = False
    raw.link.on_message(8, "gap")
    assert raw.socket.closes == [(1008, "ws.message_index_skip")]


async def test_the_probe_tells_the_numbers():
    raw = Raw(hibernatable=True, probed=True)
    raw.link.on_message(1, "a")
    raw.socket.pending = [1, 2]
    raw.link.on_message(2, json.dumps({PROBE: True}, separators=(",", ":")))
    assert json.loads(raw.socket.sent[0]) == {PROBE: True, "lastSentIndex": 1, "lastAckedIndex": 0, "pendingIndexes": [1]}
    assert len(raw.events) == 1


@pytest.mark.parametrize("first", ["waits", "ends"])
async def test_the_acknowledgement_can_be_awaited_before_and_after(first):
    raw = Raw()
    waiting = asyncio.create_task(raw.link.api.closed()) if first == "waits" else None
    await settle()
    raw.link.api.close()
    ack = await (waiting or raw.link.api.closed())
    assert (ack.conn_id, ack.was_clean) == ("c1", True)


async def test_events_are_none_of_its_business():
    raw = Raw()
    raw.link.send_events(object())
    assert (raw.link.encoding, raw.socket.sent) == (None, [])


@pytest.mark.parametrize(
    ("limits", "held", "more"),
    [((3, 1000), ["a", "b", "c"], "d"), ((10, 9), ["aaaa", b"bbbb"], "é"), ((10, 4), ["longer than the limit"], "b")],
    ids=["messages", "bytes", "one long"],
)
async def test_what_is_held_for_a_handler_that_does_not_listen_is_bounded(monkeypatch, limits, held, more):
    monkeypatch.setattr(link_module, "MAX_HELD_MESSAGES", limits[0])
    monkeypatch.setattr(link_module, "MAX_HELD_BYTES", limits[1])
    raw = Raw(Handled, listen=False)
    await settle()
    for index, data in enumerate(held, 1):
        raw.link.on_message(index, data)
    assert raw.socket.closes == []
    raw.link.on_message(9, more)
    assert raw.socket.closes == [(1011, "guard.websocket_pending_limit_reached")]
    assert raw.link._held is None


async def test_a_client_whose_listeners_are_busy_is_not_read(monkeypatch):
    monkeypatch.setattr(link_module, "MAX_UNDER_WAY", 2)
    raw = Raw(listen=False)
    gates = [asyncio.get_running_loop().create_future() for _ in range(3)]
    raw.link.api.on("message", lambda event: gates[int(event.data)])
    for index, held in enumerate((False, True, True)):
        raw.link.on_message(index + 1, str(index))
        assert raw.socket.held is held
    for gate, held in zip(gates, (True, False, False), strict=True):
        gate.set_result(None)
        await settle()
        assert raw.socket.held is held


async def test_what_the_clients_end_keeps_anyway_is_bounded_there(monkeypatch):
    monkeypatch.setattr(link_module, "MAX_HELD_MESSAGES", 1)
    raw = Raw(Handled, hibernatable=True, listen=False)
    await settle()
    for index in (1, 2, 3):
        raw.link.on_message(index, "x")
    assert raw.socket.closes == []
