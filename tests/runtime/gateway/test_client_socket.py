"""The state machine of a client socket: numbering, keeping, acknowledging, replaying."""

from __future__ import annotations

import asyncio

import pytest

from runtime.actor.connections.sockets import SocketState, Upgrade
from runtime.errors import ActorError, make_error
from runtime.gateway import client_socket as sockets
from runtime.gateway.client_socket import ClientSocket
from runtime.gateway.room import Room
from runtime.gateway.socket_table import SocketTable
from runtime.http import Request


class Wire:
    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.close_frame: tuple[int, str] | None = None
        self.closed = asyncio.Event()

    def send(self, data: str | bytes) -> None:
        self.sent.append(data)

    def close(self, code: int, reason: str) -> None:
        self.close_frame = self.close_frame or (code, reason)
        self.closed.set()


class Sink:
    def __init__(self) -> None:
        self.messages: list[tuple[int, str | bytes]] = []
        self.closed: list[tuple[int, str]] = []

    def on_message(self, index: int, data: str | bytes) -> None:
        self.messages.append((index, data))

    def on_close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


class Host:
    """Counts wakes; `outcome` is what a wake raises."""

    def __init__(self) -> None:
        self.wakes: list[str] = []
        self.outcome: ActorError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.table = SocketTable(self.ready)

    async def ready(self, actor_id: str) -> None:
        self.wakes.append(actor_id)
        await self.gate.wait()
        if self.outcome is not None:
            raise self.outcome

    def socket(self) -> tuple[ClientSocket, Wire]:
        wire = Wire()
        upgrade = Upgrade("actor", Request("GET", "http://127.0.0.1/connect", {}), ("rivet",), "ray1")
        return ClientSocket(upgrade, self.table, wire), wire


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_messages_are_numbered_from_one_and_held_while_opening() -> None:
    socket, _ = Host().socket()
    sink = Sink()
    socket.receive("a")
    socket.attach(sink, hibernatable=False)
    socket.receive(b"b")
    assert sink.messages == [(1, "a"), (2, b"b")]
    assert socket.pending_indexes() == []


async def test_hibernatable_messages_are_kept_until_acknowledged() -> None:
    socket, _ = Host().socket()
    socket.attach(Sink(), hibernatable=True)
    for text in "abcd":
        socket.receive(text)
    assert socket.pending_indexes() == [1, 2, 3, 4]
    socket.acknowledge(3)
    socket.acknowledge(2)
    assert socket.pending_indexes() == [4]


async def test_a_new_generation_gets_exactly_the_kept_messages_in_order() -> None:
    host = Host()
    socket, wire = host.socket()
    socket.attach(Sink(), hibernatable=True)
    for text in "abc":
        socket.receive(text)
    socket.hibernate()
    socket.acknowledge(1)
    socket.rest()
    assert socket.state is SocketState.HIBERNATING
    second = Sink()
    socket.attach(second, hibernatable=True, watermark=2)
    socket.receive("d")
    assert second.messages == [(3, "c"), (4, "d")]
    assert wire.sent == []
    await settle()
    assert host.wakes == ["actor"]


async def test_a_message_on_a_hibernating_socket_wakes_and_stops_the_reader() -> None:
    host = Host()
    socket, _ = host.socket()
    socket.attach(Sink(), hibernatable=True)
    socket.hibernate()
    socket.rest()
    await settle()
    assert host.wakes == []
    socket.receive("x")
    waiting = asyncio.create_task(socket.flowing())
    await settle()
    assert host.wakes == ["actor"]
    assert not waiting.done()
    sink = Sink()
    socket.attach(sink, hibernatable=True)
    await waiting
    assert sink.messages == [(1, "x")]


async def test_a_close_while_asleep_wakes_the_actor() -> None:
    host = Host()
    socket, _ = host.socket()
    socket.attach(Sink(), hibernatable=True)
    socket.hibernate()
    socket.disconnected(3000, "bye")
    await settle()
    assert host.wakes == ["actor"]
    assert host.table.hibernating("actor") == []


async def test_a_wake_wanted_while_one_is_under_way_is_not_forgotten() -> None:
    host = Host()
    socket, _ = host.socket()
    socket.attach(Sink(), hibernatable=True)
    socket.hibernate()
    host.gate.clear()
    socket.receive("x")
    await settle()
    socket.attach(Sink(), hibernatable=True)
    socket.hibernate()
    socket.rest()
    host.gate.set()
    await settle()
    assert host.wakes == ["actor", "actor"]


async def test_a_failed_wake_closes_with_the_reason_and_the_ray() -> None:
    host = Host()
    socket, wire = host.socket()
    socket.attach(Sink(), hibernatable=True)
    socket.hibernate()
    host.outcome = make_error("actor.not_found")
    socket.receive("x")
    await settle()
    assert wire.close_frame == (1011, "actor.not_found#ray1")


async def test_client_closes_are_translated_for_the_actor() -> None:
    for given, expected in (((1005, ""), (1000, "")), ((1006, ""), (1011, "ws.downstream_closed")), ((3001, "x"), (3001, "x"))):
        socket, _ = Host().socket()
        sink = Sink()
        socket.attach(sink, hibernatable=False)
        socket.disconnected(*given)
        socket.disconnected(*given)
        assert sink.closed == [expected]


async def test_a_close_before_the_open_ended_reaches_the_sink_at_once() -> None:
    socket, _ = Host().socket()
    socket.disconnected(1000, "gone")
    sink = Sink()
    socket.attach(sink, hibernatable=False)
    assert sink.closed == [(1000, "gone")]
    assert sink.messages == []


async def test_the_sink_is_not_told_about_a_close_of_its_own() -> None:
    socket, wire = Host().socket()
    sink = Sink()
    socket.attach(sink, hibernatable=False)
    socket.send("last words")
    socket.close(4001, "bye")
    socket.send("too late")
    socket.disconnected(4001, "bye")
    assert (wire.sent, wire.close_frame, sink.closed) == (["last words"], (4001, "bye"), [])


async def test_oversized_frames_and_too_much_unacknowledged_data_close(monkeypatch) -> None:
    monkeypatch.setattr(sockets, "MAX_FRAME_BYTES", 10)
    monkeypatch.setattr(sockets, "MAX_KEPT_BYTES", 25)
    socket, wire = Host().socket()
    sink = Sink()
    socket.attach(sink, hibernatable=True)
    socket.receive("x" * 11)
    assert wire.close_frame == (1011, "core.internal_error#ray1")
    assert sink.closed == [(1011, "core.internal_error#ray1")]
    socket, wire = Host().socket()
    socket.attach(Sink(), hibernatable=True)
    for _ in range(10):
        socket.receive("0123456789")
        socket.acknowledge(socket.last_index)
    assert wire.close_frame is None
    for _ in range(3):
        socket.receive("0123456789")
    assert wire.close_frame == (1011, "guard.websocket_pending_limit_reached#ray1")


async def test_the_reader_waits_for_whoever_is_behind(monkeypatch) -> None:
    monkeypatch.setattr(sockets, "READ_AHEAD_BYTES", 20)
    socket, _ = Host().socket()
    assert not socket.flows
    socket.attach(Sink(), hibernatable=True)
    assert socket.flows
    socket.hold()
    waiting = asyncio.create_task(socket.flowing())
    await asyncio.sleep(0)
    assert not waiting.done()
    socket.resume()
    await asyncio.wait_for(waiting, 1)
    # What is not saved yet is not acknowledged either.
    for _ in range(2):
        assert socket.flows
        socket.receive("0123456789")
    waiting = asyncio.create_task(socket.flowing())
    await asyncio.sleep(0)
    assert not waiting.done()
    socket.acknowledge(1)
    await asyncio.wait_for(waiting, 1)
    # A generation that wants no more is over.
    socket.hold()
    socket.hibernate()
    assert not socket.flows
    socket.attach(Sink(), hibernatable=True, watermark=2)
    assert socket.flows
    socket.hold()
    waiting = asyncio.create_task(socket.flowing())
    await asyncio.sleep(0)
    socket.disconnected(1000, "")
    await asyncio.wait_for(waiting, 1)


async def test_what_all_sockets_keep_has_one_bound(monkeypatch) -> None:
    monkeypatch.setattr(sockets, "TOLD_STEP", 8)
    host, room = Host(), Room(all_sockets=100)
    wires, kept = [], []
    for _ in range(3):
        wire = Wire()
        upgrade = Upgrade("actor", Request("GET", "http://127.0.0.1/connect", {}), ("rivet",), "ray1")
        socket = ClientSocket(upgrade, host.table, wire, room)
        socket.attach(Sink(), hibernatable=True)
        wires.append(wire)
        kept.append(socket)
    for number in range(5):
        kept[0].receive(b"0123456789")
        kept[1].receive(b"0123456789")
        assert room.taken == 20 * (number + 1)
    kept[0].acknowledge(4)
    assert room.taken == 60
    for _ in range(4):
        kept[2].receive(b"0123456789")
    kept[1].receive(b"0123456789")
    assert [wire.close_frame for wire in wires] == [None, (1011, "guard.websocket_pending_limit_reached#ray1"), None]
    assert room.taken == 50
    kept[2].attach(Sink(), hibernatable=False)
    kept[0].close(1000, "")
    assert (room.taken, room.behind) == (0, set())


@pytest.mark.parametrize("error", [RuntimeError("decoder"), RecursionError(), MemoryError(), KeyError("x")])
@pytest.mark.parametrize("attached", [True, False])
async def test_a_message_that_cannot_be_handled_ends_its_socket_and_nothing_else(error: Exception, attached: bool) -> None:
    class Broken(Sink):
        def on_message(self, index: int, data: str | bytes) -> None:
            raise error

    socket, wire = Host().socket()
    sink = Broken()
    if attached:
        socket.attach(sink, hibernatable=True)
        socket.receive("x")
    else:
        socket.receive("x")
        socket.attach(sink, hibernatable=True)
    assert wire.close_frame == (1011, "core.internal_error#ray1")
    assert sink.closed == [(1011, "core.internal_error#ray1")]


async def test_an_exit_out_of_a_message_is_not_held_up() -> None:
    class Exiting(Sink):
        def on_message(self, index: int, data: str | bytes) -> None:
            raise SystemExit(3)

    socket, _ = Host().socket()
    socket.attach(Exiting(), hibernatable=True)
    with pytest.raises(SystemExit):
        socket.receive("x")


async def test_acknowledgements_wrap_with_the_index() -> None:
    socket, _ = Host().socket()
    socket.attach(Sink(), hibernatable=True)
    for number in range(65_540):
        socket.receive("x")
        if number % 1000 == 0:
            socket.acknowledge(socket.last_index)
    socket.acknowledge(1)
    assert socket.pending_indexes() == [2, 3, 4]


async def test_kept_messages_grow_old_only_without_a_generation(monkeypatch) -> None:
    monkeypatch.setattr(sockets, "AGE_CHECK_INTERVAL", 0.01)
    monkeypatch.setattr(sockets, "MAX_KEPT_AGE", 0.02)
    host = Host()
    host.gate.clear()
    active, active_wire = host.socket()
    active.attach(Sink(), hibernatable=True)
    active.receive("long action")
    asleep, asleep_wire = host.socket()
    asleep.attach(Sink(), hibernatable=True)
    asleep.hibernate()
    asleep.receive("x")
    async with asyncio.timeout(5):
        await asleep_wire.closed.wait()
    assert asleep_wire.close_frame == (1011, "guard.websocket_garbage_collected#ray1")
    assert active_wire.close_frame is None
    await host.table.close()


async def test_a_destroyed_actor_closes_its_sockets() -> None:
    host = Host()
    asleep, asleep_wire = host.socket()
    asleep.attach(Sink(), hibernatable=True)
    asleep.hibernate()
    _, opening_wire = host.socket()
    host.table.actor_gone("actor")
    assert asleep_wire.close_frame == (1000, "actor.stopped")
    assert opening_wire.close_frame is None
