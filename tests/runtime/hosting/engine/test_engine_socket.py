"""The state machine of a socket whose wire is the tunnel."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from runtime.actor.connections.sockets import ActorSocket, SocketState
from runtime.errors import make_error
from runtime.gateway.room import Room
from runtime.hosting.engine.protocol.tunnel import SocketAck, SocketClose, SocketMessage, SocketOpen, SocketOpened
from runtime.hosting.engine.tunnel import engine_socket
from runtime.hosting.engine.tunnel.arrivals import upgrade_of
from runtime.hosting.engine.tunnel.engine_socket import EngineSocket
from runtime.http import Request
from tests.runtime.hosting.engine.tunnel_parts import FIRST, GATEWAY, FakeLink

OPENED = SocketOpened(can_hibernate=True)


class Home:
    def __init__(self):
        self.calls = []

    def discard(self, socket):
        self.calls.append("discard")

    def park(self, socket):
        self.calls.append("park")


class Sink:
    def __init__(self):
        self.messages, self.closed = [], []
        self.on = lambda index: None

    def on_message(self, index, data):
        self.messages.append((index, data))
        self.on(index)

    def on_close(self, code, reason):
        self.closed.append((code, reason))


class Parts:
    def __init__(self, *, kept=False, limit=1000, room=None, **headers):
        self.link, self.home, self.sink = FakeLink(limit), Home(), Sink()
        upgrade = None if kept else upgrade_of(SocketOpen("a1", "/connect?x=1", headers))
        self.socket: ActorSocket = EngineSocket((GATEWAY, FIRST), "a1", upgrade, self.link, self.home, room or Room())

    def attach(self, *, hibernatable=True, **more):
        self.socket.attach(self.sink, hibernatable=hibernatable, **more)
        return self.link.kinds()


def text(data):
    return SocketMessage(data.encode(), binary=False)


def test_what_an_upgrade_asks_for():
    parts = Parts(**{"sec-websocket-protocol": "rivet, rivet_encoding.cbor,,rivet_skip_ready_wait"})
    upgrade = parts.socket.upgrade
    assert upgrade.protocols == ("rivet", "rivet_encoding.cbor", "rivet_skip_ready_wait")
    assert (upgrade.actor_id, upgrade.skip_ready_wait, parts.socket.request.url) == ("a1", True, "http://127.0.0.1/connect?x=1")
    assert parts.socket.key == (parts.socket.gateway_id, parts.socket.request_id) == (GATEWAY, FIRST)


@pytest.mark.parametrize("hibernatable", [True, False])
def test_the_open_answer_comes_before_what_was_sent_earlier(hibernatable):
    parts = Parts()
    parts.socket.send("init")
    parts.socket.send(b"\x01")
    assert not parts.link.sent
    assert parts.attach(hibernatable=hibernatable) == [SocketOpened(hibernatable), text("init"), SocketMessage(b"\x01", binary=True)]
    parts.socket.send("later ü")
    assert parts.link.kinds() == [text("later ü")]


def test_own_messages_are_numbered_and_the_numbers_wrap():
    parts = Parts()
    parts.attach()
    parts.socket.receive(1, "x")
    parts.socket._sent = 0xFFFF
    parts.socket.send("a")
    parts.socket.acknowledge(1)
    parts.socket.send("b")
    assert [message.message_id.index for message in parts.link.sent] == [0xFFFF, 0, 1]


@pytest.mark.parametrize("end", [lambda socket: socket.close(4000, "own"), lambda socket: socket.fail(make_error("actor.destroying"))])
def test_a_close_before_the_open_answer_opens_first(end):
    parts = Parts()
    parts.socket.send("why")
    end(parts.socket)
    first, second, last = parts.link.kinds()
    assert (first, second) == (SocketOpened(can_hibernate=False), text("why"))
    assert last in (SocketClose(4000, "own"), SocketClose(1011, "actor.destroying#"))
    parts.socket.close(1000, "again")
    parts.socket.send("too late")
    parts.socket.fail(make_error("actor.destroying"))
    assert (parts.link.sent, parts.home.calls, parts.socket.closed) == ([], ["discard"], True)


def test_a_refusal_in_passing_while_it_is_opened_sends_the_client_away_to_come_back():
    parts = Parts()
    parts.socket.fail(make_error("actor.stopping"))
    assert parts.link.kinds() == [SocketOpened(can_hibernate=False), SocketClose(1000, "actor.stopped")]
    parts = Parts(**{"sec-websocket-protocol": "rivet_skip_ready_wait"})
    parts.socket.fail(make_error("actor.stopping"))
    assert parts.link.kinds()[-1] == SocketClose(1011, "actor.stopping#")
    parts = Parts()
    parts.attach()
    parts.socket.fail(make_error("actor.stopping"))
    assert (parts.link.kinds(), parts.sink.closed) == ([SocketClose(1011, "actor.stopping#")], [(1011, "actor.stopping#")])


def test_a_stranger_is_denied_without_an_open_answer():
    parts = Parts()
    parts.socket.deny(1011, "Actor not found")
    assert parts.link.kinds() == [SocketClose(1011, "Actor not found")]


def test_a_reason_fits_into_a_frame():
    parts = Parts()
    parts.socket.close(1000, "ü" * 100)
    assert parts.link.kinds()[-1] == SocketClose(1000, "ü" * 61)


def test_client_messages_wait_for_the_sink_and_come_in_order():
    parts = Parts()
    parts.socket.receive(1, "a")
    parts.socket.receive(2, b"b")
    parts.attach()
    parts.socket.receive(3, "c")
    assert parts.sink.messages == [(1, "a"), (2, b"b"), (3, "c")]
    assert parts.socket.pending_indexes() == [1, 2, 3]


def test_acknowledged_messages_are_the_gateways_to_release():
    parts = Parts(kept=True)
    parts.socket.restored(Request("GET", "http://127.0.0.1/x", {}))
    parts.attach(watermark=0xFFFD)
    for index in (0xFFFE, 0xFFFF, 0, 1):
        parts.socket.receive(index, "x")
    assert parts.socket.pending_indexes() == [0xFFFE, 0xFFFF, 0, 1]
    parts.socket.acknowledge(0)
    assert (parts.link.kinds(), parts.socket.pending_indexes()) == ([SocketAck(0)], [1])
    # Nothing more is released: nothing is said.
    parts.socket.acknowledge(0xFFFF)
    parts.socket.acknowledge(0)
    assert (parts.link.sent, parts.socket.pending_indexes()) == ([], [1])
    parts.socket.receive(0, "before")
    parts.socket.receive(3, "behind a gap")
    assert parts.socket.pending_indexes() == [1]


def test_as_many_may_wait_for_an_acknowledgement_as_a_gateway_keeps():
    parts = Parts()
    parts.attach()
    for index in range(1, 0x10000):
        parts.socket.receive(index, "")
    parts.socket.acknowledge(0xFFFE)
    assert (parts.link.kinds(), parts.socket.pending_indexes()) == ([SocketAck(0xFFFE)], [0xFFFF])


def test_nobody_keeps_messages_of_a_socket_that_cannot_hibernate():
    parts = Parts()
    parts.socket.receive(1, "a")
    parts.attach(hibernatable=False)
    parts.socket.receive(2, "b")
    parts.socket.acknowledge(1)
    assert (parts.link.sent, parts.socket.pending_indexes()) == ([], [])


def test_while_it_is_held_messages_wait_here():
    parts = Parts()
    parts.attach()
    parts.socket.hold()
    parts.socket.receive(1, "a")
    parts.socket.receive(2, "b")
    assert not parts.sink.messages
    parts.sink.on = lambda index: parts.socket.hold()
    parts.socket.resume()
    assert parts.sink.messages == [(1, "a")]
    parts.sink.on = lambda index: None
    parts.socket.receive(3, "c")
    parts.socket.resume()
    parts.socket.resume()
    assert [index for index, _ in parts.sink.messages] == [1, 2, 3]
    # The sink closes it in the middle of what waits.
    parts.socket.hold()
    parts.socket.receive(4, "d")
    parts.socket.receive(5, "e")
    parts.sink.on = lambda index: parts.socket.close()
    parts.socket.resume()
    assert [index for index, _ in parts.sink.messages] == [1, 2, 3, 4]


def test_a_close_of_the_client_reaches_the_sink_once():
    parts = Parts()
    parts.attach()
    parts.socket.disconnected(4001, "bye")
    parts.socket.disconnected(1000, "")
    parts.socket.receive(1, "late")
    parts.socket.acknowledge(1)
    assert (parts.sink.closed, parts.sink.messages, parts.link.sent, parts.home.calls) == ([(4001, "bye")], [], [], ["discard"])


def test_a_close_before_the_sink_came_is_told_to_it():
    parts = Parts()
    parts.socket.disconnected(None, None)
    assert (parts.attach(), parts.sink.closed) == ([], [(1000, "")])


def test_a_message_that_no_tunnel_message_can_carry_closes_the_socket():
    parts = Parts(limit=10)
    parts.attach()
    parts.socket.send("ü" * 5)
    parts.socket.send("ü" * 5 + "x")
    assert parts.link.kinds() == [text("ü" * 5), SocketClose(1011, "message.outgoing_too_long#")]
    assert parts.sink.closed == [(1011, "message.outgoing_too_long#")]


def test_text_that_is_none_is_made_text():
    parts = Parts()
    parts.attach()
    parts.socket.send("a\ud800")
    assert parts.link.kinds() == [text("a?")]


@pytest.mark.parametrize("fill", [lambda socket: socket.receive(1, "x" * 6), lambda socket: socket.send("x" * 6)])
def test_what_waits_is_bounded(fill):
    room = Room(per_socket=10)
    parts = Parts(room=room)
    fill(parts.socket)
    assert (room.taken, parts.socket.closed) == (6, False)
    fill(parts.socket)
    assert parts.link.kinds()[-1] == SocketClose(1011, "guard.websocket_pending_limit_reached#")
    assert (room.taken, room.behind, parts.socket.pending_indexes()) == (0, set(), [])


def test_empty_messages_are_bounded_in_number(monkeypatch):
    monkeypatch.setattr(engine_socket, "MAX_WAITING", 2)
    parts = Parts()
    for index in (1, 2, 3):
        assert not parts.socket.closed
        parts.socket.receive(index, "")
    assert parts.link.kinds()[-1] == SocketClose(1011, "guard.websocket_pending_limit_reached#")


def test_when_all_have_too_much_the_one_with_most_goes():
    room = Room(per_socket=10, all_sockets=12)
    one, other = Parts(room=room), Parts(room=room)
    one.socket.receive(1, "x" * 8)
    other.socket.receive(1, "x" * 5)
    assert (one.socket.closed, other.socket.closed, room.taken) == (True, False, 5)
    other.attach()
    assert room.taken == 0


def test_a_fault_of_the_sink_ends_its_socket_alone():
    parts = Parts()
    parts.attach()

    def fail(index):
        raise RuntimeError("of ours")

    parts.sink.on = fail
    with capture_logs() as logs:
        parts.socket.receive(1, "a")
    assert parts.link.kinds() == [SocketClose(1011, "core.internal_error#")]
    assert (parts.sink.closed, len(logs)) == ([(1011, "core.internal_error#")], 1)


def test_hibernation_detaches_and_says_nothing():
    parts = Parts()
    parts.attach()
    parts.socket.receive(1, "a")
    parts.socket.hold()
    parts.socket.receive(2, "b")
    parts.socket.hibernate()
    parts.socket.hibernate()
    parts.socket.rest()
    assert (parts.link.sent, parts.home.calls, parts.socket.state) == ([], ["park"], SocketState.HIBERNATING)
    parts.socket.disconnected(1001, "gone")
    assert (parts.socket.closed, parts.sink.closed) == (True, [])


def test_a_kept_socket_is_not_opened_again_and_acknowledges_what_is_stored():
    parts = Parts(kept=True)
    parts.socket.restored(Request("GET", "http://127.0.0.1/connect", {"sec-websocket-protocol": "rivet,rivet_encoding.bare"}))
    assert (parts.socket.upgrade.actor_id, parts.socket.upgrade.protocols) == ("a1", ("rivet", "rivet_encoding.bare"))
    # Hooks of the start may send already (ENGINE-152).
    parts.socket.send("early")
    assert parts.link.kinds() == [text("early")]
    assert parts.attach(watermark=7) == [SocketAck(7)]
    parts.socket.receive(8, "a")
    assert parts.sink.messages == [(8, "a")]


def test_of_messages_from_before_the_stop_was_noticed_only_those_without_a_gap_count():
    parts = Parts(kept=True)
    parts.socket.restored(Request("GET", "http://127.0.0.1/x", {}))
    parts.socket.receive(0, "next")
    parts.socket.receive(2, "behind a gap")
    assert parts.attach(watermark=0xFFFF) == [SocketAck(0xFFFF)]
    parts.socket.receive(1, "comes again")
    assert parts.sink.messages == [(0, "next"), (1, "comes again")]


def test_a_kept_socket_can_be_closed_before_anything_is_known_of_it():
    parts = Parts(kept=True)
    parts.socket.fail(make_error("core.internal_error"))
    assert parts.link.kinds() == [SocketClose(1011, "core.internal_error#")]


def test_who_is_somebody_elses_client_now_hears_nothing():
    parts = Parts()
    parts.attach()
    parts.socket.abandon()
    parts.socket.close(1000, "late")
    assert (parts.link.sent, parts.sink.closed, parts.socket.closed) == ([], [], True)
