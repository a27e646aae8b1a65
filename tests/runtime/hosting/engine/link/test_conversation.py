"""The rules of the link, without socket, thread or time."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from structlog.testing import capture_logs

from runtime.hosting.engine.link.conversation import Conversation, Phase
from runtime.hosting.engine.link.settings import Settings
from runtime.hosting.engine.ports import LinkLostError
from runtime.hosting.engine.protocol import lives, messages, pages
from runtime.hosting.engine.protocol.tunnel import (
    Abort,
    Chunk,
    ClientClose,
    MessageId,
    RequestStart,
    ResponseStart,
    SocketClose,
    SocketMessage,
    SocketOpen,
    SocketOpened,
    TunnelMessage,
)
from tests.runtime.hosting.engine.link.recorder import Recorder

INIT = messages.Init(15_000, 1_800_000, 1000)
LIFE = ("a", 1)
RUNNING = lives.StateEvent(lives.Running())
STOPPED = lives.StateEvent(lives.Stopped(lives.StopCode.OK))
SLEEP = lives.IntentEvent(lives.SleepIntent())


class Direct:
    """A handover that makes calls at once; `waiting` says what it is told to."""

    def __init__(self):
        self.waiting = (0, 0)

    def call(self, function, *args, size=0):
        function(*args)


class World:
    """A conversation, and the engine's side of it."""

    def __init__(self, **settings):
        self.heard = Recorder()
        self.handover = Direct()
        self.it = Conversation(messages.Metadata(None, None), self.heard, self.handover, Settings(**settings), on_init=lambda: None)

    def engine(self, *said, now=0.0):
        for message in said:
            self.it.receive(messages.TO_ENVOY.encode(message), now)

    def connect(self, *between, now=0.0):
        """A connection that is ready; `between` is said before its ping."""
        self.it.connected(now)
        self.engine(INIT, *between, messages.Ping(int(now * 1000)), now=now)
        return self.written()

    def written(self):
        found = []
        while (frame := self.it.next_frame()) is not None:
            found.append(messages.TO_RIVET.decode(frame))
        return found

    def ask(self, data, now=0.0):
        future = Future()
        self.it.request(data, data.actor_id, future, now)
        return future

    def open_socket(self, number, *, can_hibernate=False, actor_id="a"):
        request = MessageId(b"gate", bytes([number] * 4), 0)
        self.engine(TunnelMessage(request, SocketOpen(actor_id, "/", {})))
        self.it.tunnel(TunnelMessage(request, SocketOpened(can_hibernate)))
        self.written()
        return request

    def open_http(self, number, actor_id="a"):
        request = MessageId(b"gate", bytes([number] * 4), 0)
        self.engine(TunnelMessage(request, RequestStart(actor_id, "GET", "/", {}, None, stream=False)))
        return request


@pytest.fixture
def world():
    return World()


def command(inner, generation=1, index=1, actor_id="a"):
    return messages.Commands((lives.Command(lives.Checkpoint(actor_id, generation, index), inner),))


START = lives.Start(lives.ActorConfig("actor", None, 0, None), ())
LOST = lives.Stop(lives.Reason.LOST)


def say(request, data=b"x", index=1):
    return TunnelMessage(MessageId(request.gateway_id, request.request_id, index), SocketMessage(data, binary=True))


def commit():
    return pages.CommitPages("a", (), 1, 0, 1, None)


def get():
    return pages.GetPages("a", (1,), 1, None)


def test_metadata_then_pong(world):
    assert world.connect(now=3.0) == [messages.Metadata(None, None), messages.Pong(3000)]
    assert world.it.phase is Phase.READY


def test_after_a_reconnect_events_come_on_init_and_the_rest_after_the_ping(world):
    world.connect(command(START))
    world.it.event(LIFE, RUNNING, 0.0)
    request = world.open_socket(1)
    world.it.disconnected(1.0)
    world.it.tunnel(say(request))
    read = world.ask(get())
    write = world.ask(commit())
    world.it.connected(2.0)
    assert world.written() == [messages.Metadata(None, None)]
    world.engine(INIT, now=2.0)
    world.it.event(LIFE, lives.AlarmEvent(7), 2.0)
    first, second = world.written()
    assert [event.inner for event in (*first.events, *second.events)] == [RUNNING, lives.AlarmEvent(7)]
    world.engine(messages.Ping(1), now=2.0)
    assert [type(one) for one in world.written()] == [
        messages.Pong,
        TunnelMessage,
        messages.PagesRequest,
        messages.CommitRequest,
    ]
    assert not read.done()
    assert not write.done()


def test_what_a_lost_generation_had_queued_is_not_sent(world):
    world.connect(command(START))
    mine, other = world.open_socket(1), world.open_socket(2, actor_id="b")
    world.it.disconnected(1.0)
    for request in (mine, other):
        world.it.tunnel(say(request))
    lost = world.ask(get())
    sent = world.connect(command(LOST, index=2), now=2.0)
    assert [one.message_id.key for one in sent if isinstance(one, TunnelMessage)] == [other.key]
    assert not any(isinstance(one, messages.PagesRequest) for one in sent)
    with pytest.raises(LinkLostError):
        lost.result(0)
    assert world.heard.of("stop") == [("stop", LIFE, lives.Reason.LOST)]


def test_the_final_stopped_is_sent_again_until_a_later_generation_begins(world):
    world.connect(command(START))
    world.it.event(LIFE, STOPPED, 0.0)
    world.written()
    world.it.disconnected(1.0)
    again = [one for one in world.connect(now=2.0) if isinstance(one, messages.Events)]
    assert again[0].events[0].inner == STOPPED
    world.engine(command(START, 2))
    world.it.disconnected(3.0)
    assert not [one for one in world.connect(now=4.0) if isinstance(one, messages.Events)]


def test_the_final_stopped_is_dropped_once_the_engine_has_given_up(world):
    world.connect()
    world.it.event(LIFE, STOPPED, 0.0)
    for now, kept in ((1860.0, True), (1861.0, False)):
        world.it.tick(now)
        world.it.disconnected(now)
        assert any(isinstance(one, messages.Events) for one in world.connect(now=now)) is kept


def test_an_unborn_generation_is_reported_stopped(world):
    both = messages.Commands(command(START).commands + command(lives.Stop(lives.Reason.DESTROY), index=2).commands)
    sent = world.connect(both)
    assert world.heard.heard == []
    assert [event.inner for one in sent if isinstance(one, messages.Events) for event in one.events] == [STOPPED]


def test_commands_are_acknowledged_half_a_second_later(world):
    world.connect(command(START))
    world.it.tick(0.4)
    assert world.written() == []
    world.it.tick(0.5)
    assert world.written() == [messages.AckCommands((lives.Checkpoint("a", 1, 1),))]


def test_acknowledgements_wait_for_a_connection(world):
    world.connect(command(START))
    world.it.disconnected(0.1)
    world.it.tick(1.0)
    world.connect(now=2.0)
    world.it.tick(2.1)
    assert [type(one) for one in world.written()] == [messages.AckCommands]


def test_all_is_lost_after_the_threshold_and_once(world):
    world.connect(command(START))
    request = world.open_socket(1)
    world.it.disconnected(10.0)
    waiting = world.ask(commit(), now=10.0)
    world.it.tunnel(say(request))
    world.it.tick(24.9)
    assert not world.heard.of("lost")
    for now in (25.0, 26.0):
        world.it.tick(now)
        world.it.disconnected(now)
    world.it.tick(99.0)
    assert len(world.heard.of("lost")) == 1
    with pytest.raises(LinkLostError):
        waiting.result(0)
    assert not [one for one in world.connect(now=100.0) if isinstance(one, TunnelMessage)]


def test_without_any_init_the_threshold_is_ten_seconds(world):
    world.it.disconnected(0.0)
    world.it.tick(10.0)
    assert world.heard.of("lost")


def test_an_init_in_time_loses_nothing(world):
    world.connect()
    world.it.disconnected(1.0)
    world.connect(now=15.9)
    world.it.tick(20.0)
    assert not world.heard.of("lost")


def test_a_silent_connection_is_given_up_and_its_silence_counts(world):
    world.connect(now=0.0)
    assert world.it.overdue(15.0) is None
    assert "no ping" in world.it.overdue(15.1)
    # The machine was suspended for an hour: the engine has given everything away long ago.
    world.it.disconnected(3600.0)
    world.it.tick(3600.0)
    assert world.heard.of("lost")


def test_old_pings_do_not_count(world):
    world.connect(now=0.0)
    world.engine(messages.Ping(3000), now=16.0)
    assert world.it.ping_age(16.0) == pytest.approx(13.0)
    assert world.it.silent(18.1)


def test_an_intent_that_is_not_answered_is_no_connection(world):
    world.connect(command(START))
    world.it.event(LIFE, SLEEP, 0.0)
    for now in (10.0, 20.0, 30.0):
        assert world.it.overdue(now) is None or now == 30.0
        world.engine(messages.Ping(int(now * 1000)), now=now)
    assert "intent" in world.it.overdue(30.0)
    world.engine(command(lives.Stop(lives.Reason.SLEEP_INTENT), index=2), now=30.0)
    assert world.it.overdue(30.0) is None


def test_an_intent_has_its_time_anew_over_another_connection(world):
    world.connect(command(START))
    world.it.event(LIFE, SLEEP, 0.0)
    world.it.disconnected(20.0)
    world.connect(now=29.0)
    assert world.it.overdue(31.0) is None


def test_acknowledged_events_are_not_sent_again(world):
    world.connect()
    for _ in range(3):
        world.it.event(LIFE, RUNNING, 0.0)
    world.engine(messages.AckEvents((lives.Checkpoint("a", 1, 1),)))
    world.it.disconnected(1.0)
    [events] = [one for one in world.connect(now=2.0) if isinstance(one, messages.Events)]
    assert [event.checkpoint.index for event in events.events] == [2]


def test_draining_is_said_over_every_connection(world):
    world.connect()
    world.it.stopping()
    assert world.written() == [messages.Stopping()]
    world.it.disconnected(1.0)
    assert messages.Stopping() in world.connect(now=2.0)


def test_after_the_end_requests_fail_at_once(world):
    world.connect()
    world.it.evicted("ws.eviction (1000)")
    assert world.heard.heard == [("evicted", "ws.eviction (1000)")]
    with pytest.raises(LinkLostError):
        world.ask(get()).result(0)


def test_a_frame_that_cannot_be_read_is_left_out_and_told(world):
    world.connect()
    with capture_logs() as logs:
        for frame in (b"\x2a", b"", b"\x05\x00"):
            world.it.receive(frame, 0.0)
    assert [(one["tag"], one["bytes"]) for one in logs] == [(42, 1), (None, 0), (5, 2)]
    assert world.it.phase is Phase.READY


# What is too much.


def test_a_payload_over_the_limit_is_answered_by_an_error(world):
    world.connect()
    request = world.open_http(1)
    world.it.tunnel(TunnelMessage(request, ResponseStart(200, {}, b"x" * 1001)))
    [answer] = world.written()
    assert (answer.kind.status, answer.kind.headers["x-rivet-error"]) == (500, "message.outgoing_too_long")
    assert isinstance(world.heard.of("tunnel")[-1][1].kind, Abort)


@pytest.mark.parametrize("begun", [True, False])
def test_an_answer_that_has_begun_is_broken_off_and_one_that_waits_is_replaced(world, begun):
    world.connect()
    request = world.open_http(1)
    world.it.tunnel(TunnelMessage(request, ResponseStart(200, {}, b"", stream=True)))
    sent = world.written() if begun else []
    world.it.tunnel(TunnelMessage(request, Chunk(b"x" * 1001, finish=True)))
    sent += world.written()
    if begun:
        assert [type(one.kind) for one in sent] == [ResponseStart, Abort]
    else:
        assert [one.kind.status for one in sent] == [500]


def test_a_socket_with_a_message_over_the_limit_is_closed_and_says_no_more(world):
    world.connect()
    request = world.open_socket(1)
    world.it.tunnel(say(request))
    world.it.tunnel(say(request, b"x" * 1001))
    world.it.tunnel(say(request))
    before, close = world.written()
    assert before == say(request)
    assert (close.kind, close.message_id.index) == (SocketClose(1011, "message.outgoing_too_long"), 2)
    heard = len(world.heard.of("tunnel"))
    world.engine(say(request))
    assert len(world.heard.of("tunnel")) == heard


def test_a_message_that_cannot_be_written_ends_its_request_alone(world):
    world.connect()
    request = world.open_http(1)
    world.it.tunnel(TunnelMessage(request, ResponseStart(200, {"x": "\ud800"}, b"")))
    [answer] = world.written()
    assert answer.kind.status == 500


def test_without_a_connection_plain_sockets_are_left_out_first_the_oldest_first():
    world = World(offline_bytes=4000)
    world.connect()
    kept, first, second = world.open_socket(1, can_hibernate=True), world.open_socket(2), world.open_socket(3)
    world.it.disconnected(1.0)
    with capture_logs():
        for request in (kept, first, second, kept, first):
            world.it.tunnel(say(request, b"x" * 700))
    # An attempt that failed.
    world.it.disconnected(1.5)
    closes = [one[1] for one in world.heard.of("tunnel") if isinstance(one[1].kind, ClientClose)]
    assert [close.message_id.key for close in closes] == [first.key]
    sent = [one for one in world.connect(now=2.0) if isinstance(one, TunnelMessage)]
    assert [(one.message_id.key, type(one.kind)) for one in sent] == [
        (kept.key, SocketMessage),
        (second.key, SocketMessage),
        (kept.key, SocketMessage),
        (first.key, SocketClose),
    ]


def test_without_plain_sockets_any_request_is_left_out():
    world = World(offline_bytes=2000)
    world.connect()
    one, two = world.open_http(1), world.open_http(2)
    world.it.disconnected(1.0)
    with capture_logs():
        for request in (one, two):
            world.it.tunnel(TunnelMessage(request, ResponseStart(200, {}, b"x" * 900)))
    sent = [message for message in world.connect(now=2.0) if isinstance(message, TunnelMessage)]
    assert [message.kind.status for message in sent] == [200, 503]


def test_a_room_for_nothing_ends_every_request_once():
    world = World(offline_bytes=0)
    world.connect()
    request = world.open_socket(1)
    world.it.disconnected(1.0)
    with capture_logs():
        for _ in range(3):
            world.it.tunnel(say(request))
    assert [type(one.kind) for one in world.connect(now=2.0) if isinstance(one, TunnelMessage)] == [SocketClose]


def test_while_the_host_is_blocked_requests_are_ended_and_everything_else_passes(world, monkeypatch):
    world.connect(command(START))
    socket = world.open_socket(1)
    world.handover.waiting = (3, 128 * 1024 * 1024)
    with capture_logs():
        world.engine(say(socket))
        world.open_http(2)
    [close, answer] = world.written()
    assert close.kind == SocketClose(1011, "envoy.backlog_full")
    assert (answer.kind.status, answer.kind.headers["x-rivet-error"]) == (503, "envoy.backlog_full")
    world.engine(command(lives.Stop(lives.Reason.SLEEP_INTENT), index=2), messages.Ping(9))
    assert world.heard.of("stop")
    assert world.written() == [messages.Pong(9)]
    # The gateway may ask again under the same number.
    world.handover.waiting = (0, 0)
    request = world.open_http(2)
    world.it.tunnel(TunnelMessage(request, ResponseStart(200, {}, b"")))
    assert world.written()[0].kind.status == 200


def test_the_end_of_a_client_always_passes(world):
    world.connect()
    socket = world.open_socket(1)
    world.handover.waiting = (10**9, 0)
    world.engine(TunnelMessage(socket, ClientClose(1000, None)))
    assert world.heard.of("tunnel")[-1][1].kind == ClientClose(1000, None)
    assert world.written() == []


def test_nothing_is_remembered_of_requests_that_are_over(world):
    world.connect(command(START))
    clients = world.it._clients
    http, streamed, socket, left, parked = (
        world.open_http(1),
        world.open_http(2),
        world.open_socket(3),
        world.open_socket(4),
        world.open_socket(5),
    )
    assert len(clients) == 5
    world.it.tunnel(TunnelMessage(http, ResponseStart(200, {}, b"")))
    world.it.tunnel(TunnelMessage(streamed, ResponseStart(200, {}, b"", stream=True)))
    world.it.tunnel(TunnelMessage(streamed, Chunk(b"", finish=True)))
    world.it.tunnel(TunnelMessage(socket, SocketClose(1000, None)))
    world.engine(TunnelMessage(left, ClientClose(1000, None)))
    assert list(clients._open) == [parked.key]
    world.it.event(LIFE, STOPPED, 0.0)
    assert len(clients) == len(clients._of_actor) == 0


def test_ended_requests_are_not_remembered_for_ever(world, monkeypatch):
    monkeypatch.setattr("runtime.hosting.engine.link.clients.REMEMBERED", 2)
    world.connect()
    with capture_logs():
        for number in range(5):
            world.it.tunnel(say(world.open_socket(number), b"x" * 1001))
    assert len(world.it._clients._given_up) == 2


def test_parked_sockets_are_no_plain_ones(world):
    request = MessageId(b"gate", b"abcd", 0)
    parked = lives.Start(START.config, (lives.ParkedRequest(b"gate", b"abcd"),))
    world.connect(command(parked))
    assert not world.it._clients.get(say(request)).plain
    assert world.it._clients.get(say(request)).actor_id == "a"
